"""What a criterion promises to read, it reads."""

from fractions import Fraction

import palaestra as pal
import pytest
from palaestra import Completion, Problem, Rubric, criteria
from palaestra.verifiers import rewrites


@pytest.mark.parametrize(
    ("criterion", "answers"),
    [
        (criteria.number(), ["7", "-12", "1234567", "0.5", "7/3", "+3", "1,000"]),
        (criteria.math(), ["7", "-12", "1234567", "0.5", "7/3", "\\frac{1}{3}", "x^2+1", "\\sqrt{2}", "1,3"]),
        (criteria.exact(), ["New York", "a b c"]),
        (criteria.literal(), ["[1, 2]", "(1, 'a')", "'x'", "{'a': 1}", "True"]),
        (criteria.choice(), ["A", "E"]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_is_rewritten_is_read(criterion, answers):
    assert criterion.rewrite is not None
    for answer in answers:
        problem = Problem("?", answer)
        others = list(criterion.rewrite(answer))
        assert others
        for other in others:
            score = Rubric(criterion).score(Completion(f"<answer>{other}</answer>"), problem)
            assert score.passed, (answer, other, score)


def test_a_numeral_that_is_no_number_is_left_alone():
    assert list(rewrites.rewrite_number("1000_2")) == []
    assert list(rewrites.rewrite_number("1,3")) == []
    assert list(rewrites.rewrite_number("1/0")) == []
    assert "1000_2.0" not in list(rewrites.rewrite_math("1000_2"))


def test_programs_keep_their_meaning():
    source = "def f(x):\n    return x  # twice\n"
    for other in rewrites.rewrite_program(source):
        names = {}
        exec(other, names)
        assert names["f"](Fraction(1, 2)) == Fraction(1, 2)
    assert len(list(rewrites.rewrite_program("def f(:"))) == 3  # what does not parse has no other layout


def test_rewrites_of_the_tasks_own_answers():
    for name in ("countdown", "sorting", "frozen_lake_plan"):
        task = pal.tasks.get(name)
        problem = task.problem("train", 0)
        answer = task.solution(problem).rpartition("<answer>")[2].removesuffix("</answer>")
        others = list(task.rubric.correctness.rewrite(answer))
        assert len(others) == 2
        assert all(task.score(f"<answer>{other}</answer>", problem).passed for other in others)
