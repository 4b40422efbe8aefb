"""The code that a run names: found wherever it lies, kept apart, missed with a sentence when it is gone."""

import importlib
import sys
from pathlib import Path

import pytest
from palaestra.tasks import get
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train
from palaestra.trainer.storage.sources import (
    find_source_file,
    list_changes,
    record_changes,
    record_sources,
    record_worlds,
    refuse_changes,
)

from ..support.runs import SMALL, have_same_weights, say_nothing
from .test_folders import TASK


@pytest.mark.parametrize(("name", "file"), [("gcd", "gcd.py"), ("math", "math_hendrycks.py")])
def test_a_task_lies_where_its_generator_does(name: str, file: str):
    get(name)
    found = find_source_file(name)
    assert found is not None
    assert found.name == file


def test_objects_of_files_and_of_modules_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "my.pyfiles").mkdir()
    (tmp_path / "my.pyfiles/x.py").touch()
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package/losses.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert find_source_file("./my.pyfiles/x.py") == tmp_path / "my.pyfiles/x.py"
    assert find_source_file("my.pyfiles/x.py:thing") == tmp_path / "my.pyfiles/x.py"
    assert find_source_file("own_package.losses:Name") == tmp_path / "own_package/losses.py"
    sys.modules.pop("own_package", None)
    assert find_source_file("own_package.nothing:Name") is None
    assert find_source_file("no_package.losses:Name") is None
    assert find_source_file("grpo") is None
    assert find_source_file("./nowhere.py:thing") is None


def test_copies_of_files_of_one_name_do_not_meet(tmp_path: Path):
    for place in ("d1", "d2"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "mine.py").write_text(f"PLACE = {place!r}")
    names = [str(tmp_path / place / "mine.py") for place in ("d1", "d2")]
    recorded = record_sources(tmp_path, names)
    for name in names:
        assert recorded[name]["path"] == name
        assert (tmp_path / recorded[name]["copy"]).read_text() == Path(name).read_text()


def test_a_run_goes_on_from_another_directory_and_says_where_the_copy_of_a_lost_file_is(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "letter.py").write_text(TASK)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "start").symlink_to(warm_model)
    config = SMALL.but(task="./letter.py", option=(), model="start", eval_every=0, preflight_problems=0)
    monkeypatch.chdir(tmp_path)
    train(config.but(out="whole"), say=say_nothing)
    train(config.but(out="run", stop_after=1), say=say_nothing)
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "letter.py").unlink()
    says = r"letter\.py is gone\. The run keeps a copy in .*run/sources/letter-"
    with pytest.raises(UserError, match=says) as gone:
        resume(tmp_path / "run", {}, say=say_nothing)
    copy, back = str(gone.value).split()[-2:]
    Path(back).write_bytes(Path(copy).read_bytes())
    said: list[str] = []
    resume(tmp_path / "run", {}, say=said.append)
    assert not any("Warning" in line for line in said)
    assert have_same_weights(tmp_path / "run/model", tmp_path / "whole/model")


WORLD = '''
import palaestra as pal
from own_rules import answer


class Guessing:
    def __init__(self, problem):
        self.secret = problem.reference

    def reply(self, said):
        return answer(said, self.secret)


def found(completion, problem):
    return completion.text.endswith(problem.reference)


@pal.task("own_guessing", rubric=pal.Rubric(found), episode=Guessing)
def own_guessing(rng, level):
    """Guess."""
    yield pal.Problem("Guess.", str(rng.randrange(10)))
'''
RULES = "def answer(said, secret):\n    return None if said == secret else 'no'\n"


def test_a_run_notices_a_world_whose_helpers_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "guess.py").write_text(WORLD)

    def write_rules(text: str) -> None:
        (tmp_path / "own_rules.py").write_text(text)
        monkeypatch.delitem(sys.modules, "own_rules", raising=False)
        importlib.invalidate_caches()
        get("guess.py")  # as a run does when it begins, and when it goes on

    write_rules(RULES)
    (tmp_path / "nowhere.py").write_text("raise SystemExit('a loss, which no run loads as a task')")
    worlds = record_worlds(["guess.py", "grpo", "gcd", "nowhere.py"])
    assert list(worlds) == ["guess.py"]
    facts = {"sources": record_sources(tmp_path, ["guess.py"]), "worlds": worlds}
    assert record_changes(tmp_path, facts) == {}
    write_rules(RULES.replace("'no'", "secret"))
    with pytest.raises(
        UserError,
        match=r"(?s)the world of guess\.py changed since .*guess\.py: other code.*--task-changed ok",
    ):
        refuse_changes(tmp_path, facts, False, say_nothing)
    said: list[str] = []
    refuse_changes(tmp_path, facts, True, said.append)
    assert "other code" in said[0]
    now = record_changes(tmp_path, facts)
    assert now["changes"] == [{"name": "world of guess.py", "sha256": worlds["guess.py"]}]
    assert now["worlds"]["guess.py"] != worlds["guess.py"]
    assert list_changes(tmp_path, {**facts, **now}) == []
