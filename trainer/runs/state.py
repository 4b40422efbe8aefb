"""What a run consists of: what stays the same (`Run`), what changes (`Progress`), and what comes out."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ...tasks import Problem, Task
from ...verifiers.display import write_html
from ..algorithms.base import Learner
from ..config.train import TrainConfig
from ..distributed.world import find_world
from ..engines.sync import SyncProof
from ..evaluation.evaluate import Evaluation
from ..model.lora_saving import ADAPTER, save_adapters
from ..model.policy import Policy
from ..reports.curves import read_metrics
from ..rollouts.group import Group
from ..rollouts.ledger import Ledger
from ..rollouts.rollouts import Rollouts, make_sampling
from ..rollouts.stream import Position
from ..storage.background import Saver
from ..storage.folders import RunFolder
from ..storage.names import CURVES, ROLLOUTS
from ..storage.rows import read_completions
from ..storage.summary import describe_run
from .tripwires import Watch
from .weights import Rates


@dataclass
class Progress:
    """Where a run stands: everything that changes from step to step but for the weights and the optimizer.

    step: steps done.  position: in the train stream.  ledger: what is known of each problem.
    watch: of the tripwires.  rates: of the criteria whose weights follow them.
    """

    step: int = 0
    position: Position = field(default_factory=Position)
    ledger: Ledger = field(default_factory=Ledger)
    watch: Watch = field(default_factory=Watch)
    rates: Rates = field(default_factory=Rates)
    best_pass_rate: float = -1.0
    best_step: int = -1

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Progress:
        position, ledger, watch = (
            Position(**plain["position"]),
            Ledger.of(plain["ledger"]),
            Watch(**plain["watch"]),
        )
        rates = Rates(**plain.get("rates", {}))
        return cls(plain["step"], position, ledger, watch, rates, plain["best_pass_rate"], plain["best_step"])


@dataclass(frozen=True)
class Evaluations:
    """Greedy and sampled evaluation at one step."""

    step: int
    greedy: Evaluation
    sampled: Evaluation

    def __str__(self) -> str:
        what = "pass@1" if self.sampled.pass_at else "reward"
        return (
            f"step {self.step}: held-out {what} {self.sampled.headline} sampled, {self.greedy.headline} "
            "greedy"
        )


@dataclass(frozen=True)
class RunResult:
    """folder: of the run.  model: folder of the trained model.

    interrupted: stopped by a signal, state saved.
    evaluations: on held-out problems, in the order of their steps; after a resume those since then.
    """

    folder: Path
    model: Path
    evaluations: list[Evaluations] = field(default_factory=list)
    interrupted: bool = False

    def metrics(self, kind: str = "step") -> list[dict[str, Any]]:
        """The run's lines of metrics.jsonl of one kind (step, evaluation, preflight), from its start on."""
        return [line for line in read_metrics(self.folder) if line["kind"] == kind]

    def rollouts(self, step: int | None = None) -> list[dict[str, Any]]:
        """The completions that the run learned from, with their verdicts and the prompt as the model saw it
        (`rendered_prompt`), from its start on. step: only those of this step, 1 or more."""
        return read_completions(self.folder / ROLLOUTS, step)

    def __str__(self) -> str:
        return "\n".join(describe_run(self.folder, self.model, interrupted=self.interrupted))

    def __repr__(self) -> str:
        last = f", {self.evaluations[-1]}" if self.evaluations else ""
        return f"RunResult({str(self.folder)!r}{', interrupted' if self.interrupted else ''}{last})"

    def _repr_html_(self) -> str:
        curves = self.folder / CURVES
        if not curves.is_file():
            return write_html(self)
        image = base64.b64encode(curves.read_bytes()).decode("ascii")
        return f'{write_html(self)}<br><img src="data:image/png;base64,{image}" alt="the curves of the run">'


@dataclass(frozen=True)
class Run:
    """What stays the same during a run.

    sync: proves what the engine was given.
    base: the hub id or folder of the model that adapters were added to, "" for a run without adapters.
    identity: what its evaluations are of (see `evaluation.held_out`).  evaluated: called with the step after
    each of them.  saver: writes the checkpoints.
    """

    config: TrainConfig
    folder: RunFolder
    learner: Learner
    task: Task
    rollouts: Rollouts
    held_out: list[Problem]
    sync: SyncProof
    base: str = ""
    identity: Mapping[str, Any] = field(default_factory=dict, repr=False)
    evaluated: Callable[[int], None] = lambda _step: None
    saver: Saver = field(default_factory=lambda: Saver(background=False), repr=False)

    def write_checkpoint_model(self, model: Any, folder: Path) -> None:
        """The policy's model, or a copy of it, and its adapters alone beside it."""
        replace(self.learner.policy, model=model).save(folder)
        if self.base:
            save_adapters(model, folder / ADAPTER, self.base)

    def write_model(self, policy: Policy, folder: Path) -> None:
        """The model as it is now, in the type of weights that the settings ask for."""
        policy.save(folder, self.config.output.save_dtype)

    def write_adapters(self, policy: Policy, folder: Path) -> None:
        """The adapters as they are now, for PEFT."""
        save_adapters(policy.model, folder, self.base)

    def sample(self, problems: Sequence[Problem], step: int) -> list[Group]:
        """Scored completions of the problems, as step `step` draws them from the policy's weights of now."""
        self.load(step)
        rollouts, seed = self.config.rollouts, (self.config.seed, step)
        sampling = make_sampling(rollouts, record_kept=True)
        groups = self.rollouts.sample_groups(problems, rollouts.group_size, sampling, seed)
        if groups:
            self.sync.keep(groups[0].completions_G[0])
        return groups

    def load(self, step: int) -> None:
        """Give the engine the policy's weights of now, as those of a step, and prove that it has them.

        Raises RunError where it has not.
        """
        with find_world().phase("sync"):
            self.sync.load(self.rollouts.engine, self.learner.take_whole(), step)

    def hold_engine(self) -> AbstractContextManager[None]:
        """Keep the sampler that runs ahead off the engine, where they share its weights."""
        return self.sync.hold(self.rollouts.engine)

    def make_room(self) -> None:
        """For an update: what the sampler keeps between its calls is freed, where the settings say so."""
        if self.config.rollouts.keep_sampler == "no":
            self.rollouts.engine.free()

    def close(self) -> None:
        self.rollouts.close()
        self.rollouts.engine.close()
        self.folder.close()
