"""What a run was and what became of it, read from its folder: for the five lines that it prints, and for the
card of its model. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..intervals import Estimate, Interval
from ..reports.curves import read_metrics
from .names import CONFIG, CURVES, FACTS, SUMMARY
from .records import read_json_if_there

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Figure:
    """A number on held-out examples, as text with its 95 % interval. after: "" for a run without an end."""

    name: str
    before: str
    after: str

    @property
    def change(self) -> str:
        """From before to after."""
        return f"{self.before} before" + (f", {self.after} after" if self.after else "")


@dataclass(frozen=True)
class RunSummary:
    """folder: of the run.  command: that began it.  how: GRPO, PPO, SFT, ...  task, model: by their names as
    the settings have them.  steps: done.  asked: steps that it was begun for.  seconds: of its steps.
    held_out: problems, 0 where not known.  config, facts: as recorded, {} where they are not there."""

    folder: Path
    command: str
    how: str
    task: str
    model: str
    steps: int
    asked: int
    seconds: float
    held_out: int
    figures: Sequence[Figure]
    config: Mapping[str, Any]
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, folder: Path) -> RunSummary:
        """What the folder says. Raises UserError for a file that is damaged."""
        config, facts = read_json_if_there(folder / CONFIG), read_json_if_there(folder / FACTS)
        command = facts.get("command", "train")
        lines = read_metrics(folder)
        steps = [line for line in lines if line.get("kind") == "step"]
        evaluations = [line for line in lines if line.get("kind") == "evaluation"]
        figures = _list_figures(evaluations) if command == "train" else _list_fit_figures(folder)
        first = evaluations[0] if evaluations else {}
        return cls(
            folder,
            command,
            how=_name_method(command, config),
            task=_find_task(command, config, facts),
            model=facts.get("policy", {}).get("source") or config.get("model", {}).get("source") or UNKNOWN,
            steps=max((line["step"] for line in steps), default=0),
            asked=config.get("steps", 0),
            seconds=sum(sum(line.get("seconds", {}).values()) for line in steps),
            held_out=first.get("sampled", {}).get("problems", 0),
            figures=figures,
            config=config,
            facts=facts,
        )

    @property
    def headline(self) -> str:
        """What was trained, in a few words."""
        model = "a fresh small model" if self.model == "embedded" else self.model
        return f"{self.how} of {model}{self.where}"

    @property
    def where(self) -> str:
        """` on gcd`, the task that was learned; "" for a fit to data without one."""
        return f" on {self.task}" if self.task else ""

    @property
    def progress(self) -> str:
        """How far it came, and in what time its steps were done."""
        took = f" in {write_seconds(self.seconds)}" if self.seconds else ""
        return f"{self.steps} of {max(self.asked, self.steps)} steps{took}"

    @property
    def effect(self) -> str:
        """What became of the numbers on held-out examples."""
        if not self.figures:
            return "nothing measured on held-out problems yet"
        of = f" of {self.held_out} problems" if self.held_out else ""
        return f"held-out{of}: " + "; ".join(f"{figure.name} {figure.change}" for figure in self.figures)


def describe_run(folder: Path, model: Path, *, interrupted: bool) -> list[str]:
    """Five lines: what was trained, how far, to what effect, where it is, and how it ended.

    model: its folder.
    """
    summary = RunSummary.of(folder)
    curves = f", the curves {folder / CURVES}" if (folder / CURVES).is_file() else ""
    end = f"stopped before its end; go on with: palaestra resume {folder}"
    if not summary.config:
        end = "stopped before its first step; start it again with another --out"
    return [
        f"Run {folder}: {summary.headline}",
        f"  {summary.progress}",
        f"  {summary.effect}",
        f"  {'the model so far' if interrupted else 'the trained model'} {model}{curves}",
        f"  {end if interrupted else 'ended: all of its steps are done'}",
    ]


def write_seconds(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} minutes" if seconds < 3600 else f"{seconds / 3600:.1f} hours"


def _name_method(command: str, config: Mapping[str, Any]) -> str:
    if command != "train":
        return {"sft": "SFT", "reward-model": "reward model"}.get(command, command)
    algorithm, preset = str(config.get("algorithm", "")), config.get("objective", {}).get("preset", "")
    name = algorithm.upper() if algorithm.isalnum() else Path(algorithm).name
    return f"{name} ({preset})" if preset and preset != algorithm else name or "training"


def _find_task(command: str, config: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """The task's name, or what its file is called; "" for a fit to data without one."""
    if command == "reward-model" or (command == "sft" and config.get("imitation", {}).get("pairs")):
        return ""
    if facts.get("task"):
        return str(facts["task"]["name"])
    named = config.get("task")
    return Path(str(named.get("name", ""))).name if isinstance(named, Mapping) else ""


def _list_figures(evaluations: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Of a run of `train`: sampled and greedy, before and after."""
    figures = []
    for mode in ("sampled", "greedy"):
        told = [(line["step"], _write_headline(line[mode])) for line in evaluations if mode in line]
        if told:
            what = "pass@1" if evaluations[0][mode].get("pass_at") else "reward"
            after = told[-1][1] if told[-1][0] > told[0][0] else ""
            figures.append(Figure(f"{what} {mode}", told[0][1], after))
    return figures


def _write_headline(found: Mapping[str, Any]) -> str:
    passed = found.get("pass_at", {}).get("1")
    return str(Estimate(**passed)) if passed else str(Interval(**found["reward_interval"]))


def _list_fit_figures(folder: Path) -> list[Figure]:
    """Of a run of `sft` or `reward-model`: its summary.json, which is written at the end."""
    told = read_json_if_there(folder / SUMMARY).get("held_out", {})
    before, after = told.get("before", {}), told.get("after", {})
    return [
        Figure(name, write_number(value), write_number(after[name]) if name in after else "")
        for name, value in before.items()
        if value is not None or after.get(name) is not None
    ]


def write_number(value: Any) -> str:
    """A measured number, with its interval where it has one."""
    if isinstance(value, Mapping):
        return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
    return f"{value:.3f}" if isinstance(value, float) else "not known" if value is None else str(value)
