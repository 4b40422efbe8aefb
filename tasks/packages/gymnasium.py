"""Text worlds of Gymnasium as episodes: `gymnasium:FrozenLake-v1`, its options those of the environment.

Served is what draws itself as text (`render_mode="ansi"`) and takes one of a few actions. An episode is won
where it ends with a reward above 0, whatever the steps before it cost. What a step paid is its turn's reward,
for a rubric with `criteria.turn_rewards`.
"""

from __future__ import annotations

import inspect
import random
import re
from collections.abc import Generator, Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Any

from ...verifiers import Rubric
from ...verifiers.criteria.reached import reached
from ..common.games import Game, read_action
from ..core.episode import EpisodeLimits
from ..core.errors import TaskError, UnknownTask, shorten
from ..core.packaged import import_extra
from ..core.problem import Problem
from ..core.sources import Procedural
from ..core.task import Task

PACKAGE = "gymnasium"
DISCOUNT, CLOSE = 0.97, 1e-3  # of the player's plan: how much a later reward is worth, and when it is made
STEPS = 100  # of an environment that sets no limit itself
# What the actions mean, which an environment does not say; others are called by their numbers.
ACTIONS = {
    "FrozenLake": ("left", "down", "right", "up"),
    "Taxi": ("south", "north", "east", "west", "pickup", "dropoff"),
}
# How a colour is written: around where one is, a passenger, a destination.
COLOURS = {"41": "[]", "42": "[]", "43": "[]", "34;1": "()", "35": "{}"}
LEGEND = "[ ] is where you are, ( ) who waits, { } where to."


def names() -> list[str]:
    """The worlds that are known to be text; none where the package is not installed."""
    try:
        registry = import_module(PACKAGE).envs.registry
    except ImportError:
        return []
    found = [each for each in registry if each.partition("-")[0].removesuffix("8x8") in ACTIONS]
    return [f"{PACKAGE}:{each}" for each in sorted(found)]


def find(name: str) -> Task:
    """The task of that name. Raises UnknownTask where there is no such environment, TaskError where the
    package is not installed, or for one that is no text world."""
    gymnasium = import_extra(PACKAGE, f"{PACKAGE}:{name}")
    try:
        made = gymnasium.make(name, render_mode="ansi")
    except Exception as failure:  # an environment that is not there, or needs what is not installed
        raise UnknownTask(
            f"gymnasium can't make a text world of {name!r}: {shorten(str(failure))}."
        ) from failure
    if "ansi" not in made.metadata.get("render_modes", ()) or not hasattr(made.action_space, "n"):
        raise TaskError(f"gymnasium's {name} is no text world with a few actions, and is not served.")
    parameters = inspect.signature(type(made.unwrapped).__init__).parameters
    given = {key: parameter.default for key, parameter in parameters.items() if key != "render_mode"}
    options = {key: value for key, value in given.items() if isinstance(value, bool | int | float)}
    steps = made.spec.max_episode_steps or STEPS
    task = Task(
        f"{PACKAGE}:{name}",
        Procedural(f"{PACKAGE}:{name}", _make_generator(name, options)),
        Rubric(reached()),
        kind="logic",
        summary=f"Gymnasium's {name}, as text, one action a turn",
        origin=f"procedural, by gymnasium {version(PACKAGE)}",
        licence="MIT",
        citation="Towers et al. 2024, Gymnasium, arXiv:2407.17032",
        episode=GymWorld,
        player=plan if _is_certain(made.unwrapped) else None,
        limits=EpisodeLimits(turns=steps, tokens_per_turn=32),
    )
    made.close()
    return task


def _is_certain(world: Any) -> bool:
    """Whether it lists its transitions, and each action has one outcome: then a plan is sure to win."""
    listed = getattr(world, "P", {}).values()
    return bool(listed) and all(len(ways) == 1 for moves in listed for ways in moves.values())


def _make_generator(name: str, options: Mapping[str, Any]):
    """A generator whose keyword options are those of the environment. A lake has a map of its own."""

    def generate(rng: random.Random, _level: int, **chosen: Any) -> Problem:
        reference: dict[str, Any] = {
            "world": name,
            "options": {**options, **chosen},
            "seed": rng.getrandbits(31),
        }
        if name.startswith("FrozenLake"):
            make_map = import_module("gymnasium.envs.toy_text.frozen_lake").generate_random_map
            reference["options"]["desc"] = make_map(8 if "8x8" in name else 4, seed=reference["seed"])
        world = GymWorld(Problem("", reference))
        actions = ", ".join(world.actions)
        return Problem(f"{world.draw()}\n{LEGEND} One action a turn: {actions}.", reference)

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(option, keyword, default=value) for option, value in options.items()]
    generate.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return generate


class GymWorld(Game):
    """An environment, drawn after each action. reward: of the last step, 0 where there was none."""

    def __init__(self, problem: Problem) -> None:
        name, options = problem.reference["world"], problem.reference["options"]
        self.env = import_module(PACKAGE).make(name, render_mode="ansi", **options)
        super().__init__(self.env.spec.max_episode_steps or STEPS)
        self.env.reset(seed=problem.reference["seed"])
        count = int(self.env.action_space.n)
        named = ACTIONS.get(name.partition("-")[0].removesuffix("8x8"), ())
        self.actions = named if len(named) == count else tuple(map(str, range(count)))

    def draw(self) -> str:
        """The picture, its colours as brackets."""
        return re.sub(r"\x1b\[([\d;]+)m(.*?)\x1b\[0m", _bracket, self.env.render()).strip("\n")

    def answer(self, said: str) -> str:
        action, self.reward = read_action(said).lower(), 0.0
        if action not in self.actions:
            return f"One of {', '.join(self.actions)}, and nothing else. {self.left}"
        _, reward, terminated, truncated, _ = self.env.step(self.actions.index(action))
        self.reward = float(reward)
        if terminated or truncated:
            return self.end("It is over.", float(reward > 0 and terminated))
        return self.draw()


def _bracket(match: re.Match[str]) -> str:
    opening, closing = COLOURS.get(match[1], "[]")
    return f"{opening}{match[2].strip() or '_'}{closing}"


def plan(problem: Problem) -> Generator[str, str, None]:
    """The best walk by value iteration over the transitions that a toy world lists, followed in a second
    world that is the same."""
    twin = GymWorld(problem)
    world = twin.env.unwrapped
    values = dict.fromkeys(world.P, 0.0)
    change = 1.0
    while change > CLOSE:
        last = values
        values = {state: max(_expect(ways, last) for ways in world.P[state].values()) for state in world.P}
        change = max(abs(values[state] - last[state]) for state in values)
    while True:
        moves = world.P[int(world.s)]
        action = twin.actions[max(moves, key=lambda move: _expect(moves[move], values))]
        yield action
        twin.answer(action)


def _expect(ways: list[tuple[float, int, float, bool]], values: Mapping[int, float]) -> float:
    """Of one action's outcomes: the mean reward and the discounted value of what follows."""
    return sum(
        chance * (reward + (not over) * DISCOUNT * values[state]) for chance, state, reward, over in ways
    )
