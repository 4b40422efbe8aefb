"""Games of TextArena for one player as episodes: `textarena:FrozenLake-v0-random`.

Its games draw from the process's random numbers: each episode has a state of them of its own, which is put in
place for as long as it is asked, so that worlds beside each other don't disturb one another. What a game pays
for having come half the way, an invalid move included, is not counted: 1 is won.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Any

from ...verifiers import Rubric
from ...verifiers.criteria.reached import reached
from ..common.games import MOST_ACTION, Game, read_said
from ..core.episode import EpisodeLimits
from ..core.errors import TaskError, UnknownTask, shorten
from ..core.packaged import import_extra
from ..core.problem import Problem
from ..core.sources import Procedural
from ..core.task import Task

PACKAGE = "textarena"
STEPS = 100
OWN = "PLAYER_ACTION"  # an observation of what the player said


def names() -> list[str]:
    """The games whose names say that they are for anybody; none where the package is not installed. What is
    for one player alone is known once it is made."""
    try:
        games = import_module(PACKAGE).envs.registration.ENV_REGISTRY
    except ImportError:
        return []
    return [f"{PACKAGE}:{each}" for each in sorted(games) if not each.endswith(("-raw", "-train"))]


def find(name: str) -> Task:
    """The task of that name. Raises UnknownTask where there is no such game, TaskError where the package is
    not installed, or for one that can't be made here or is no game for one."""
    games = import_extra(PACKAGE, f"{PACKAGE}:{name}").envs.registration.ENV_REGISTRY
    if f"{name}-raw" not in games:
        raise UnknownTask(f"textarena has no game {name!r}. It has {', '.join(map(str, names()[:8]))}, ...")
    try:
        TextArenaWorld(Problem("", {"game": name, "seed": 0}))
    except Exception as failure:  # it wants data from the network, or more players
        raise TaskError(
            f"textarena's {name} can't be played here by one: {shorten(str(failure))}"
        ) from failure

    def generate(rng: random.Random, _level: int) -> Problem:
        reference = {"game": name, "seed": rng.getrandbits(31)}
        opening = TextArenaWorld(Problem("", reference)).opening
        # what is hidden differs from game to game, though the words may be the same
        return Problem(f"{opening}\n(Game {reference['seed']}.)", reference)

    return Task(
        f"{PACKAGE}:{name}",
        Procedural(f"{PACKAGE}:{name}", generate),
        Rubric(reached(low=-1.0)),
        kind="logic",
        summary=f"TextArena's {name}, for one player",
        origin=f"procedural, by textarena {version(PACKAGE)}",
        licence="MIT",
        citation="Guertler et al. 2025, TextArena, arXiv:2504.11442",
        episode=TextArenaWorld,
        limits=EpisodeLimits(turns=STEPS),
    )


class TextArenaWorld(Game):
    """A game. opening: what it says before the first turn."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(STEPS)
        self.random = random.Random(problem.reference["seed"]).getstate()
        with self.own_random():
            self.env: Any = import_module(PACKAGE).make(f"{problem.reference['game']}-raw")
            self.env.reset(num_players=1, seed=problem.reference["seed"])
        self.opening = self.hear()

    @contextmanager
    def own_random(self) -> Iterator[None]:
        """This game's random numbers in the place of the process's."""
        others = random.getstate()
        random.setstate(self.random)
        try:
            yield
        finally:
            self.random = random.getstate()
            random.setstate(others)

    def hear(self) -> str:
        """What the game says since it was last heard, without what the player said. Some games give that with
        the fields of an observation in another order: then its kind is a text."""
        _, messages = self.env.get_observation()
        said = [text for _, text, kind in messages if not isinstance(kind, str) and kind.name != OWN]
        return "\n".join(said).strip()

    def answer(self, said: str) -> str:
        action = read_said(said)[-MOST_ACTION:]
        with self.own_random():
            over, _ = self.env.step(action)
        if not over:
            return self.hear()
        rewards, info = self.env.close()
        return self.end(str(info[0].get("reason", "It is over."))[:MOST_ACTION], _read_reward(rewards[0]))


def _read_reward(reward: float | str) -> float:
    """1 for a game that is won, what is below 0 down to -1, else 0. It is a text where a game gives what was
    wrong with a move in the place of the move's reward: no such move wins."""
    if isinstance(reward, str):
        return 0.0
    return 1.0 if reward >= 1 else max(-1.0, min(0.0, float(reward)))
