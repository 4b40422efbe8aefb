"""What holds of every generated task in a subject's folder, at each of its levels."""

import hashlib
import json
import random
import sys
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import mean

import pytest
from cpu_time import cpu_seconds
from fresh import run_under_seed
from palaestra import tasks
from palaestra.tasks.core.sources import Procedural
from palaestra.tasks.core.task import REGISTERED

FOLDERS = ("logic", "code", "language")
DRAWN = 250
MOST_SHARED = (
    1  # problems among them that come again: one collision in DRAWN drawn from 10^6 has a chance of 3 %
)
GUESSED = 0.05  # of the problems, solved by one answer to all of them
SLOWEST_S = 0.01  # of processor time for a problem; what each takes is in docs/tasks.md
MEGABYTE = 1_000_000


def of_folders() -> list[str]:
    tasks.names()
    return sorted(
        name
        for name, task in REGISTERED.items()
        if isinstance(task.source, Procedural) and task.source.generate.__module__.split(".")[-2] in FOLDERS
    )


NAMES = of_folders()


@cache
def draw(name: str, level: int) -> list:
    return [tasks.get(name).problem("train", index, level=level) for index in range(DRAWN)]


def levels(name: str) -> range:
    return range(1, tasks.get(name).source.levels + 1)


def runs_programs(name: str) -> bool:
    return tasks.get(name).rubric.correctness.start is not None


def test_there_are_families_of_logic_code_and_language():
    assert len(NAMES) >= 25
    assert {tasks.get(name).kind for name in NAMES} == {"logic", "code", "language"}
    assert all(tasks.get(name).source.levels == 4 for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_level_has_many_problems_and_none_is_guessed(name):
    task = tasks.get(name)
    for level in levels(name):
        problems = draw(name, level)
        assert len({problem.key for problem in problems}) >= DRAWN - MOST_SHARED, level
        assert len({problem.text for problem in problems}) >= DRAWN - MOST_SHARED, level
        answers = Counter(task.solution(problem).rpartition("</think>")[2] for problem in problems)
        assert answers.most_common(1)[0][1] <= GUESSED * DRAWN, (level, answers.most_common(1))
        if runs_programs(name):
            continue
        for answer, _ in answers.most_common(3):
            guessed = sum(task.score(answer, problem).passed for problem in problems[:120])
            assert guessed <= 0.06 * 120, (level, answer)


@pytest.mark.parametrize("name", NAMES)
def test_solutions_and_demonstrations_are_right_and_show_their_work(name):
    task = tasks.get(name)
    for level in levels(name):
        for problem in draw(name, level)[: 2 if runs_programs(name) else 25]:
            for text in (task.solution(problem), task.demonstration(problem, random.Random(0))):
                assert task.score(text, problem).reward == 1, (problem.id, text)
                assert text.isascii()
                assert "<think>" in text or name in ("code_golf", "function_synthesis")
            assert problem.text.isascii()
            assert json.loads(json.dumps(problem.reference)) == problem.reference
            assert json.loads(json.dumps(problem.metadata)) is not None


@pytest.mark.parametrize("name", NAMES)
def test_levels_get_harder(name):
    """By the steps of a scripted solver, and by how many problems one solves that errs once in so many."""
    task = tasks.get(name)
    count_work = sys.modules[task.source.generate.__module__].count_work
    work, solved = [], []
    for level in levels(name):
        problems = draw(name, level)[:120]
        work.append(mean(map(count_work, problems[:60])))
        texts = [task.attempt(problem, random.Random(problem.id)) for problem in problems]
        solved.append(sum(text == task.solution(p) for text, p in zip(texts, problems, strict=True)))
    assert all(more > 1.15 * less for less, more in pairwise(work)), work
    assert all(fewer < more for more, fewer in pairwise(solved)), solved


@pytest.mark.parametrize("name", NAMES)
def test_problems_are_made_quickly(name):
    task = tasks.get(name)
    for level in levels(name):
        seconds = cpu_seconds(
            lambda level=level: [task.problem("train", index, 1, level) for index in range(20)],
            10 * SLOWEST_S,
        )
        assert seconds < 20 * SLOWEST_S, (level, seconds / 20)


def digest() -> str:
    """Of problems of every level with their solutions and demonstrations."""
    said = []
    for name in NAMES:
        task = tasks.get(name)
        for level in levels(name):
            for problem in (task.problem(split, 3, 5, level) for split in task.splits):
                said += [repr(problem), task.solution(problem), task.demonstration(problem, random.Random(1))]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


def test_problems_are_the_same_under_any_hash_seed():
    path = [str(Path(__file__).parent), *sys.path]
    code = f"import sys; sys.path[:] = {path!r}\nimport test_families\nprint(test_families.digest())"
    expected = digest()
    assert [run_under_seed(code, seed).strip() for seed in (1, 2)] == [expected] * 2


PIECES = ("A=1 ", "1,", "a", " ", "A B ", ".", "UD", "(", "\n", "a b. ")


@pytest.mark.parametrize("name", [name for name in NAMES if not runs_programs(name)])
def test_a_megabyte_is_judged_at_once(name):
    task = tasks.get(name)
    problem = draw(name, 4)[0]
    for piece in PIECES:
        text = f"<answer>{piece * ((MEGABYTE - 80) // len(piece))}</answer>"
        assert cpu_seconds(lambda text=text: task.score(text, problem), 0.2) < 0.4, piece
        assert not task.score(text, problem).passed


@pytest.mark.parametrize("name", [name for name in NAMES if not runs_programs(name)])
def test_an_answer_as_long_as_is_read_is_judged_at_once(name):
    task = tasks.get(name)
    problem = draw(name, 4)[0]
    for size in (190, 1_990, 3_990):
        for piece in (*PIECES, "abcdefgh", "0" * 17 + " "):
            text = f"<answer>{piece * (size // len(piece))}</answer>"
            assert cpu_seconds(lambda text=text: task.score(text, problem), 0.05) < 0.1, (size, piece)
