"""docs/data.md tells the truth: its commands run in their order, and so does its Python."""

import json
import re
import shlex
from pathlib import Path

import pytest
from palaestra.tasks.core import registry
from palaestra.tasks.core.task import REGISTERED
from palaestra.trainer.cli.main import main

PAGE = (Path(__file__).parent.parent / "docs" / "data.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [shlex.split(line)[1:] for kind, block in BLOCKS if not kind for line in block.splitlines()]
SMALL = ["--max-new-tokens", "4", "--threads", "1"]
QUICK = {
    "train": [
        "--steps", "1", "--sft-steps", "2", "--prompts-per-step", "2", "--group-size", "2",
        "--eval-problems", "2", "--eval-samples", "1", "--force", *SMALL,
    ],
    "eval": ["--problems", "2", *SMALL],
}  # fmt: skip


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"question": f"What is {n} plus {n}?", "answer": str(2 * n)} for n in range(100)]
    Path("mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    registry.names()  # what is in the package is imported once, and must stay
    before = dict(REGISTERED)
    yield
    REGISTERED.clear()
    REGISTERED.update(before)


def test_every_command_runs(capsys: pytest.CaptureFixture[str]):
    assert [command[0] for command in COMMANDS] == ["data", "train", "eval", "task", "task", "task", "train"]
    for command in COMMANDS:
        assert main([*command, *QUICK.get(command[0], [])]) == 0, command
    said = capsys.readouterr().out
    assert "mine, test split, 2 problems" in said
    assert "FAILED" not in said


def test_the_python_runs(capsys: pytest.CaptureFixture[str]):
    for kind, block in BLOCKS:
        if kind == "python":
            exec(compile(block, "data.md", "exec"), {})
    assert capsys.readouterr().out.endswith(" False\n")


def test_the_verifiers_and_flags_of_the_page_are_those_there_are():
    from palaestra.tasks.data.judges import NAMES
    from palaestra.trainer.cli.data_flags import NAMES as FLAGS

    table = re.findall(r"^\| `([^`]+)`", PAGE.partition("How answers are judged")[2], re.MULTILINE)
    assert {*NAMES} == {name for name in table if name.isidentifier()}
    assert all(f"--{flag.replace('_', '-')}" in PAGE for flag in FLAGS)
