"""The folder of a run that begins: started again where an earlier start came to nothing, never another's."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.cli.main import main
from palaestra.trainer.storage.starts import LOCK, begin_folder, find_folder, hold_folder, is_held

FACTS = json.dumps({"command": "train", "sources": {}})
HOLD = """
import sys
from palaestra.trainer.storage.starts import begin_folder

with begin_folder(sys.argv[1], "x", lambda line: None) as path:
    (path / "checkpoints/.step-000000.partial").mkdir(parents=True)
    print("held", flush=True)
    sys.stdin.read()
"""


def list_names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def write_start(folder: Path) -> None:
    """What a start leaves that was killed before its first checkpoint."""
    for name in ("sources", "reference", "checkpoints/.step-000000.partial"):
        (folder / name).mkdir(parents=True)
    (folder / "sources/mine-0123abcd.py").touch()
    (folder / "config.json").write_text("{}")
    (folder / "facts.json").write_text(FACTS)
    (folder / "metrics.jsonl").write_text('{"kind": "preflight", "step": 0}\n')


@contextmanager
def held_elsewhere(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process in the start of a run in this folder."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def test_a_start_that_was_looked_at_is_started_again_too(tmp_path: Path):
    run = tmp_path / "run"
    write_start(run)
    (run / "rollouts.jsonl").touch()
    assert main(["report", str(run)]) == 0
    assert main(["query", str(run), "select count(*) from completions"]) == 0
    (run / "plot.svg").touch()
    with begin_folder(str(run), "x", lambda _line: None):
        assert list_names(run) == {LOCK}


def test_whether_a_folder_is_held_is_known_and_asking_lets_go_of_nothing(tmp_path: Path):
    run = tmp_path / "run"
    assert not is_held(run)
    with held_elsewhere(run):
        assert is_held(run)
    assert (run / LOCK).is_file()  # its holder was killed
    assert not is_held(run)
    ask = "import sys; from palaestra.trainer.storage.starts import is_held; from pathlib import Path; "
    ask += "sys.exit(is_held(Path(sys.argv[1])))"
    with hold_folder(run):
        assert is_held(run)
        assert subprocess.run([sys.executable, "-c", ask, str(run)], check=False).returncode == 1
    assert not is_held(run)


def test_a_start_without_a_checkpoint_is_started_again_with_a_sentence(tmp_path: Path):
    write_start(tmp_path / "run")
    said: list[str] = []
    with begin_folder(str(tmp_path / "run"), "x", said.append) as path:
        assert list_names(path) == {LOCK}
    assert said == [f"{path} holds a start that came to no checkpoint: it is started again."]
    assert list_names(path) == set(), "and the lock goes with its holder"


def test_what_an_earlier_start_had_computed_is_put_aside(tmp_path: Path):
    out, said = tmp_path / "run", list[str]()
    for number in (1, 2):
        write_start(out)
        (out / "sft").mkdir()
        (out / "metrics.jsonl").write_text('{"kind": "step", "step": 1}\n')
        with begin_folder(str(out), "x", said.append):
            pass
        kept = out / f"earlier-{number}"
        assert said[-1].endswith(f"What it had computed is in {kept}.")
        assert (kept / "metrics.jsonl").read_text() == '{"kind": "step", "step": 1}\n'
        assert {"sft", "config.json", "facts.json", "sources"} <= {path.name for path in kept.iterdir()}
    assert {path.name for path in out.iterdir()} == {"earlier-1", "earlier-2"}


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "checkpoints/best.pt", "sources/main.py", "data.jsonl", ".git/HEAD", "lib/config.json"],
)
def test_a_folder_with_anything_of_somebody_else_is_never_emptied(tmp_path: Path, name: str):
    write_start(tmp_path / "run")
    (tmp_path / "run" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "run" / name).write_text("mine")
    before = list_names(tmp_path / "run")
    with (
        pytest.raises(UserError, match=r"is not empty: it holds .*Give another --out\.$"),
        begin_folder(str(tmp_path / "run"), "x"),
    ):
        pass
    assert list_names(tmp_path / "run") == before


@pytest.mark.parametrize("facts", [None, "{}", "no"])
def test_files_of_the_same_names_without_the_mark_of_a_start_are_somebody_else_s(
    tmp_path: Path, facts: str | None
):
    write_start(tmp_path / "run")
    (tmp_path / "run/facts.json").unlink()
    if facts is not None:
        (tmp_path / "run/facts.json").write_text(facts)
    with pytest.raises(UserError, match="is not empty"), begin_folder(str(tmp_path / "run"), "x"):
        pass


def test_a_run_with_a_checkpoint_or_a_model_is_to_be_resumed(tmp_path: Path):
    write_start(tmp_path / "a run")
    (tmp_path / "a run/checkpoints/step-000001").mkdir()
    (tmp_path / "a run/checkpoints/step-000001/trainer_info.json").touch()
    with pytest.raises(UserError, match=r"`palaestra resume '.*/a run'` to go on with it"):
        find_folder(str(tmp_path / "a run"), "x")


def test_an_automatic_name_gets_a_number_where_a_run_is_and_none_where_a_start_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert find_folder("auto", "gcd-0") == Path("runs/gcd-0")
    write_start(tmp_path / "runs/gcd-0")
    assert find_folder("auto", "gcd-0") == Path("runs/gcd-0")
    (tmp_path / "runs/gcd-0/model").mkdir()
    assert find_folder("auto", "gcd-0") == Path("runs/gcd-0-2")


def test_two_processes_do_not_write_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with held_elsewhere(tmp_path / "runs/gcd-0") as holder:
        says = rf"Another process \(number {holder.pid}\) is writing runs/gcd-0"
        with pytest.raises(UserError, match=says), begin_folder("runs/gcd-0", "gcd-0"):
            pass
        assert find_folder("auto", "gcd-0") == Path("runs/gcd-0-2")
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        said: list[str] = []
        with begin_folder("auto", "gcd-0", said.append) as path:
            assert path == Path("runs/gcd-0")
        assert "it is started again" in said[0]


def test_a_folder_that_was_there_before_a_failed_start_is_there_after_it(tmp_path: Path):
    def fail(folder: Path) -> None:
        with begin_folder(str(folder), "x") as path:
            (path / "config.json").touch()
            raise UserError("refused")

    (tmp_path / "mine").mkdir()
    for folder in (tmp_path / "mine", tmp_path / "new/deep/er"):
        with pytest.raises(UserError, match="refused"):
            fail(folder)
    assert list_names(tmp_path) == {"mine"}
