"""An objective in plain text, as a run prints it at its start."""

from __future__ import annotations

from ..config.objective import AdvantageConfig, Aggregate, LossConfig
from ..config.train import RolloutConfig
from .kinds import choose_aggregate, find_kind


def write_formula(loss: LossConfig, advantages: AdvantageConfig | str) -> str:
    """The whole objective in plain text.

    One line each for advantage, ratio, token loss, average, KL and entropy.

    advantages: the group's, by their settings; or the line itself, for an algorithm that has others.

    >>> import palaestra as pal
    >>> print(pal.write_formula(pal.LossConfig("reinforce"), "A = r - b").splitlines()[1])
    token loss   -A * log p_now; no ratio, no clip: one update per batch
    """
    line = advantages if isinstance(advantages, str) else _write_advantage(loss, advantages)
    lines = [
        f"advantage    {line}",
        f"token loss   {find_kind(loss.kind).formula(loss)}",
        (
            f"average      {_AVERAGES[choose_aggregate(loss)]}, counted over the whole batch of an optimizer "
            "step"
        ),
        f"KL           {_write_kl(loss)}",
    ]
    bonus = (
        f"- {loss.entropy_coef:g} * entropy per token, averaged likewise" if loss.entropy_coef else "no bonus"
    )
    return "\n".join([*lines, f"entropy      {bonus}"])


def write_truncation(rollouts: RolloutConfig) -> str:
    """Which policy the objective is about, as a line of its own; empty where it is the model's whole one.

    >>> import palaestra as pal
    >>> from palaestra.trainer.objective.formula import write_truncation
    >>> print(write_truncation(pal.TrainConfig.of(top_k=50, top_p=0.9).rollouts)[:61])
    policy       truncated: every p is normalised over the tokens
    """
    steps = [
        f"top-k {rollouts.top_k}" if rollouts.top_k else "",
        f"top-p {rollouts.top_p:g}" if rollouts.top_p < 1 else "",
        f"min-p {rollouts.min_p:g}" if rollouts.min_p else "",
    ]
    named = ", then ".join(filter(None, steps))
    if not named:
        return ""
    return (
        f"policy       truncated: every p is normalised over the tokens that {named} left when the token was "
        "drawn, held fixed in the update; KL and entropy likewise"
    )


_AVERAGES: dict[Aggregate, str] = {
    "sequence_mean": "sum over tokens / tokens of the completion, then sum over completions / completions",
    "token_mean": "sum over all tokens / tokens",
    "constant": "sum over all tokens / (completions * length limit)",
    "sequence_sum": "sum over all tokens / completions",
}


def _write_advantage(loss: LossConfig, advantages: AdvantageConfig) -> str:
    taken_off = loss.kl_coef > 0 and loss.kl_in == "reward"
    reward = "R" if taken_off else "r"
    baseline = {
        "mean": f"{reward} - mean({reward} of the group)",
        "leave_one_out": f"{reward} - mean({reward} of the others in the group)",
        "none": reward,
    }[advantages.baseline]
    std = f"std(ddof={advantages.ddof})"
    text = f"A = {baseline}"
    if advantages.scale != "none":
        text = f"A = ({baseline}) / ({std} of {reward} over the {advantages.scale} + {advantages.epsilon:g})"
    if advantages.normalise_batch:
        text += (
            f"; then A <- (A - mean of A over the batch) / ({std} of A over the batch + "
            f"{advantages.epsilon:g})"
        )
    if taken_off:
        text += f"; R = r - {loss.kl_coef:g} * KL of the completion"
    return text + "; r: the reward; abstained completions leave every mean and get A = 0"


def _write_kl(loss: LossConfig) -> str:
    if loss.kl_coef == 0:
        return "none"
    x = "x = log p_now - log p_reference"
    estimate = {"k1": f"k1 = {x[4:]}", "k2": f"k2 = x^2 / 2, {x}", "k3": f"k3 = exp(-x) - 1 + x, {x}"}
    if loss.kl_in == "loss":
        return (
            f"in the loss: + {loss.kl_coef:g} * {estimate[loss.kl_estimator]}, averaged like the token loss"
        )
    text = estimate[loss.kl_estimator].replace("p_now", "p_sampled")
    return f"in the reward, no gradient: {loss.kl_coef:g} * sum over the completion of {text}"
