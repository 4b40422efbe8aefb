"""`make env` with what a machine has: the CPU build of torch where it can be had, else the default one."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# In the place of the environment's Python: notes what it is asked for, and refuses what has one of the words.
PYTHON = """#!/bin/sh
echo "$@" >> "$ASKED"
for word in $REFUSED; do
    case "$*" in *"$word"*) echo "no such thing" >&2; exit 1;; esac
done
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make_env(place: Path, refused: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The result, and the arguments of each installation.  refused: words of what can't be installed."""
    python = place / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON)
    python.chmod(0o755)
    (place / "bin").mkdir()
    (place / "bin" / "uname").write_text('#!/bin/sh\n[ "$1" = -m ] && echo x86_64 || echo Linux\n')
    (place / "bin" / "nvidia-smi").write_text("#!/bin/sh\nexit 1\n")
    for command in (place / "bin").iterdir():
        command.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "ASKED": str(place / "asked"),
        "REFUSED": refused,
    }
    command = ["make", "--no-print-directory", "env", f"VENV={place / 'venv'}", f"PYTHON={python}"]
    done = subprocess.run(
        [*command, "TORCH_CPU_INDEX=https://index.example/cpu"],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    asked = (place / "asked").read_text().splitlines()
    return done, [line.partition("constraints.txt ")[2] for line in asked if " install " in line]


def test_a_build_that_lies_at_hand_is_taken(tmp_path: Path):
    done, asked = make_env(tmp_path, "")
    assert done.returncode == 0, done.stderr
    assert [line.endswith("+cpu") for line in asked] == [True, False]
    assert "default build" not in done.stdout


def test_without_the_cpu_index_the_default_build_is_taken_and_its_size_is_said_first(tmp_path: Path):
    done, asked = make_env(tmp_path, "+cpu --index-url")
    assert done.returncode == 0, done.stderr
    assert len(asked) == 4
    assert asked[1].startswith("torch==")
    assert "--index-url https://index.example/cpu" in asked[1]
    assert asked[2].startswith("torch==")
    assert "+cpu" not in asked[2]
    assert "--index-url" not in asked[2]
    assert "can't be had from https://index.example/cpu" in done.stdout
    assert "3 GB to download and 6 GB on disk" in done.stdout


def test_where_no_build_can_be_had_it_says_what_to_look_at(tmp_path: Path):
    done, asked = make_env(tmp_path, "torch==")
    assert done.returncode != 0
    assert len(asked) == 3
    assert "could not be installed. Check the network and the free disk" in done.stdout
