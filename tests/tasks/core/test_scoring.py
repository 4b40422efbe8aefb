"""Scoring from Python, by name, path or object."""

from pathlib import Path

import pytest
from palaestra.tasks import Problem, TaskError, get, score
from palaestra.verifiers import Completion

SIX = Problem("What is the greatest common divisor of 12 and 18?", "6")


pytestmark = pytest.mark.usefixtures("forget_tasks")


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
