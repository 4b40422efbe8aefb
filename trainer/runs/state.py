"""What a run consists of: what stays the same (`Run`), what changes (`Progress`), and what comes out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...tasks import Problem, Task
from ..config.train import TrainConfig
from ..evaluation.evaluate import Evaluation
from ..rollouts.rollouts import make_sampling
from ..reports.loggers import Logger, flat
from ..algorithms.base import Learner
from ..rollouts.group import Group
from ..rollouts.rollouts import Rollouts
from ..rollouts.collect import Position
from ..rollouts.ledger import Ledger
from .tripwires import Watch


@dataclass
class Progress:
    """Where a run stands: everything that changes from step to step but for the weights and the optimizer.

    step: steps done.  position: in the train stream.  ledger: what is known of each problem.  watch: of the tripwires.
    """

    step: int = 0
    position: Position = field(default_factory=Position)
    ledger: Ledger = field(default_factory=Ledger)
    watch: Watch = field(default_factory=Watch)
    best_pass_rate: float = -1.0
    best_step: int = -1

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Progress:
        position, ledger, watch = Position(**plain["position"]), Ledger.of(plain["ledger"]["items"]), Watch(**plain["watch"])
        return cls(plain["step"], position, ledger, watch, plain["best_pass_rate"], plain["best_step"])


@dataclass(frozen=True)
class Evaluations:
    """Greedy and sampled evaluation at one step."""

    step: int
    greedy: Evaluation
    sampled: Evaluation


@dataclass(frozen=True)
class RunResult:
    """folder: of the run.  model: folder of the trained model.  interrupted: stopped by a signal, state saved."""

    folder: Path
    model: Path
    evaluations: list[Evaluations] = field(default_factory=list)
    interrupted: bool = False


@dataclass(frozen=True)
class Run:
    """What stays the same during a run."""

    config: TrainConfig
    folder: Path
    learner: Learner
    task: Task
    rollouts: Rollouts
    held_out: list[Problem]

    loggers: Sequence[Logger] = ()

    def log(self, line: Mapping[str, Any]) -> None:
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        values = flat({name: value for name, value in line.items() if name not in ("kind", "step")}, f"{line['kind']}/")
        for logger in self.loggers:
            logger.log(line["step"], values)

    def sample(self, problems: Sequence[Problem], step: int) -> list[Group]:
        """Scored completions of the problems, as step `step` draws them from the policy's weights of now."""
        self.rollouts.engine.load(self.learner.policy, step)
        config = self.config
        return self.rollouts.sample_groups(problems, config.group_size, make_sampling(config), (config.seed, step))

    def close(self) -> None:
        self.rollouts.close()
        for logger in self.loggers:
            logger.close()
