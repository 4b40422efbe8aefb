"""Many completions scored over processes: the same scores in the same order, whatever goes wrong with one."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from palaestra.tasks import DataError, Problem, get
from palaestra.trainer.config.shared import TaskConfig
from palaestra.trainer.evaluation import scoring
from palaestra.trainer.evaluation.offline import score_file
from palaestra.trainer.evaluation.scoring import Completed, cut, map_in_order, score_in_order
from palaestra.verifiers import Completion, Criterion, Rubric
from palaestra.verifiers.types import correct, wrong

GCD = get("gcd")
PROBLEMS = GCD.problems("test", 20)
OWN = Problem("What is 2 + 2?", "4", {}, "mine")


def make_completed(count: int) -> list[Completed]:
    """Every third wrong, every seventh of a problem that is none of the task's."""
    made = []
    for n in range(count):
        problem = PROBLEMS[n % len(PROBLEMS)]
        text = f"{n} <answer>0</answer>" if n % 3 == 0 else f"{n} {GCD.solution(problem)}"
        own = n % 7 == 0
        made.append(
            Completed(Completion(f"{n} <answer>4</answer>"), OWN, own)
            if own
            else Completed(Completion(text), problem)
        )
    return made


def drop_seconds(scores) -> list[dict]:
    listed = list(scores)
    for score in listed:
        for part in score["parts"].values():
            del part["seconds"]
    return listed


def test_two_processes_give_what_one_gives_in_order(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scoring, "TEXTS", 50)
    monkeypatch.setattr(scoring.cut, "__defaults__", (50,))
    here: list[int] = []
    score_here = scoring._Here.__call__
    monkeypatch.setattr(scoring._Here, "__call__", lambda self, b: here.append(len(b)) or score_here(self, b))
    completed = make_completed(330)
    alone = drop_seconds(score_in_order(GCD, completed))
    assert sum(here) == 330
    assert 100 < sum(score["passed"] for score in alone) < 300
    here.clear()
    together = drop_seconds(score_in_order(GCD, completed, TaskConfig(name="gcd"), workers=2))
    assert together == alone
    assert here == [], "the workers were to score all of them"


def test_what_a_worker_can_not_score_is_scored_here(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scoring.cut, "__defaults__", (10,))
    odd = Problem("", "4", {"odd": {1}}, "mine")  # a set is no JSON
    completed = [*make_completed(20), Completed(Completion("<answer>4</answer>"), odd, own=True)]
    alone = drop_seconds(score_in_order(GCD, completed))
    assert drop_seconds(score_in_order(GCD, completed, TaskConfig(name="gcd"), workers=2)) == alone
    gone = TaskConfig(name="no_such_task")
    assert drop_seconds(score_in_order(GCD, completed, gone, workers=2)) == alone


def test_a_file_over_two_processes_is_worth_the_same_and_a_bad_row_comes_after_those_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scoring.cut, "__defaults__", (10,))
    path = tmp_path / "said.jsonl"
    rows = [{"id": p.id, "completions": [GCD.solution(p), "no"]} for p in PROBLEMS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert score_file("gcd", path, workers=2) == score_file(GCD, path)
    path.write_text(path.read_text() + '{"completion": "no id"}\n')
    kept: list[dict] = []
    with pytest.raises(DataError, match="line 21: neither id nor reference"):
        score_file("gcd", path, workers=2, keep=kept.append)
    assert [verdict["id"] for verdict in kept[::2]] == [problem.id for problem in PROBLEMS]


def test_checks_that_wait_for_something_else_run_at_once_in_this_process():
    both = threading.Barrier(2)

    def check(completion, problem):
        both.wait(60)
        return correct() if completion.text == "yes" else wrong()

    task = replace(GCD, rubric=Rubric(Criterion("slow", check, start=lambda: {})))
    completed = [Completed(Completion(text), PROBLEMS[0]) for text in ("yes", "no", "no", "yes")]
    scores = score_in_order(task, completed, TaskConfig(name="gcd"), workers=2)
    assert [score["passed"] for score in scores] == [True, False, False, True]


def test_batches_are_bounded_by_texts_and_characters():
    sizes = [1, 1, 1, scoring.CHARS, 2, scoring.CHARS - 2, 1]
    batches = list(cut([Completed(Completion("x" * size), OWN) for size in sizes], 2))
    assert [[len(each.said.text) for each in batch] for batch in batches] == [
        [1, 1], [1], [scoring.CHARS], [2, scoring.CHARS - 2], [1],
    ]  # fmt: skip
    assert list(cut([])) == []


def test_results_come_before_the_failure_of_what_follows():
    def feed() -> Iterator[int]:
        yield from range(5)
        raise DataError("row 5")

    seen: list[int] = []
    with pytest.raises(DataError, match="row 5"):
        seen.extend(iter_into(seen, map_in_order(lambda n: n * n, feed(), 2)))
    assert seen == [0, 1, 4, 9, 16]


def iter_into(seen: list[int], results: Iterator[int]) -> Iterator[int]:
    for result in results:
        seen.append(result)
    return iter(())
