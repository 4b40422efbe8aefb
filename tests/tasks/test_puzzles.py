"""The puzzles' own verifiers: what they accept, and the tricks that they refuse."""

import re

import pytest
from palaestra.tasks import Problem, get
from palaestra.tasks.common.grids import find_way
from palaestra.tasks.countdown import judge
from palaestra.tasks.frozen_lake_plan import walk
from palaestra.verifiers import Status


@pytest.mark.parametrize(
    ("numbers", "target", "text"),
    [
        ([2, 5, 4], 40, "2*5*4"),
        ([2, 5, 4], 14, "(2*5)+4"),
        ([3, 3, 8, 8], 24, "8/(3-8/3)"),
        ([1, 2], -1, "1-2"),
        ([7, 7], 1, " 7 / 7 "),
    ],
)
def test_countdown_accepts_exact_expressions(numbers, target, text):
    assert judge(numbers, target, text).correct


@pytest.mark.parametrize(
    ("numbers", "target", "text"),
    [
        ([2, 5, 4], 10, "2.5*4"),
        ([2, 5, 4], 29, "25+4"),
        ([2, 5, 4], 29, "2 5+4"),
        ([2, 5, 4], 10, "2*5"),
        ([2, 5, 4], 10, "10"),
        ([2, 5, 4], 18, "2*5+4+4"),
        ([2, 5, 4], 20, "2*5*4/2"),
        ([2, 5], 32, "2**5"),
        ([5, 2], 2, "5//2"),
        ([2, 5], 10, "２*５"),
        ([2, 5], 10, "2×5"),
        ([2, 5], 10, "2\u00a0*5"),
        ([2, 5], 10, "(2)(5)"),
        ([2, 5], 10, "int(2)*5"),
        ([2, 5], 10, "2*5=10"),
        ([2, 5], 10, "2*5#"),
        ([2, 5], 3, "-2+5"),
        ([2, 5], 10, "2_*5"),
        ([0, 5], 5, "5/0"),
        ([2, 5], 10, "2*5)"),
        ([2, 5], 10, "(" * 90 + "2*5" + ")" * 90),
        ([2, 5], 10, "2*5" + " " * 300),
        ([2, 5], 10, "2e0*5"),
        ([2, 5], 10, "__import__('os')"),
        ([2, 5], 10, ""),
    ],
)
def test_countdown_refuses(numbers, target, text):
    verdict = judge(numbers, target, text)
    assert verdict.status in (Status.WRONG, Status.MALFORMED)
    assert verdict.value == 0


LAKE = ["SFF", "HFH", "FFG"]


def test_frozen_lake_walks():
    assert find_way(LAKE, "H").moves == "RDDR"
    assert find_way(["SH", "HG"], "H").moves is None
    assert walk(LAKE, 8, "R, D, D, R").correct
    assert walk(LAKE, 8, "URDDR").correct


@pytest.mark.parametrize(
    "moves", ["D", "RDDRR", "RDD", "LLLLLLLLLLLL", "UUUURDDR" * 2, "RDDX", "rddr", "", "ＲDDR"]
)
def test_frozen_lake_refuses(moves):
    assert walk(LAKE, 8, moves).value == 0


def test_sorting_reads_lists_and_refuses_everything_else():
    problem = get("sorting").problem("test", 0)
    listed = list(map(str, problem.reference))
    assert get("sorting").score(f"<answer>{', '.join(listed)}</answer>", problem).passed
    for text in (
        " ".join(listed[::-1]),
        " ".join(listed[:-1]),
        " ".join([*listed, listed[-1]]),
        "²",
        "[]",
        "9" * 999,
    ):
        assert not get("sorting").score(f"<answer>{text}</answer>", problem).passed


@pytest.mark.parametrize("name", ["countdown", "sorting", "frozen_lake_plan", "gcd", "small_numbers"])
def test_every_level_has_many_problems_in_short_ascii(name):
    task = get(name)
    for level in range(1, task.source.levels + 1):
        for split in task.splits:
            found = task.problems(split, 200, level=level)
            assert len(found) == 200, (level, split)
            for problem in found:
                assert all(c == "\n" or " " <= c <= "~" for c in problem.text + task.solution(problem))
                assert len(problem.text) < 200
                assert task.score(task.solution(problem), problem).reward == 1


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("7", True),
        ("3 + 4 = 7", True),
        ("The answer is 7.", True),
        (" 7 apples\n", True),
        ("8, no: 7", False),
        ("1 2 3 4 5 6 7", False),
        ("5 6 7", False),
        ("99 and 7", False),
        ("9; 7", False),
        ("4 + 3", False),
        ("-7", False),
        ("70", False),
        ("7.5", False),
        ("seven", False),
        ("", False),
        ("7\n7", False),
        ("1 2 3\n4 5 6\n7", False),
        ("Is it 7?", False),
        ("What is 4 + 3? 7", False),
    ],
)
def test_small_numbers_reads_the_last_number_of_one_line(text, right):
    problem = Problem("What is 4 + 3?", "7", metadata={"kind": "sum"})
    assert get("small_numbers").score(text, problem).passed is right


def test_small_numbers_are_about_what_they_say():
    task, operations = get("small_numbers"), {"+": int.__add__, "-": int.__sub__, "x": int.__mul__}
    kinds = set()
    for problem in task.problems("train", 400, level=2):
        kinds.add(problem.metadata["kind"])
        numbers = [int(number) for number in re.findall(r"\d+", problem.text)]
        sign = next((sign for sign in operations if f" {sign} " in problem.text), None)
        if "comes after" in problem.text:
            sign, numbers = "+", [*numbers, 1]
        sign = sign or ("+" if "gets" in problem.text else "-")
        assert str(operations[sign](*numbers)) == problem.reference, problem.text
        assert int(problem.reference) > 0
    assert kinds == {"sum", "difference", "product", "next", "more", "left"}
