"""What every generated task keeps beyond `palaestra task check`.

Many different problems, no answer that can be guessed or copied out of the prompt, levels that get harder,
and problems that are made fast.
"""

import json
import random
import re
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from cpu_time import cpu_seconds
from fresh import run_under_seed
from palaestra import tasks
from palaestra.tasks.core.conformance import GARBAGE
from palaestra.tasks.core.sources import Procedural

ROOT = Path(__file__).parents[2]
FOLDERS = ("palaestra.tasks.math.",)
NAMES = [
    name
    for name in tasks.names()
    if isinstance(source := tasks.get(name).source, Procedural)
    and source.generate.__module__.startswith(FOLDERS)
]
LEVELS = [(name, level) for name in NAMES for level in range(1, tasks.get(name).source.levels + 1)]
DRAWN = 1_000  # of a million problems as likely as each other, this many have 0.5 pairs alike on average
ALIKE = 4  # more than expected: of 10^6, so many pairs come about once in 6,000 such sets
FEW = {("prime_factors", 1): 35_000}  # different problems, where there are less than a million
COMMON = 0.05  # share of the problems that one answer, or one number of the prompt, may be right for
SCORED = 30


@cache
def draw(name: str, level: int):
    """Problems as the generator makes them, those of both splits and those that are alike included."""
    rng, generate = random.Random(f"{name} {level}"), tasks.get(name).source.generate
    return [generate(rng, level) for _ in range(DRAWN)]


def answer_of(problem) -> str:
    reference = problem.reference
    return str(reference["answer"] if isinstance(reference, dict) else reference)


def test_the_families_of_mathematics_are_here():
    assert {"arithmetic", "factor", "remainders", "probability", "dates", "sequences"} <= {*NAMES}
    listed = re.findall(r"(?m)^\| `(\w+)` \| .* \| .* % \|", (ROOT / "docs" / "tasks.md").read_text())
    assert [name for name in listed if name in NAMES] == sorted(NAMES)


@pytest.mark.parametrize(("name", "level"), LEVELS)
def test_there_are_a_million_different_problems(name, level):
    counts = Counter(problem.key or problem.text for problem in draw(name, level))
    pairs = sum(count * (count - 1) // 2 for count in counts.values())
    expected = DRAWN * DRAWN / 2 / FEW.get((name, level), 10**6)
    assert pairs <= ALIKE + expected + 2 * expected**0.5


@pytest.mark.parametrize(("name", "level"), LEVELS)
def test_no_answer_is_worth_guessing(name, level):
    task, problems = tasks.get(name), draw(name, level)
    ((answer, count),) = Counter(map(answer_of, problems)).most_common(1)
    assert count / len(problems) <= COMMON, answer
    for guess in ("0", "1", "2", "x", "x = 0, y = 0", "1/2", "0, 1", answer):
        passed = sum(task.score(f"<answer>{guess}</answer>", problem).passed for problem in problems[:100])
        assert passed / 100 <= COMMON, guess


@pytest.mark.parametrize(("name", "level"), LEVELS)
def test_no_number_of_the_prompt_is_worth_copying(name, level):
    """By its place from the front or from the back, or as the largest or the smallest."""
    task, right = tasks.get(name), Counter()
    problems = draw(name, level)[:120]
    for problem in problems:
        numbers = re.findall(r"-?\d+(?:[./:]\d+)*", problem.text)
        picks = {
            f"at {place}": numbers[place] for place in range(-8, 8) if -len(numbers) <= place < len(numbers)
        }
        whole = [int(number) for number in numbers if re.fullmatch(r"-?\d+", number)]
        picks |= {"largest": str(max(whole)), "smallest": str(min(whole))} if whole else {}
        passing = {
            pick for pick in {*picks.values()} if task.score(f"<answer>{pick}</answer>", problem).passed
        }
        right.update(pick for pick, number in picks.items() if number in passing)
    assert not right or max(right.values()) / len(problems) <= COMMON, right.most_common(3)


@pytest.mark.parametrize(("name", "level"), LEVELS)
def test_the_prompt_and_its_parts_are_no_answer(name, level):
    """An answer that only says the question again, or a piece of it, has done nothing."""
    task = tasks.get(name)
    for problem in draw(name, level)[:SCORED]:
        pieces = re.split(
            r"[?:;,]|\. |\n| with | such that | for | is | of | from | to | and | in ", problem.text
        )
        for piece in {problem.text, *pieces}:
            if not re.fullmatch(r"\W*-?[\d.,/:]*\W*", piece):  # bare numbers are the test above
                said = re.sub(r"^\w+(?: out| up)? (?=[-(\d])|\.$", "", piece.strip())
                for text in (piece, said):
                    assert not task.score(f"<answer>{text}</answer>", problem).passed, (problem.text, text)


@pytest.mark.parametrize(("name", "level"), LEVELS)
def test_references_and_demonstrations_score_1(name, level):
    task, rng = tasks.get(name), random.Random(0)
    for problem in draw(name, level)[:SCORED]:
        shown = f"<answer>{answer_of(problem)}</answer>"
        for text in (shown, task.solution(problem), task.demonstration(problem, rng)):
            assert task.score(text, problem).reward == 1, (problem, text)
        assert task.score(f"\\boxed{{{answer_of(problem)}}}", problem).passed, problem


@pytest.mark.parametrize(("name", "level"), LEVELS)
def test_another_problem_s_answer_fails(name, level):
    task, problems = tasks.get(name), draw(name, level)[:SCORED]
    passed = sum(
        task.score(f"<answer>{answer_of(other)}</answer>", problem).passed
        for problem, other in pairwise(problems)
        if answer_of(problem) != answer_of(other)
    )
    assert passed == 0


@pytest.mark.parametrize(("name", "level"), LEVELS)
def test_prompts_are_short_ascii_and_are_worded_in_several_ways(name, level):
    problems = draw(name, level)[:200]
    for problem in problems:
        assert all(c == "\n" or " " <= c <= "~" for c in problem.text + tasks.get(name).solution(problem))
        assert len(problem.text) < 700
        assert "  " not in problem.text
        assert "+ -" not in problem.text
        assert json.loads(json.dumps(problem.reference)) == problem.reference
    assert len({re.sub(r"\W*\S*\d\S*\W*", "#", problem.text)[:40] for problem in problems}) > 1


@pytest.mark.parametrize("name", NAMES)
def test_levels_get_harder(name):
    """The operations that a script has to do, where the task counts them; else what has to be written."""

    def measure(problem) -> int:
        return problem.metadata.get("operations", len(tasks.get(name).solution(problem)))

    levels = range(1, tasks.get(name).source.levels + 1)
    means = [sum(map(measure, draw(name, level))) / DRAWN for level in levels]
    assert len(means) >= 3
    assert all(low * 1.05 < high for low, high in pairwise(means)), means


@pytest.mark.parametrize("name", NAMES)
def test_a_thousand_problems_are_made_in_a_second(name):
    task = tasks.get(name)
    seconds = cpu_seconds(lambda: [task.problem("train", index) for index in range(200)], 0.4)
    assert seconds < 0.4  # half as fast will do on a busy machine


@pytest.mark.parametrize("name", NAMES)
def test_hostile_answers_fail_quickly(name):
    task = tasks.get(name)
    problem = task.problem("train", 0)
    for text in (*GARBAGE, *(f"<answer>{each[:100_000]}</answer>" for each in GARBAGE)):
        assert cpu_seconds(lambda text=text: task.score(text, problem), 0.5) < 0.5, text[:80]
        assert not task.score(text, problem).passed, text[:80]


def test_problems_are_the_same_in_every_process():
    code = (
        "import sys, hashlib; from palaestra import tasks\n"
        "said = [repr(tasks.get(n).problem(s, i, 3)) + repr(tasks.get(n).problem(s, i, 3).metadata)"
        " for n in sys.argv[1:] for s in ('train', 'test') for i in range(8)]\n"
        "print(hashlib.sha256(repr(said).encode()).hexdigest())"
    )
    found = {run_under_seed(code, seed, *NAMES) for seed in (0, 1)}
    assert len(found) == 1
