"""The policy losses and advantages in float64 NumPy, one completion at a time: no masks, no padding,
no batching.

Written from the papers' formulas, independently of the torch code that is held against it.
"""

import numpy as np


def advantages(rewards, scale="none", ddof=1, epsilon=0.0, leave_one_out=False):
    rewards = np.asarray(rewards, float)
    if leave_one_out:
        centred = np.array([r - np.delete(rewards, i).mean() for i, r in enumerate(rewards)])
    else:
        centred = rewards - rewards.mean()
    return centred / (rewards.std(ddof=ddof) + epsilon) if scale == "group" else centred


def kl(logp, ref, estimator):
    x = logp - ref
    return {"k1": x, "k2": x * x / 2, "k3": np.exp(-x) - 1 + x}[estimator]


def surrogate(r, a, low, high, dual=None, delta=None):
    loss = max(-min(r, delta or np.inf) * a, -min(max(r, 1 - low), 1 + high) * a)
    return min(loss, -dual * a) if dual and a < 0 else loss


def token_ratio(logp, x, a, c):
    return np.array([surrogate(r, a, c.clip_low, c.clip_high, c.dual_clip, c.delta) for r in np.exp(x)])


def sequence_ratio(logp, x, a, c):
    s = np.exp(x.mean())
    return np.full(len(x), surrogate(s, a, c.clip_low, c.clip_high, c.dual_clip, c.delta))


def capped_weight(logp, x, a, c):
    return -np.minimum(np.exp(x), c.ratio_cap) * a * logp


def soft_gate(logp, x, a, c):
    t = c.tau_positive if a > 0 else c.tau_negative
    return -(4 / t) / (1 + np.exp(-t * (np.exp(x) - 1))) * a


def geometric_mean(logp, x, a, c):
    """(prod of |min(r A, clip(r) A)|)^(1/T) with the sign of A."""
    r = np.exp(x)
    clipped = np.clip(r, np.exp(-c.log_clip), np.exp(c.log_clip))
    product = np.prod(np.abs(np.minimum(r * a, clipped * a)) ** (1 / len(r)))
    return np.full(len(r), -np.sign(a) * product)


def log_likelihood(logp, x, a, c):
    return -a * logp


def squared_log_ratio(logp, x, a, c):
    return -a * logp + 0.1 / 2 * np.sum(x) ** 2 / len(x)


SEQUENCES = {
    "grpo": token_ratio,
    "dapo": token_ratio,
    "dr_grpo": token_ratio,
    "bnpo": token_ratio,
    "gspo": sequence_ratio,
    "cispo": capped_weight,
    "sapo": soft_gate,
    "gmpo": geometric_mean,
    "reinforce": log_likelihood,
    "kimi": squared_log_ratio,  # examples/own_loss.py
}
"""Name of a kind -> token losses of one completion, from log p, log-ratio x, advantage a, settings c."""

AVERAGES = {
    "grpo": "sequence_mean",
    "dapo": "token_mean",
    "dr_grpo": "constant",
    "bnpo": "token_mean",
    "gspo": "sequence_mean",
    "cispo": "token_mean",
    "sapo": "sequence_mean",
    "gmpo": "sequence_mean",
    "reinforce": "sequence_sum",
    "kimi": "sequence_sum",
}
"""Name of a kind -> the average of its paper."""


def batch(average, tokens, limit=None):
    """One number from the token losses of all completions."""
    if average == "sequence_mean":
        return np.mean([t.mean() for t in tokens])
    divisor = {
        "token_mean": sum(map(len, tokens)),
        "constant": len(tokens) * (limit or 0),
        "sequence_sum": len(tokens),
    }[average]
    return sum(t.sum() for t in tokens) / divisor


def gae(rewards, values, gamma, lam):
    """Advantages of one completion: the sum of equation 16, not its recursion."""
    following = np.append(values[1:], 0.0)
    deltas = np.asarray(rewards) + gamma * following - values
    return np.array(
        [sum((gamma * lam) ** n * d for n, d in enumerate(deltas[t:])) for t in range(len(deltas))]
    )


def value_loss(values, old, returns, kind, clip=0.2, huber=1.0):
    """Token losses of one completion."""
    error = values - returns
    if kind == "huber":
        return np.where(abs(error) <= huber, error**2 / 2, huber * (abs(error) - huber / 2))
    near = np.clip(values, old - clip, old + clip)
    return np.maximum(error**2, (near - returns) ** 2) / 2 if kind == "clipped" else error**2 / 2


def preference_loss(rankings, margin=0.0, centre=0.0):
    """Rankings: per prompt (rewards, ranks); a prompt without a pair does not count."""
    prompts = []
    for rewards, ranks in rankings:
        pairs = [
            (a, b)
            for a, i in zip(rewards, ranks, strict=True)
            for b, j in zip(rewards, ranks, strict=True)
            if i < j
        ]
        if pairs:
            prompts.append(
                np.mean([np.log1p(np.exp(-(a - b - margin))) + centre * (a + b) ** 2 for a, b in pairs])
            )
    return np.mean(prompts)
