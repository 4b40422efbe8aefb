"""One fit of a reward model from its settings: its comparisons, and the result in words."""

from __future__ import annotations

from pathlib import Path

from ..config.reward_model import RewardModelConfig
from .data import Comparison
from .metrics import PreferenceMetrics


def comparisons(config: RewardModelConfig) -> tuple[list[Comparison], list[Comparison]]:
    """(train, held-out) comparisons of the files that the settings name. Raises UserError when there are too few."""
    from ...tasks.core.errors import UserError
    from .data import held_out, read_comparisons

    if not config.data:
        raise UserError("Say what to learn from: --data COMPARISONS.jsonl (columns prompt, chosen, rejected).")
    if config.max_tokens < 2 or config.batch_size < 1:
        raise UserError("--max-tokens and --batch-size must leave room for at least one comparison.")
    found = read_comparisons([Path(path) for path in config.data])
    for reason, count in found.left_out.items():
        print(f"Left out {count} comparisons {reason}.")
    if config.eval_data:
        return found.found, read_comparisons([Path(path) for path in config.eval_data]).found
    if not 0 < config.eval_share < 1:
        raise UserError(f"--eval-share {config.eval_share} must lie above 0 and below 1; or give --eval-data.")
    train, test = held_out(found.found, config.eval_share)
    if not train or not test:
        raise UserError(
            f"{len(found.found)} comparisons can't be split by prompt into {1 - config.eval_share:.0%} and "
            f"{config.eval_share:.0%}. Give --eval-data with comparisons to hold out."
        )
    return train, test


def describe(metrics: PreferenceMetrics) -> str:
    """The metrics as lines for a person."""
    known = max(metrics.longer_preferred, 1 - metrics.longer_preferred)
    return "\n".join(
        [
            f"On {metrics.pairs} held-out pairs of {metrics.prompts} prompts:",
            f"  accuracy {metrics.accuracy}   (95 % interval; 0.5 is chance, {known:.3f} knowing lengths alone)",
            f"  loss {metrics.loss:.3f}, margin {metrics.margin:.3f} (nats), calibration error {metrics.calibration:.3f}",
            f"  reward per 100 tokens {metrics.length_slope:+.3f} standard deviations "
            f"(correlation with length {metrics.length_correlation:+.2f})",
        ]
    )
