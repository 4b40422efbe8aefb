"""`palaestra reward-model`"""

from __future__ import annotations


def main(argv: list[str]) -> int:
    """Fit a reward model, and say how well it predicts comparisons that it was not fitted on."""
    from ..config.parse import parse
    from ..config.reward_model import RewardModelConfig
    from ..runs.checks import check_reward_model

    config = parse(RewardModelConfig, argv, "palaestra reward-model")
    check_reward_model(config)
    from ..reward_models.run import fit_to_comparisons

    return 130 if fit_to_comparisons(config).interrupted else 0
