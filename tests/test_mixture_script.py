"""The benchmark of eight tasks at once: what it shows is right, and its table counts a problem once."""

import random
from types import SimpleNamespace

import palaestra as pal
import pytest
from scripts import load_script


@pytest.fixture(scope="module")
def script():
    return load_script("benchmarks/mixture.py")


@pytest.fixture(scope="module")
def mixture(script):
    return script.make_mixture()


def test_every_demonstration_earns_the_reward(mixture):
    for problem in mixture.problems("train", 80):
        shown = mixture.demonstration(problem, random.Random(0))
        assert mixture.rubric.score(pal.Completion(shown), problem).passed, (problem.id, shown)
        assert ("<think>" in shown) == problem.id.startswith("addition/")


def evaluate(problems, passed):
    groups = [
        SimpleNamespace(problem=problem, scores_G=[SimpleNamespace(passed=each) for each in passes])
        for problem, passes in zip(problems, passed, strict=True)
    ]
    return SimpleNamespace(groups=groups)


def test_a_sum_the_other_way_round_is_no_second_problem(script, mixture):
    one, other = (
        pal.Problem(text, "5", id=f"addition/test/0/1/{index}", key=key, metadata={"level": 1})
        for index, (text, key) in enumerate((("2+3=", "2 3"), ("1+4=", "1 4")))
    )
    before = evaluate([one, other, one], [[True, False], [False, False], [False, False]])
    after = evaluate([one, other, one], [[True, True], [True, True], [True, True]])
    assert script.count_passes(mixture, before) == {
        "addition": {"2 3": [True, False, False, False], "1 4": [False, False]}
    }
    *_, row = script.write_table(mixture, before, after).splitlines()
    assert row.startswith("| `addition` | 2 | 12.5 % [")
    assert "| 100.0 % [" in row
    assert "+87.5 points" in row
