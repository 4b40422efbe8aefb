"""An objective in plain text, as a run prints it at its start."""

from __future__ import annotations

from ..config.objective import CLIPPED, AdvantageConfig, Aggregate, LossConfig


def formula(loss: LossConfig, advantages: AdvantageConfig) -> str:
    """The whole objective in plain text: one line each for advantage, ratio, token loss, average, KL and entropy."""
    lines = [
        f"advantage    {_advantage_formula(loss, advantages)}",
        f"token loss   {_token_formula(loss)}",
        f"average      {_AVERAGES[loss.aggregation]}, counted over the whole batch of an optimizer step",
        f"KL           {_kl_formula(loss)}",
    ]
    bonus = f"- {loss.entropy_coef:g} * entropy per token, averaged likewise" if loss.entropy_coef else "no bonus"
    return "\n".join([*lines, f"entropy      {bonus}"])


_AVERAGES: dict[Aggregate, str] = {
    "sequence_mean": "sum over tokens / tokens of the completion, then sum over completions / completions",
    "token_mean": "sum over all tokens / tokens",
    "constant": "sum over all tokens / (completions * length limit)",
    "sequence_sum": "sum over all tokens / completions",
}


def _advantage_formula(loss: LossConfig, advantages: AdvantageConfig) -> str:
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
        text += f"; then A <- (A - mean of A over the batch) / ({std} of A over the batch + {advantages.epsilon:g})"
    if taken_off:
        text += f"; R = r - {loss.kl_coef:g} * KL of the completion"
    return text + "; r: the reward; abstained completions leave every mean and get A = 0"


def _token_formula(loss: LossConfig) -> str:
    ratio = "r_t = p_now / p_sampled of the token"
    if loss.kind in CLIPPED:
        name = "s" if loss.kind == "gspo" else "r_t"
        definition = "s = exp(mean over the completion of log p_now / p_sampled)" if name == "s" else ratio
        low, high = 1 - loss.clip_low, 1 + loss.clip_high
        first = name if loss.delta is None else f"min({name}, {loss.delta:g})"
        text = f"-min({first} * A, clip({name}, {low:g}, {high:g}) * A)"
        if loss.dual_clip is not None:
            text = f"A < 0: min({text}, -{loss.dual_clip:g} * A); else {text}"
        offsets = f"offsets {loss.clip_low:g} below and {loss.clip_high:g} above 1"
        bound = "" if loss.delta is None else f"; two-sided bound {loss.delta:g} absolute"
        bound = bound if loss.dual_clip is None else f"; dual clip {loss.dual_clip:g} absolute"
        return f"{text}; {definition}; clip by {offsets}{bound}"
    if loss.kind == "cispo":
        return f"-sg(min(r_t, {loss.ratio_cap:g})) * A * log p_now; {ratio}; cap absolute; sg: no gradient"
    if loss.kind == "sapo":
        taus = f"tau = {loss.tau_positive:g} where A > 0, else {loss.tau_negative:g}"
        return f"-(4 / tau) * sigmoid(tau * (r_t - 1)) * A; {taus}; {ratio}; no clip"
    if loss.kind == "gmpo":
        clip = f"A > 0: min(log r_t, {loss.log_clip:g}); else max(log r_t, -{loss.log_clip:g})"
        return f"-A * exp(mean over the completion of c_t); c_t = {clip}; {ratio}; clip absolute, in nats"
    return "-A * log p_now; no ratio, no clip: one update per batch"


def _kl_formula(loss: LossConfig) -> str:
    if loss.kl_coef == 0:
        return "none"
    x = "x = log p_now - log p_reference"
    estimate = {"k1": f"k1 = {x[4:]}", "k2": f"k2 = x^2 / 2, {x}", "k3": f"k3 = exp(-x) - 1 + x, {x}"}
    if loss.kl_in == "loss":
        return f"in the loss: + {loss.kl_coef:g} * {estimate[loss.kl_estimator]}, averaged like the token loss"
    text = estimate[loss.kl_estimator].replace("p_now", "p_sampled")
    return f"in the reward, no gradient: {loss.kl_coef:g} * sum over the completion of {text}"
