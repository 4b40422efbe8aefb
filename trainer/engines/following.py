"""Log-probabilities of given tokens, step by step through a decoder, as drawn ones go.

Shapes: R rows, T steps, U rows of the decoder, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..model.decoding import Decoding


def follow(decoding: Decoding, ids: Sequence[Sequence[int]], temperature: float) -> list[list[float]]:
    """Of rows, the longest first, each behind its prompt in the decoder: those that go on are the first.

    Logits are divided by the temperature.
    """
    lengths, device = [len(row) for row in ids], decoding.logits_UV.device
    padded = [[*row, *[0] * (lengths[0] - len(row))] for row in ids]
    tokens_TR = torch.tensor(padded, device=device).T.contiguous()
    logprobs_TR = torch.zeros(tokens_TR.shape, device=device)
    live = len(ids)
    for step, tokens_R in enumerate(tokens_TR):
        logits_RV = decoding.logits_UV.float() / temperature
        chosen_R = logits_RV.gather(-1, tokens_R[:live, None])[:, 0]
        logprobs_TR[step, :live] = chosen_R - logits_RV.logsumexp(-1)
        going = sum(length > step + 1 for length in lengths[:live])
        if going:
            kept_U = None if going == live else torch.arange(going, device=device)
            decoding.advance(kept_U, tokens_R[:going])
        live = going
    return [logprobs_TR[:length, row].tolist() for row, length in enumerate(lengths)]
