"""Environments of OpenEnv, served by anybody, as episodes: `openenv:http://localhost:8000`.

An episode is a session of the server's, reset with the problem's seed. An action of one text is said as it
is, any other as a JSON object, as the server's schema has it. The reward is the last step's, or their sum
(`-o pays=sum`), held to -1 to 1: won is 1. What a step paid is its turn's reward, for a rubric with
`criteria.turn_rewards`.
"""

from __future__ import annotations

import json
import random
import urllib.request
import weakref
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Literal

from ...verifiers import Rubric
from ...verifiers.criteria.reached import reached
from ...verifiers.criteria.turn_rewards import MOST_REWARD
from ...verifiers.types import Unavailable
from ..common.games import Game, hold_reward, read_said
from ..core.episode import EpisodeLimits
from ..core.errors import TaskError, UnknownTask, shorten, tell_failure
from ..core.packaged import import_extra
from ..core.problem import Problem
from ..core.sources import Procedural
from ..core.task import Task
from ..core.tools.schema import parse_json

PACKAGE = "openenv"
STEPS = 50
CONNECT_S, STEP_S = 5.0, 4.0  # for a session to begin, and for one answer
MOST_MB, MOST_SCHEMA = 1.0, 1 << 20  # of one answer, and bytes of the schema
REFUSED = ("INVALID_JSON)", "VALIDATION_ERROR)")  # how the client ends the news of an action that is none
OWN_FIELDS = ("metadata", "reward", "done")  # of every action and observation


def names() -> list[str]:
    """None: an environment is named by its address."""
    return []


def find(name: str) -> Task:
    """The task of the server at an address. Raises UnknownTask where no server answers there, TaskError where
    the package is not installed, for one whose episodes can't be repeated, or with one session."""
    import_client(f"{PACKAGE}:{name}")
    if not name.startswith(("http://", "https://")):
        raise UnknownTask(f"{PACKAGE}:{name} is no address. Give one: openenv:http://localhost:8000")
    form = read_form(name)
    try:
        first = OpenEnvWorld(Problem("", {"url": name, "seed": 0}))
        twin = OpenEnvWorld(Problem("", {"url": name, "seed": 0}))  # beside it, as rollouts are
    except Exception as failure:
        raise TaskError(
            f"The server at {name} does not begin two sessions at once ({tell_failure(failure)}). Start it"
            " with max_concurrent_envs of at least the completions of a step."
        ) from failure
    if first.opening != twin.opening:
        raise TaskError(f"The server at {name} begins the same seed in two ways: no episode can be repeated.")
    for world in (first, twin):
        world.close()

    def generate(rng: random.Random, _level: int, *, pays: Literal["last", "sum"] = "last") -> Problem:
        if pays not in ("last", "sum"):
            raise TaskError(f"{PACKAGE} pays 'last' or 'sum', not {pays!r}.")
        seed = rng.getrandbits(31)
        opening = read_opening(name, seed)
        # what is hidden differs from seed to seed, though the words may be the same
        told = f"{opening}\n{form}\n(Episode {seed}.)".strip()
        return Problem(told, {"url": name, "seed": seed, "opening": opening, "pays": pays})

    return Task(
        f"{PACKAGE}:{name}",
        Procedural(f"{PACKAGE}:{name}", generate),
        Rubric(reached(low=-1.0)),
        kind="logic",
        summary=f"the OpenEnv environment served at {name}",
        origin=f"procedural, by a server of OpenEnv (client {_find_version()})",
        citation="Meta PyTorch and Hugging Face 2025, OpenEnv, https://github.com/meta-pytorch/OpenEnv",
        episode=OpenEnvWorld,
        limits=EpisodeLimits(turns=STEPS),
    )


def import_client(what: str = PACKAGE) -> Any:
    """The package's client. Raises TaskError where it is not installed. what: needs it."""
    return import_extra(PACKAGE, what, "openenv.core.generic_client")


def _find_version() -> str:
    try:
        return version("openenv")
    except ImportError:
        return version("openenv-core")


@lru_cache(8)
def read_fields(url: str) -> dict[str, Any]:
    """The fields of an action and their schemas, as the server tells. Raises UnknownTask."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/schema", timeout=CONNECT_S) as answer:
            told = parse_json(answer.read(MOST_SCHEMA).decode())
        fields = told["action"]["properties"]
        return {key: dict(schema) for key, schema in fields.items() if key not in OWN_FIELDS}
    except Exception as failure:  # nobody answers there, or says something else
        raise UnknownTask(
            f"No OpenEnv server tells its schema at {url}: {tell_failure(failure)}."
        ) from failure


def read_form(url: str) -> str:
    """How an action is written, as the policy is told; "" where it is one text."""
    fields = read_fields(url)
    if find_text(fields):
        return ""
    kinds = ", ".join(f"{json.dumps(key)}: {schema.get('type', 'any')}" for key, schema in fields.items())
    return f"Say one action a turn, as a JSON object: {{{kinds}}}"


def find_text(fields: Mapping[str, Any]) -> str:
    """The one field of an action that is a text and nothing else; "" where there is none."""
    (only, *others) = fields or [""]
    return only if only and not others and fields[only].get("type") == "string" else ""


@lru_cache(4096)
def read_opening(url: str, seed: int) -> str:
    """What the server says at the start. Raises TaskError where it does not answer."""
    try:
        world = OpenEnvWorld(Problem("", {"url": url, "seed": seed}))
    except Exception as failure:
        raise TaskError(f"The server at {url} begins no session: {tell_failure(failure)}.") from failure
    world.close()
    return world.opening


class OpenEnvWorld(Game):
    """A session. opening: what it says before the first turn.  reward: of the last step, 0 where there was
    none; None where it was no number that a turn can earn. Raises Unavailable where none begins."""

    reward: float | None

    def __init__(self, problem: Problem) -> None:
        super().__init__(STEPS)
        given = problem.reference
        self.url, self.pays, self.paid = given["url"], given.get("pays", "last"), 0.0
        made = import_client().GenericEnvClient(
            base_url=self.url,
            connect_timeout_s=CONNECT_S,
            message_timeout_s=STEP_S,
            max_message_size_mb=MOST_MB,
            mode="simulation",
        )
        self.env = made.sync()
        self.close = weakref.finalize(self, _close, self.env)
        try:
            self.opening = write_observation(self.env.reset(seed=given["seed"]).observation)
        except Exception as failure:
            self.close()
            raise Unavailable(
                f"The server at {self.url} begins no session: {tell_failure(failure)}"
            ) from failure
        if self.opening != given.get("opening", self.opening):
            self.close()
            raise Unavailable(f"The server at {self.url} no longer begins this seed as it did.")

    def answer(self, said: str) -> str:
        action, self.reward = read_act(said, read_fields(self.url)), 0.0
        if action is None:
            return f"{read_form(self.url) or 'Say one action.'} {self.left}"
        try:
            step = self.env.step(action)
        except RuntimeError as failure:
            if str(failure).endswith(REFUSED):
                return f"This is no action: {shorten(str(failure))}. {self.left}"
            raise
        reward = float(step.reward or 0.0)
        self.reward = reward if abs(reward) <= MOST_REWARD else None  # nan, too
        self.paid = reward if self.pays == "last" else self.paid + reward
        kept = hold_reward(self.paid)
        heard = write_observation(step.observation)
        if step.done:
            return self.end(shorten(heard, 200) or "It is over.", kept)
        self.state["reward"] = kept
        return heard

    def end(self, why: str, reward: float | None = None) -> str:
        """The session ends with the episode; what was paid so far stays where the turns are used up."""
        self.close()
        return super().end(why, self.state["reward"] if reward is None else reward)


def _close(env: Any) -> None:
    try:
        env.close()
    except Exception:  # noqa: BLE001 - of a server that is gone
        return


def read_act(said: str, fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """The action of a turn, after any think block; None where there is none."""
    text = read_said(said)
    if only := find_text(fields):
        return {only: text} if text else None
    begin = text.find("{")
    try:
        found = parse_json(text[begin : text.rfind("}") + 1]) if begin >= 0 else None
    except ValueError:
        return None
    return (
        {key: value for key, value in found.items() if key != "metadata"} if isinstance(found, dict) else None
    )


def write_observation(observation: Any) -> str:
    """An observation as a text: its one text, or a line for each field."""
    if not isinstance(observation, Mapping):
        return "" if observation is None else str(observation)
    fields = {key: value for key, value in observation.items() if key not in OWN_FIELDS and value is not None}
    if len(fields) == 1 and isinstance(only := next(iter(fields.values())), str):
        return only
    texts = (value if isinstance(value, str) else json.dumps(value) for value in fields.values())
    return "\n".join(f"{key}: {text}" for key, text in zip(fields, texts, strict=True))
