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


def clip_cov(logp, x, a, c, marked):
    """Clip-Cov, Cui et al. 2025, section 4: r A where unmarked, 0 where marked; clipped as PPO does."""
    return np.where(marked, 0.0, token_ratio(logp, x, a, c))


def kl_cov(logp, x, a, c, marked):
    """KL-Cov, Cui et al. 2025, section 4, the divergence as in the authors' code: |log p_now / p_old|."""
    return -np.exp(x) * a + np.where(marked, c.kl_cov_coef * abs(x), 0.0)


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
    "clip_cov": clip_cov,
    "kl_cov": kl_cov,
}
"""Name of a kind -> token losses of one completion, from log p, log-ratio x, advantage a, settings c, and
of a kind that marks tokens, which of them are."""

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
    "clip_cov": "token_mean",
    "kl_cov": "token_mean",
}
"""Name of a kind -> the average of its paper."""


def covariances(logps, advantages):
    """Cui et al. 2025, section 4, of each token of each completion; advantages: one a completion."""
    everything = np.concatenate(logps)
    spread = np.concatenate([np.full(len(p), a) for p, a in zip(logps, advantages, strict=True)])
    return [
        (np.asarray(p) - everything.mean()) * (a - spread.mean())
        for p, a in zip(logps, advantages, strict=True)
    ]


def mark_clip_cov(logps, log_ratios, advantages, draws, c):
    """Clip-Cov: places (row, token) drawn from those whose covariance is within the bounds.

    Tokens that the clip has taken out already are no candidates (the authors' code); drawn are those with
    the smallest of `draws`.
    """
    candidates = []
    for i, row in enumerate(covariances(logps, advantages)):
        for t, value in enumerate(row):
            r, a = np.exp(log_ratios[i][t]), advantages[i]
            clipped = (a > 0 and r > 1 + c.clip_high) or (a < 0 and r < 1 - c.clip_low)
            if c.cov_low < value < c.cov_high and not clipped:
                candidates.append((draws[i][t], i, t))
    count = max(int(c.clip_cov_share * sum(map(len, logps))), 1)
    return {(i, t) for _, i, t in sorted(candidates)[:count]}


def mark_kl_cov(logps, advantages, draws, c):
    """KL-Cov: places of the largest covariances; draws decide between equal ones."""
    ranked = [
        (-value, draws[i][t], i, t)
        for i, row in enumerate(covariances(logps, advantages))
        for t, value in enumerate(row)
    ]
    count = max(int(c.kl_cov_share * sum(map(len, logps))), 1)
    return {(i, t) for _, _, i, t in sorted(ranked)[:count]}


def draw_at(seed, row, column):
    """SplitMix64 (Steele et al. 2014) of a place: a number in [0, 1) with 53 bits."""
    mask = 2**64 - 1
    z = (seed + ((row << 32) + column + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return ((z ^ (z >> 31)) >> 11) * 2.0**-53


def sampler_weights(before, sampled, mode, cap, floor=0.0):
    """Importance weights of one completion's tokens, from log-probabilities of trainer and sampler."""
    level, action = mode.split("_")
    difference = np.asarray(before) - np.asarray(sampled)
    log_ratio = {
        "token": difference,
        "sequence": np.full(len(difference), difference.sum()),
        "geometric": np.full(len(difference), difference.mean()),
    }[level]
    ratio = np.exp(log_ratio)
    if action == "truncate":
        return np.array([min(max(r, floor), cap) for r in ratio])
    return np.array([r if floor <= r <= cap else 0.0 for r in ratio])


def rewards_to_come(reward, kl, beta):
    """REINFORCE++, eq. 8: the reward less beta times the KL of this token and of all that follow it."""
    return np.array([reward - beta * sum(kl[t:]) for t in range(len(kl))])


def normalise_tokens(rows, ddof=1, epsilon=0.0):
    """REINFORCE++, eq. 10: over all tokens of the batch."""
    everything = np.concatenate(rows)
    return [(row - everything.mean()) / (everything.std(ddof=ddof) + epsilon) for row in rows]


def normalise_then_sum(values_PGK, weights_K, ddof=1, epsilon=0.0):
    """GDPO: each criterion normalised in its group, the weighted sum normalised over the batch."""
    values = np.asarray(values_PGK, float)
    summed = np.zeros(values.shape[:2])
    for p, group in enumerate(values):
        for k, weight in enumerate(weights_K):
            column = group[:, k]
            summed[p] += weight * (column - column.mean()) / (column.std(ddof=ddof) + epsilon)
    return (summed - summed.mean()) / (summed.std(ddof=ddof) + epsilon)


def entropy_bonuses(entropies, start, target, step):
    """Skywork-OR1, section 4: the coefficient in force at each step, and the one that the next step has."""
    c, in_force = start, []
    for e in entropies:
        in_force.append(c if e <= target else 0.0)
        c = max(c + step if e < target else c - step if e > target else c, 0.0)
    return in_force, c


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
