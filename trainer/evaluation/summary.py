"""What an evaluation found, as plain data for its folder and as lines for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...verifiers.display import write_html
from ..config.evaluation import EvalConfig
from ..intervals import Interval
from ..storage.names import COMPLETIONS
from ..storage.rows import read_completions
from .breakdown import Breakdown
from .evaluate import Evaluation
from .folder import name_models
from .winrate import WinRate


@dataclass(frozen=True)
class EvaluationRun:
    """result: what was found.  breakdown: what it says beside the headline.
    folder: of completions.jsonl, summary.json, config.json and facts.json.

    config: what was asked.  task: its name.
    wins: against a baseline, by the reward model that judged.
    """

    result: Evaluation
    breakdown: Breakdown
    folder: Path
    config: EvalConfig = field(repr=False)
    wins: Mapping[str, WinRate] = field(default_factory=dict)
    task: str = ""

    def __str__(self) -> str:
        return describe(self)

    def completions(self) -> list[dict[str, Any]]:
        """Every completion with its verdicts and the prompt as the model saw it (`rendered_prompt`)."""
        return read_completions(self.folder / COMPLETIONS)

    def __repr__(self) -> str:
        task, what = self.config.task.name, "pass@1" if self.result.pass_at else "reward"
        return (
            f"EvaluationRun({task!r}, {self.result.problems} problems, {what} {self.result.headline}, "
            f"{str(self.folder)!r})"
        )

    def _repr_html_(self) -> str:
        return write_html(self)

    def summarise(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """summary.json: what was found, under which settings, with what. facts: those of facts.json."""
        config = self.config
        identity = facts["identity"]
        return {
            "task": identity["facts"]["task"],
            "split": config.held_out.split,
            "model": config.model.source,
            "extraction": config.held_out.extraction,
            **self.result.summarise(),
            "breakdown": self.breakdown.to_dict(),
            "baseline": config.compare.baseline,
            "win_rate": {name: asdict(win) for name, win in self.wins.items()},
            "settings": asdict(config),
            "hashes": {name: value for name, value in identity["facts"].items() if name != "task"},
            "python": facts["python"],
            "packages": facts["packages"],
            "git": facts["git"],
            **({"endpoint": facts.get("endpoint", {})} if config.endpoint.url else {}),
        }


@dataclass(frozen=True)
class Suite:
    """Several evaluations, model by model; of a run's checkpoints in the order of their steps."""

    runs: Sequence[EvaluationRun]

    def __str__(self) -> str:
        """A table: a line for each evaluation, with its interval."""
        rows = [("model", "task", "problems", "samples", "result", "extracted", "truncated", "reward")]
        models = name_models([run.config.model.source for run in self.runs])
        rows += [_make_row(run, models[run.config.model.source]) for run in self.runs]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
        return "\n".join("  ".join(line).rstrip() for line in lines)


def _make_row(run: EvaluationRun, model: str) -> tuple[str, ...]:
    result, level = run.result, run.config.task.level
    return (
        model,
        run.task if level == "all" else f"{run.task}:{level}",
        str(result.problems),
        str(result.samples),
        f"{'pass@1' if result.pass_at else 'learned reward'} {result.headline}",
        f"{result.extracted:.1%}",
        f"{result.truncated:.1%}",
        f"{result.reward:.3f}",
    )


def describe(run: EvaluationRun) -> str:
    """The result as lines for a person."""
    result, config, asked = run.result, run.config, run.config.sampling
    mode = (
        "greedy"
        if asked.temperature == 0
        else f"temperature {asked.temperature:g}, {asked.samples} sample(s) each"
    )
    lines = [f"{run.task}, {config.held_out.split} split, {result.problems} problems, {mode}"]
    if config.held_out.extraction == "lenient":
        lines.append(
            "  lenient extraction: answers in plain prose are read too, so this is no rate to set beside a "
            "strict one"
        )
    lines += [f"  pass@{k:<3} {estimate}   (95 % interval)" for k, estimate in result.pass_at.items()]
    lines += [f"  maj@{k:<4} {_show_rate(rate)}" for k, rate in run.breakdown.majority.items()]
    lines += [
        f"  learned reward {name} {interval}   (standard deviations above the answers its model was fitted "
        "on; no pass-rate)"
        for name, interval in result.learned.items()
    ]
    for name, win in run.wins.items():
        lines.append(
            f"  win-rate by {name} against {config.compare.baseline}: {win}   (ties {win.ties:.1%}, counted "
            "half)"
        )
        if win.unmatched:
            lines.append(f"    {win.unmatched} problems are on one side only and were left out")
    if len(run.breakdown.criteria) > 1:
        parts = [f"{name} {interval}" for name, interval in run.breakdown.criteria.items()]
        lines.append(f"  criteria: {', '.join(parts)}")
    extracted = f"answer extracted {result.extracted:.1%}, " if result.pass_at else ""
    lines.append(f"  {extracted}truncated {result.truncated:.1%}, unscorable {result.abstained:.1%}")
    lines.append(
        f"  mean reward {result.reward:.3f}, mean length {result.tokens:.1f} tokens, {result.seconds:.0f} s"
    )
    if result.too_long:
        lines.append(
            f"  {result.too_long} prompts are over {asked.max_prompt_tokens} tokens and count as not passed; "
            "raise --max-prompt-tokens (or lower --max-new-tokens, where the model has no more positions) to "
            "try them"
        )
    return "\n".join(lines)


def _show_rate(rate: Interval) -> str:
    if not rate.problems:
        return "no problem could be counted"
    return f"{100 * rate.value:.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
