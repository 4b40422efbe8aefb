"""An objective in plain text, as a run prints it at its start."""

from __future__ import annotations

from ..config.objective import AdvantageConfig, Aggregate, LossConfig
from ..config.train import RolloutConfig
from .kinds import choose_aggregate, find_kind


def write_formula(loss: LossConfig, advantages: AdvantageConfig | str) -> str:
    """The whole objective in plain text.

    One line each for advantage, token loss, average, KL, entropy, and correction where there is one.

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
    lines.append(f"entropy      {_write_entropy(loss)}")
    if not loss.corrects:
        return "\n".join(lines)
    # The ratio of the KL stays one to the sampler.
    corrected = [
        text if text.startswith("KL") else text.replace("p_now / p_sampled", "p_now / p_before")
        for text in lines
    ]
    return "\n".join([*corrected, f"correction   {_write_correction(loss)}"])


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
    by_token = loss.kl_coef > 0 and loss.kl_in == "tokens"
    reward = "G" if advantages.turns == "returns" else "R" if taken_off else "r"
    baseline = {
        "mean": f"{reward} - mean({reward} of the group)",
        "leave_one_out": f"{reward} - mean({reward} of the others in the group)",
        "none": reward,
    }[advantages.baseline]
    std = f"std(ddof={advantages.ddof})"
    text = f"A = {baseline}"
    if advantages.scale != "none":
        over = _name_scale(advantages)
        text = f"A = ({baseline}) / ({std} of {reward} over the {over} + {advantages.epsilon:g})"
    reward = "r: the reward"
    if advantages.aggregation == "normalise_then_sum":
        text = text.replace("A = ", "A = sum over the rubric's criteria of weight * ", 1)
        reward = "r: the value of the criterion, a penalty for length being one of weight 1"
    text += _write_turns(advantages, "R" if taken_off else "r")
    if by_token:
        text = text.replace("A = ", "A_t = ", 1)
        text += f" - {loss.kl_coef:g} * sum of the KL of token t and of all that follow it"
    if advantages.normalise_batch:
        whole = "batch" if advantages.over == "batch" else "task's part of the batch"
        a, over = ("A_t", f"all tokens of the {whole}") if by_token else ("A", f"the {whole}")
        text += (
            f"; then {a} <- ({a} - mean of {a} over {over}) / ({std} of {a} over {over} + "
            f"{advantages.epsilon:g})"
        )
    if taken_off:
        text += f"; R = r - {loss.kl_coef:g} * KL of the completion"
    return f"{text}; {reward}; abstained completions leave every mean and get A = 0"


def _write_turns(advantages: AdvantageConfig, reward: str) -> str:
    discounted = f"discounted by {advantages.turn_gamma:g} per turn"
    return {
        "whole": "",
        "returns": f"; G: what of {reward} the turn of the token and those after it earned, {discounted}, "
        "among the group's turns of its number",
        "mt_grpo": "; of a turn: the sum of A of what it and each later turn but the last earned, among what "
        f"the group earned at its number, 0 once ended, and of A of the rest of {reward}, {discounted}",
        "gigpo": f"; of a turn: A + {advantages.turn_weight:g} * A of what of {reward} it and those after it "
        f"earned, {discounted}, among the group's turns that answer the same words",
    }[advantages.turns]


def _name_scale(advantages: AdvantageConfig) -> str:
    by_task = advantages.scale == "batch" and advantages.over == "task"
    return "task's part of the batch" if by_task else advantages.scale


def _write_kl(loss: LossConfig) -> str:
    if loss.kl_coef == 0:
        return "none"
    x = "x = log p_now - log p_reference"
    estimate = {"k1": f"k1 = {x[4:]}", "k2": f"k2 = x^2 / 2, {x}", "k3": f"k3 = exp(-x) - 1 + x, {x}"}
    if loss.kl_in == "loss":
        ratio = "r_t * k_t with r_t = p_now / p_sampled of the token, k_t: " if loss.kl_correction else ""
        term = f"{loss.kl_coef:g} * {ratio}{estimate[loss.kl_estimator]}"
        return f"in the loss: + {term}, averaged like the token loss"
    text = estimate[loss.kl_estimator].replace("p_now", "p_sampled")
    over = "sum over the completion of" if loss.kl_in == "reward" else "at each token"
    return f"in the reward, no gradient: {loss.kl_coef:g} * {over} {text}"


def _write_entropy(loss: LossConfig) -> str:
    if not loss.entropy_target:
        bonus = f"- {loss.entropy_coef:g} * entropy per token, averaged likewise"
        return bonus if loss.entropy_coef else "no bonus"
    target, step = f"{loss.entropy_target:g} nats", f"{loss.entropy_step:g}"
    return (
        f"- alpha * entropy per token, averaged likewise; alpha = c in a step whose e <= {target}, else 0; "
        f"e: the mean entropy before the update; c starts at {loss.entropy_coef:g}; after each step "
        f"c <- c + {step} where e < {target}, c - {step} where it is above, at least 0"
    )


def _write_correction(loss: LossConfig) -> str:
    level, action = loss.correction.split("_")
    ratio = {
        "token": "p_before / p_sampled of the token",
        "sequence": "product over the completion of p_before / p_sampled",
        "geometric": "exp(mean over the completion of log p_before / p_sampled)",
    }[level]
    floor, cap = f"{loss.correction_floor:g}", f"{loss.correction_cap:g}"
    bounded = f"u where {floor} <= u <= {cap}, else 0" if action == "mask" else f"clip(u, {floor}, {cap})"
    return (
        f"token loss times w = {bounded}; u = {ratio}; p_before: the trainer's own, before the update; no "
        "gradient through w, and what it masks stays in the average's denominator"
    )
