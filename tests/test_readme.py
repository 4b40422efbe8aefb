"""The README: its table has every command, its task is short, its tree and its examples are those here.

What its blocks say is run by test_pages.py, as in every page.
"""

import re
import shlex
from pathlib import Path

import pytest
from palaestra.trainer.cli.main import COMMANDS, main

from .pages import README, ROOT, Command, list_blocks, write_files

TEXT = README.read_text()
TABLE = [
    Command(shlex.split(command)[1:], "", 0)
    for command in re.findall(r"^\| `(palaestra [^`]+)`", TEXT, re.MULTILINE)
]
QUICK = ("tasks", "task", "data", "doctor", "verify", "sft")


def test_the_table_names_every_command_and_no_other():
    assert {command.words[0] for command in TABLE} == COMMANDS.keys()


@pytest.mark.parametrize(
    "command",
    [c for c in TABLE if c.words[0] in QUICK and (c.runs or c.words[:2] != ["task", "build"])],
    ids=str,
)
def test_the_quick_commands_of_the_table_run(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    write_files(TEXT, tmp_path)
    assert main(command.shrink()) == 0


def test_the_task_of_the_readme_is_short_checked_and_trained_on():
    (task,) = (block for block in list_blocks(TEXT) if block.title == "my_task.py")
    assert len(task.text.splitlines()) <= 20
    assert re.findall(r"(?m)^palaestra (.+) \./my_task\.py$", TEXT) == ["task check", "train --task"]


def test_every_example_is_named():
    named = set(re.findall(r"\(examples/(\w+\.\w+)\)", TEXT))
    assert named == {path.name for path in (ROOT / "examples").iterdir() if path.is_file()}


def test_the_tree_is_that_of_the_repository():
    tree = set(re.findall(r"^(\w+)/ ", TEXT, re.MULTILINE))
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert tree <= folders
    assert {"palaestra", "sandbox", "verifiers", "tasks", "trainer"} <= tree
    assert {"examples", "tests", "docs", "benchmarks"} <= tree


def test_the_pages_of_the_site_that_a_newcomer_needs_are_linked():
    for page in ("start", "model", "reading-a-run", "recipes", "troubleshooting", "python"):
        assert f"(docs/{page}.md)" in TEXT, page
