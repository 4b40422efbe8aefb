"""The tasks with tools: many problems, none guessed, each solved by its player at every level."""

from collections import Counter
from statistics import median

import palaestra as pal
import pytest
from cpu_time import cpu_seconds

NAMES = ("calculator", "python_tool")
DRAWN = 120


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_a_level_has_many_problems_and_none_is_guessed(name, level):
    task = pal.tasks.get(name)
    problems = [task.problem("train", index, level=level) for index in range(DRAWN)]
    assert len({problem.key for problem in problems}) == DRAWN
    answers = Counter(problem.reference for problem in problems)
    assert answers.most_common(1)[0][1] <= 0.05 * DRAWN
    assert all(problem.tools and problem.tools == problems[0].tools for problem in problems)


def guess(_problem):
    """A player who calls nothing."""
    yield "<answer>1</answer>"


@pytest.mark.parametrize("name", NAMES)
def test_the_player_wins_by_its_tool(name):
    task = pal.tasks.get(name)
    for level in (1, 4):
        for index in range(3):
            problem = task.problem("test", index, level=level)
            completion = pal.play(task, problem)
            assert task.score(completion, problem).reward == 1
            assert [call["ok"] for call in completion.state["calls"]] == [True]
            assert completion.state["calls"][0]["result"] == problem.reference
            wrong = pal.play(task, problem, guess)
            assert not task.score(wrong, problem).passed


@pytest.mark.parametrize("name", NAMES)
def test_a_problem_is_made_quickly(name):
    task = pal.tasks.get(name)
    seconds = [
        cpu_seconds(lambda index=index: task.problem("train", index, level=4)) for index in range(20)
    ]  # fmt: skip
    assert median(seconds) < 0.05
