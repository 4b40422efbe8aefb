"""Scoring from Python, by name, path or object; and a rubric in TRL's calling convention, without TRL."""

from pathlib import Path

import pytest
from palaestra.tasks import Problem, TaskError, UserError, get, score, task, trl_reward, trl_rows
from palaestra.tasks.core import registry
from palaestra.tasks.core.lookup import ProblemsById
from palaestra.tasks.core.task import REGISTERED
from palaestra.verifiers import Completion, Criterion, Rubric
from palaestra.verifiers.types import Unavailable

SIX = Problem("What is the greatest common divisor of 12 and 18?", "6")


@pytest.fixture(autouse=True)
def forget_tasks():
    """The tasks made here are none of the other tests'."""
    registry.names()  # what is in the package is imported once, and must stay
    before = dict(REGISTERED)
    yield
    REGISTERED.clear()
    REGISTERED.update(before)


def fail_to_reach(completion: Completion, problem: Problem):
    raise Unavailable("The service is down.")


def test_a_task_goes_by_its_name_its_path_or_itself(tmp_path: Path):
    own = tmp_path / "own.py"
    own.write_text(
        "from palaestra import Problem, Rubric, criteria, task\n"
        "@task('own', rubric=Rubric(criteria.number()))\ndef own(rng, level):\n    return Problem('x', '6')\n"
    )
    answer = "<answer>6</answer>"
    assert [score(named, answer, SIX).passed for named in ("gcd", get("gcd"), str(own))] == [True] * 3
    assert score("gcd", Completion(answer), SIX).reward == 1


def test_many_completions_take_one_problem_or_one_each():
    gcd = get("gcd")
    problems = gcd.problems("test", 3)
    solutions = [gcd.solution(problem) for problem in problems]
    assert [found.passed for found in score(gcd, solutions, problems)] == [True] * 3
    assert [found.passed for found in score(gcd, solutions, [problem.id for problem in problems])] == [
        True
    ] * 3
    assert score(gcd, [], problems[0]) == []
    with pytest.raises(TaskError, match=r"3 completions and 2 problems"):
        score(gcd, solutions, problems[:2])
    with pytest.raises(TaskError, match="Several problems need several"):
        score(gcd, "x", problems)  # type: ignore[call-overload]
    with pytest.raises(TaskError, match="has no problem 'gsm8k/test/1'"):
        score(gcd, "x", "gsm8k/test/1")


def test_trl_passes_texts_or_messages_and_columns():
    reward = trl_reward("gcd")
    assert reward.__name__ == "gcd"
    right, wrong = "<answer>6</answer>", "<answer>5</answer>"
    columns = {"reference": ["6"] * 2, "trainer_state": object(), "completion_ids": [[1], [2]]}
    assert reward(prompts=["?"] * 2, completions=[right, wrong], **columns) == [1.0, pytest.approx(1 / 11)]
    calls = [
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": wrong},
        {"role": "assistant", "content": right},
    ]
    assert reward(prompts=["?"] * 2, completions=[calls, [{"content": wrong}]], **columns)[0] == 1.0
    assert reward(prompts=[], completions=[], reference=[]) == []


def test_the_rows_made_for_trl_are_found_again_by_their_ids():
    rows, gcd = trl_rows("gcd", count=3, seed=5), get("gcd")
    problems = [ProblemsById(gcd).get(row["id"]) for row in rows]
    assert problems == gcd.problems("train", 3, seed=5)
    assert all(
        problem.text in row["prompt"][-1]["content"] for problem, row in zip(problems, rows, strict=True)
    )
    columns = {name: [row[name] for row in rows] for name in rows[0] if name != "prompt"}
    solutions = [gcd.solution(problem) for problem in problems]
    assert (
        trl_reward("gcd")(prompts=[row["prompt"] for row in rows], completions=solutions, **columns)
        == [1.0] * 3
    )
    assert "reference" not in rows[0]


def test_what_abstains_is_none_and_rows_without_a_problem_are_refused():
    @task("down", rubric=Rubric(Criterion("down", fail_to_reach)))
    def down(rng, level):
        return Problem("x", "6")

    assert trl_reward(down)(prompts=["x"], completions=["6"], reference=["6"]) == [None]
    with pytest.raises(UserError, match="neither a column id nor a column reference"):
        trl_reward("gcd")(prompts=["x"], completions=["6"])
