"""What makes two evaluations the same one: settings, task, problems, prompts, verifiers, model.

An evaluation that was begun is gone on with where all of it agrees. Samples and problems alone may grow: a
completion depends on its problem and its number, never on how many there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from ...tasks import Task
from ...tasks.core.errors import shorten
from ...tasks.core.world_hash import hash_worlds
from ...verifiers.version import hash_rubric
from ..config.evaluation import EvalConfig
from ..config.settings import Setting, list_settings
from ..storage.sources import find_source_file
from .hashes import chain_hashes, hash_bytes, hash_source

GROWING = ("samples", "problems")
HASHED = {"task", "data", "model", "reward_model", "prompt_template"}
"""Settings that name something whose content counts, not its name."""
FREE = {
    *("out", "k", "baseline", "device", "dtype", "weights", "threads", "rows", "allow_weak_sandbox"),
    *("trust_remote_code", "checkpoint"),
    *("concurrency", "requests_per_minute", "retries", "timeout", "key_variable"),
}
"""Settings that change no completion and no verdict; device and arithmetic stand among the facts."""
WORDS = {
    "task": "the task",
    "task_source": "the task's code",
    "problems": "the problems, their references or metadata",
    "prompts": "the prompts as the model reads them",
    "world": "the world of the episodes: its code, its tools or its limits",
    "verifiers": "the rubric, its parameters, or the code of the verifiers",
    "model": "the model (the hash of its files, or its name at the endpoint)",
    "reward_models": "the reward models' files",
    "device": "the device",
    "dtype": "the arithmetic",
}


@dataclass(frozen=True)
class Identity:
    """settings: those that a completion or its verdict depends on, by their short names.

    samples, problems: how many; they may grow.  facts: names and hashes of what the settings name, by the
    keys of `WORDS`.  chains: of problems and prompts, the hash of the first one, of the first two, ...
    """

    settings: Mapping[str, Any]
    samples: int
    problems: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    chains: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """What `to_dict` wrote. Raises TypeError for what is none."""
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Without the chains, of which the last hashes are among the facts."""
        return {name: value for name, value in vars(self).items() if name != "chains"}

    def with_facts(self, **facts: Any) -> Self:
        return replace(self, facts={**self.facts, **facts})

    def with_chain(self, name: str, items: Iterable[Any]) -> Self:
        """With the hash of a sequence of plain data among its facts."""
        hashes = chain_hashes(items)
        last = hashes[-1] if hashes else ""
        return replace(self, chains={**self.chains, name: hashes}).with_facts(**{name: last})

    def list_differences(self, before: Identity) -> list[str]:
        """Where this one is not the evaluation that was begun, as phrases; a fact that either lacks is not
        compared, and of problems and prompts no more than both have."""
        fewer = [
            f"it has {was} {name}, now {now} are asked (there may be more, not fewer)"
            for name in GROWING
            if (now := getattr(self, name)) < (was := getattr(before, name))
        ]
        return [*self._list_settings(before), *fewer, *self._list_facts(before)]

    def _list_settings(self, before: Identity) -> list[str]:
        names = dict.fromkeys([*before.settings, *self.settings])
        pairs = {name: (before.settings.get(name), self.settings.get(name)) for name in names}
        return [
            f"{name} was {_show(was)}, now {_show(now)}" for name, (was, now) in pairs.items() if was != now
        ]

    def _list_facts(self, before: Identity) -> list[str]:
        facts = dict(self.facts)
        for name, hashes in self.chains.items():
            if self.problems < before.problems:
                del facts[name]
            elif before.problems:
                facts[name] = hashes[before.problems - 1]
        return [
            f"{WORDS[name]} changed"
            for name in WORDS
            if name in before.facts and name in facts and facts[name] != before.facts[name]
        ]


def _show(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False), 40)


def select_settings(config: EvalConfig) -> list[Setting]:
    """The settings that say what a completion and its verdict are."""
    return [s for s in list_settings(type(config)) if s.name not in FREE | HASHED | set(GROWING)]


def gather_settings(config: EvalConfig) -> dict[str, Any]:
    """Their values by their short names, as they stand in a JSON file."""
    values = {setting.name: setting.value(config) for setting in select_settings(config)}
    return json.loads(json.dumps(values))


def gather_task_facts(code: Sequence[str], task: Task, reward_models: Sequence[str] = ()) -> dict[str, Any]:
    """Names and hashes of the task and of what judges; no model is loaded.

    code: what the settings name of it.  reward_models: their folders or hub ids.
    """
    files = [path for name in code if (path := find_source_file(name)) is not None]
    return {
        "task": task.name,
        "task_source": hash_bytes(b"".join(path.read_bytes() for path in files)) if files else "",
        "verifiers": hash_rubric(task.rubric),
        **({"world": world} if (world := hash_worlds(task)) else {}),
        "reward_models": {source: hash_source(source) for source in reward_models},
    }
