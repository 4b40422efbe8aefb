"""A loss of one's own: the policy gradient with a squared log-ratio, after Kimi k1.5.

    palaestra train --loss.kind examples/own_loss.py:kimi --minibatches 4

Kimi Team 2025 (arXiv:2501.12599, section 2.3.2): with x the log-ratio of a whole completion between the
policy and the one that sampled it, the loss of the completion is

    -A log p + tau / 2 * x^2,    A = r - mean(r of the group), the default of --advantages

averaged over completions. Nothing is clipped: the square pulls back whatever the updates of a batch move.

To write another one, copy this file. Rows of a tensor are whole completions (B), columns their tokens (T);
what is masked is 0 in all inputs.
"""

from __future__ import annotations

import palaestra as pal

TAU = 0.1
"""Weight of the square, in reward per nat^2; a larger one takes smaller steps.
0.1 is no figure of the paper."""


def regularise_log_ratio(inputs: pal.Inputs, config: pal.LossConfig) -> pal.Terms:  # noqa: ARG001 - a kind's signature
    """The loss of each token. The square belongs to the completion; its tokens carry equal shares of it."""
    length_B1 = inputs.keep_BT.sum(1, keepdim=True).clamp(min=1)
    log_ratio_B1 = inputs.log_ratio_BT.sum(1, keepdim=True)
    square_B1 = TAU / 2 * log_ratio_B1**2 / length_B1
    return pal.Terms(square_B1 - inputs.advantages_BT * inputs.logprobs_BT)


def write_formula(config: pal.LossConfig) -> str:  # noqa: ARG001 - a formula's signature
    """What a run prints at its start. A kind that reads settings, such as clip_low, puts their numbers in."""
    ratio = "x = sum over the completion of log p_now / p_sampled"
    return f"-A * log p_now + {TAU / 2:g} * x^2 / tokens of the completion; {ratio}; no clip"


kimi = pal.LossKind(
    name="kimi",
    paper="Kimi Team 2025, arXiv:2501.12599",
    terms=regularise_log_ratio,
    formula=write_formula,
    aggregate="sequence_sum",
)
