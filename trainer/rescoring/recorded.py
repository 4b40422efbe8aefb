"""What a run or an evaluation has written of its completions, ready to be judged again. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tasks.core.errors import UserError, shorten
from ...verifiers import Completion, Verdict
from ...verifiers.types import Usage
from ..config.evaluation import EvalConfig
from ..config.settings import merge
from ..config.train import TrainConfig
from ..evaluation.measured import FACTS, ROWS, read_verdict
from ..storage.records import complain_of_line, read_json
from ..storage.rows import read_scored

ROLLOUTS, CONFIG = "rollouts.jsonl", "config.json"


@dataclass(frozen=True)
class Source:
    """The folder of a run or of an evaluation. path: of its completions."""

    folder: Path
    config: TrainConfig | EvalConfig
    facts: Mapping[str, Any]

    @property
    def path(self) -> Path:
        return self.folder / (ROLLOUTS if isinstance(self.config, TrainConfig) else ROWS)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A completion with what was found of it then.

    step: of a run, 0 in an evaluation.  group: a number that the completions of one problem in one step
    share. learned: normalised rewards of reward models, by their criterion.
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
    sizes: dict[tuple[int, str], int] = {}
    size = source.config.rollouts.group_size if isinstance(source.config, TrainConfig) else 0
    groups: dict[tuple[int, str, int], int] = {}
    seen: dict[tuple[int, int], int] = {}
    for number, values in read_scored(source.path):
        step, key = values.get("step", 0), values["id"]
        place = sizes.get((step, key), 0)
        sizes[step, key] = place + 1
        # A step may draw a problem twice: its rows are those of two groups.
        group = groups.setdefault((step, key, place // size if size else 0), len(groups))
        sample = values.get("sample", place % size if size else place)
        if (earlier := seen.setdefault((group, sample), number)) != number:
            raise complain_of_line(source.path, number, f"its completion is in line {earlier} already")
        try:
            yield _read(values, step, group, sample)
        except (
            KeyError,
            TypeError,
            ValueError,
        ) as failure:  # a verdict's value beyond what its status allows
            raise complain_of_line(source.path, number, shorten(str(failure), 80)) from failure


def _read(values: Mapping[str, Any], step: int, group: int, sample: int) -> Recorded:
    completion = Completion(
        values["completion"],
        finish_reason=values["finish_reason"],
        usage=Usage(values["tokens"], values.get("prompt_tokens", 0)),
        reasoning=str(values.get("reasoning", "")),
    )
    return Recorded(
        step, group, sample, values["id"], values.get("prompt", ""), values.get("reference"), completion,
        float(values["reward"]), values["passed"], values["abstained"],
        {name: read_verdict(said) for name, said in values["verdicts"].items()},
        dict(values.get("learned", {})),
    )  # fmt: skip
