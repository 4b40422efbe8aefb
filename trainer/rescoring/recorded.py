"""What a run or an evaluation has written of its completions, ready to be judged again. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError, shorten
from ...verifiers import Completion, Verdict
from ..config.evaluation import EvalConfig
from ..config.settings import merge
from ..config.train import TrainConfig
from ..evaluation.measured import read_verdict
from ..storage.folders import find_settings
from ..storage.names import COMPLETIONS, CONFIG, FACTS, ROLLOUTS
from ..storage.records import complain_of_line, read_json
from ..storage.rows import read_completion, read_scored


@dataclass(frozen=True)
class Source:
    """The folder of a run or of an evaluation. path: of its completions.

    config: its settings; those of a run that went on with others as they were at its end.
    """

    folder: Path
    config: TrainConfig | EvalConfig
    facts: Mapping[str, Any]

    def read_configs(self, steps: Iterable[int]) -> dict[int, TrainConfig]:
        """The settings under which a run took each of these steps, one object where they are the same."""
        now = read_json(self.folder / CONFIG)
        parts: dict[str, TrainConfig] = {}
        found: dict[int, TrainConfig] = {}
        for step in steps:
            values = {n: v for n, v in find_settings(self.facts, now, step).items() if n != "stop_after"}
            key = json.dumps(values, sort_keys=True)
            if key not in parts:
                parts[key] = merge(TrainConfig(), values, str(self.folder / CONFIG))
            found[step] = parts[key]
        return found

    @property
    def path(self) -> Path:
        return self.folder / (ROLLOUTS if isinstance(self.config, TrainConfig) else COMPLETIONS)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A completion with what was found of it then.

    step: of a run, 0 in an evaluation.  group: a number that the completions of one problem in one step
    share. learned: normalised rewards of reward models, by their criterion.  tokens_by_turn: of an episode of
    a run, how many the policy drew first, how many the world answered, and so on in turn.
    """

    step: int
    group: int
    sample: int
    problem: str
    prompt: str
    reference: Any
    completion: Completion
    reward: float
    passed: bool
    abstained: bool
    verdicts: Mapping[str, Verdict]
    learned: Mapping[str, float]
    tokens_by_turn: tuple[int, ...] = ()


def open_source(folder: Path) -> Source:
    """Raises UserError for what is neither a run of `palaestra train` nor an evaluation, or has no completion
    yet."""
    for name in (FACTS, CONFIG):
        if not (folder / name).is_file():
            raise UserError(
                f"{folder} is no run and no evaluation: it holds no {name}. Give the folder of a `palaestra "
                "train` or `palaestra eval`."
            )
    facts = read_json(folder / FACTS, ("command",))
    kinds = {"train": TrainConfig, "eval": EvalConfig}
    kind = kinds.get(facts["command"])
    if kind is None:
        raise UserError(
            f"{folder} is a run of `palaestra {facts['command']}`: it has no verdicts to judge anew."
        )
    values = {name: value for name, value in read_json(folder / CONFIG).items() if name != "stop_after"}
    source = Source(folder, merge(kind(), values, str(folder / CONFIG)), facts)
    if not source.path.is_file():
        raise UserError(f"{folder} holds no completion yet: there is no {source.path.name}.")
    return source


def read_recorded(source: Source) -> Iterator[Recorded]:
    """Every completion in the order of the file. Raises UserError, with the file, for a row that is none."""
    last: dict[tuple[int, str], tuple[int, int]] = {}  # group and sample of a problem's last row in a step
    count = 0
    seen: dict[tuple[int, str, int], int] = {}  # of an evaluation, which draws a problem once
    once = isinstance(source.config, EvalConfig)
    for number, values in read_scored(source.path):
        step, key = values.get("step", 0), values["id"]
        group, before = last.get((step, key), (count, -1))
        sample = values.get("sample", before + 1)
        if once and (earlier := seen.setdefault((step, key, sample), number)) != number:
            raise complain_of_line(source.path, number, f"its completion is in line {earlier} already")
        if before < 0 or (sample <= before and not once):
            group, count = count, count + 1  # a step may draw a problem twice: its rows are of two groups
        last[step, key] = group, sample
        try:
            yield _read(values, step, group, sample)
        except (
            KeyError,
            TypeError,
            ValueError,
        ) as failure:  # a verdict's value beyond what its status allows
            raise complain_of_line(source.path, number, shorten(str(failure), 80)) from failure


def _read(values: Mapping[str, Any], step: int, group: int, sample: int) -> Recorded:
    return Recorded(
        step, group, sample, values["id"], values.get("prompt", ""), values.get("reference"),
        read_completion(values),
        float(values["reward"]), values["passed"], values["abstained"],
        {name: read_verdict(said) for name, said in values["verdicts"].items()},
        dict(values.get("learned", {})), tuple(values.get("tokens_by_turn", ())),
    )  # fmt: skip
