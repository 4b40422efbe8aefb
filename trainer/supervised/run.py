"""The run of a fit: held-out numbers before, during, after; checkpoints, the model at the end, going on."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ...verifiers.display import write_html
from ..config.settings import Auto, resolve
from ..config.shared import OptimizerConfig, OutputConfig
from ..model.optim import restore
from ..reports import curves
from ..reports.progress import is_due
from ..storage import checkpoint
from ..storage.atomic import write_folder
from ..storage.background import Saver
from ..storage.folders import RunFolder, forget_after
from ..storage.interrupts import Interrupts, tell_how_to_go_on
from ..storage.names import CURVES, SUMMARY
from ..storage.records import write_json
from ..storage.summary import Figure, write_number
from .loop import Fit, Pace, run_fit

Numbers = Mapping[str, Any]


@dataclass(frozen=True)
class FitRun:
    """measure: the numbers on held-out examples.

    save_model: writes a model, or a copy of it, as `from_pretrained` loads it, for a checkpoint.
    save_final: the same for the model at the end.  title: of its curves.  threads: as the settings have them;
    auto takes those of the start when the run goes on.
    """

    folder: RunFolder
    fit: Fit
    pace: Pace
    optimizer: OptimizerConfig
    output: OutputConfig
    stop_after: int
    eval_every: int
    measure: Callable[[], Numbers]
    save_model: Callable[[Any, Path], None]
    save_final: Callable[[Path], None]
    title: str
    threads: int | Auto = "auto"
    saver: Saver = field(default_factory=lambda: Saver(background=False))


@dataclass(frozen=True)
class FitOutcome:
    """folder: of the run.  model: folder of the model.

    before, after: held-out numbers; after is None when interrupted.
    """

    folder: Path
    model: Path
    before: Numbers
    after: Numbers | None
    steps: int

    @property
    def interrupted(self) -> bool:
        return self.after is None

    def metrics(self, kind: str = "step") -> list[dict[str, Any]]:
        """The run's lines of metrics.jsonl of one kind, from its start on."""
        return [line for line in curves.read_metrics(self.folder) if line["kind"] == kind]

    def __str__(self) -> str:
        what = "stopped, the model so far" if self.interrupted else "the model"
        after = self.after or {}
        figures = [
            Figure(name, write_number(value), write_number(after[name]) if name in after else "")
            for name, value in self.before.items()
        ]
        lines = [f"held-out {figure.name}: {figure.change}" for figure in figures]
        return "\n".join([f"Run {self.folder}, {self.steps} steps, {what} {self.model}", *lines])

    def __repr__(self) -> str:
        told = self.before if self.after is None else self.after
        figures = "".join(f", {name} {write_number(value)}" for name, value in list(told.items())[:3])
        ended = ", interrupted" if self.interrupted else ""
        return f"FitOutcome({str(self.folder)!r}, {self.steps} steps{ended}{figures})"

    def _repr_html_(self) -> str:
        return write_html(self)


def begin_fit(run: FitRun, say: Callable[[str], None]) -> FitOutcome:
    """From the first step."""
    with tell_how_to_go_on(run.folder):
        return _take_steps(run, run.measure(), 0, None, say)


def resume_fit(run: FitRun, state: Mapping[str, Any], say: Callable[[str], None]) -> FitOutcome:
    """From the checkpoint whose state this is, as if the run had never stopped.

    The model holds its weights already.
    """
    torch.set_num_threads(resolve(run.threads, state["threads"]))
    optimizer = run.fit.make_optimizer(run.optimizer, run.pace.seed)
    restore(optimizer, state["optimizer"])
    forget_after(run.folder.path, state["step"])
    with tell_how_to_go_on(run.folder):
        return _take_steps(run, state["before"], state["step"], optimizer, say)


def _take_steps(
    run: FitRun,
    before: Numbers,
    begin: int,
    optimizer: torch.optim.Optimizer | None,
    say: Callable[[str], None],
) -> FitOutcome:
    folder, pace = run.folder, run.pace
    with Interrupts() as stop:

        def after_step(step: int, loss: float, optimizer: torch.optim.Optimizer) -> None:
            last = step == pace.steps
            if run.stop_after and step == begin + run.stop_after and not last:
                stop.requested = "--stop-after"
            rate = optimizer.param_groups[0]["lr"]
            line: dict[str, Any] = {"kind": "step", "step": step, "loss": loss, "learning_rate": rate}
            if is_due(step, run.eval_every) and not last:
                line["held_out"] = run.measure()
            folder.log(line)
            run.saver.check()
            if last or is_due(step, run.output.save_every) or stop.requested:
                _save(run, step, before, optimizer, loss)

        try:
            with run.saver:
                result = run_fit(
                    run.fit,
                    pace,
                    run.optimizer,
                    stop,
                    begin=begin,
                    optimizer=optimizer,
                    after_step=after_step,
                )
        finally:
            folder.close()
    done = begin + len(result.losses)
    if result.interrupted:
        say(
            f"Stopped by {stop.requested} at step {done}; go on with: "
            f"{shlex.join(['palaestra', 'resume', str(folder.path)])}"
        )
        return FitOutcome(folder.path, checkpoint.locate(folder.checkpoints, done), before, None, done)
    after = run.measure()
    write_folder(folder.model, run.save_final)
    lines = [line for line in curves.read_metrics(folder.path) if line["kind"] == "step"]
    summary = {
        "held_out": {"before": before, "after": after},
        "steps": done,
        "losses": [line["loss"] for line in lines],
    }
    write_json(folder.path / SUMMARY, summary)
    measured = {line["step"]: line["held_out"]["loss"] for line in lines if "held_out" in line}
    held_out = {0: before["loss"], **measured, done: after["loss"]}
    curves.write_fit_png(folder.path / CURVES, lines, held_out, run.title)
    say(f"The curves: {folder.path / 'curves.png'}")
    return FitOutcome(folder.path, folder.model, before, after, done)


def _save(run: FitRun, step: int, before: Numbers, optimizer: torch.optim.Optimizer, loss: float) -> None:
    saver = run.saver
    model = saver.take_model(run.fit.module)
    state = saver.take_state(
        {
            "step": step,
            "before": dict(before),
            "optimizer": optimizer.state_dict(),
            "threads": torch.get_num_threads(),
        }
    )

    def write() -> None:
        folder, write_model = run.folder.checkpoints, partial(run.save_model, model)
        checkpoint.save(folder, step, write_model, state, {"loss": loss}, saver.wanted)
        if saver.wanted():
            checkpoint.prune(folder, run.output.keep, -1)

    saver.run(f"The checkpoint of step {step}", write)
