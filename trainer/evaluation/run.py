"""One evaluation from its settings: what makes no sense together, and the result in words."""

from __future__ import annotations

from collections.abc import Mapping

from ..config.evaluation import EvalConfig
from .evaluate import Evaluation
from .winrate import WinRate

PROCEDURAL_PROBLEMS = 500


def check(config: EvalConfig) -> None:
    """Raise UserError for settings that make no sense together."""
    from ...tasks.core.errors import UserError

    if not config.model:
        raise UserError("Say which model: --model HUB_ID_OR_FOLDER.")
    if config.samples < 1:
        raise UserError(f"--samples {config.samples}: give at least 1.")
    if config.temperature == 0 and config.samples > 1:
        raise UserError("Greedy decoding gives the same completion every time: use --samples 1, or a --temperature above 0.")
    if not 0 < config.top_p <= 1:
        raise UserError(f"--top-p {config.top_p} is not above 0 and at most 1.")


def describe(result: Evaluation, config: EvalConfig, wins: Mapping[str, WinRate]) -> str:
    """The result as lines for a person."""
    mode = "greedy" if config.temperature == 0 else f"temperature {config.temperature:g}, {config.samples} sample(s) each"
    lines = [f"{config.task}, {config.split} split, {result.problems} problems, {mode}"]
    if config.extraction == "lenient":
        lines.append("  lenient extraction: answers in plain prose are read too, so this is no rate to set beside a strict one")
    lines += [f"  pass@{k:<3} {estimate}   (95 % interval)" for k, estimate in result.pass_at.items()]
    lines += [
        f"  learned reward {name} {interval}   (standard deviations above the answers its model was fitted on; no pass-rate)"
        for name, interval in result.learned.items()
    ]
    for name, win in wins.items():
        lines.append(f"  win-rate by {name} against {config.baseline}: {win}   (ties {win.ties:.1%}, counted half)")
        if win.unmatched:
            lines.append(f"    {win.unmatched} problems are on one side only and were left out")
    extracted = f"answer extracted {result.extracted:.1%}, " if result.pass_at else ""
    lines.append(f"  {extracted}truncated {result.truncated:.1%}, unscorable {result.abstained:.1%}")
    lines.append(f"  mean reward {result.reward:.3f}, mean length {result.tokens:.1f} tokens, {result.seconds:.0f} s")
    if result.too_long:
        lines.append(
            f"  {result.too_long} prompts are over {config.max_prompt_tokens} tokens and count as not passed; "
            "raise --max-prompt-tokens to try them"
        )
    return "\n".join(lines)
