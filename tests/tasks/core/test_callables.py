"""What a task is given as its world, player, limits or tools is looked at when the task is made."""

from functools import partial

import palaestra as pal
import pytest
from palaestra.tasks import Problem, TaskError, task
from palaestra.verifiers import Rubric


class World:
    def __init__(self, problem, hints=0):
        self.state = {"reward": 0}

    def reply(self, said):
        return None


class Unasked(World):
    def reply(self):
        return None


class Slow(World):
    async def reply(self, said):
        return None


class Yielding(World):
    def reply(self, said):
        yield said


class Static(World):
    @staticmethod
    def reply(said):
        return None


class Given:
    """Gets its reply when it is made."""

    def __init__(self, problem):
        self.reply = str.upper


class Crowded(World):
    def __init__(self, problem, level):
        super().__init__(problem)


async def wake(problem):
    return World(problem)


def make_task(**given):
    @task("given", rubric=Rubric(pal.criteria.reached()), **given)
    def given_task(rng, level):
        """Say something."""
        yield Problem(f"Say {rng.random()}.", "1")

    return given_task


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"episode": 7}, "is 7: give a class"),
        ({"episode": Crowded}, r"takes \(problem, level\): it is called with a problem alone"),
        ({"episode": lambda: World(None)}, r"takes \(\): it is called with a problem alone"),
        ({"episode": Unasked}, "called with what was said alone"),
        ({"episode": Slow}, "waits or yields"),
        ({"episode": wake}, "waits or yields: give a class"),
        ({"episode": Yielding}, "waits or yields"),
        ({"episode": World, "player": "halve"}, "The player of task given is 'halve'"),
        ({"episode": World, "limits": {"turns": 3}}, "give an EpisodeLimits"),
        ({"epsiode": World}, "no field 'epsiode'. Did you mean 'episode'?"),
        ({"tools": len}, "Tools are a list of functions"),
        ({"tools": "calculator"}, "Tools are a list of functions"),
    ],
)
def test_what_can_be_no_episode_is_refused_with_a_sentence(given, reason):
    with pytest.raises(TaskError, match=reason):
        make_task(**given)


@pytest.mark.parametrize(
    "episode", [World, partial(World, hints=2), lambda problem: World(problem), Static, Given]
)
def test_what_makes_worlds_is_taken(episode):
    assert make_task(episode=episode).episode is episode
