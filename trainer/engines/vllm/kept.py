"""What was left by top-k, top-p and min-p when each token was drawn, found again by the policy's own pass.

A server tells the log-probability of a token among what was left, and not what that was. N tokens of a
completion, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ....verifiers.types import KeptTokens
from ...model.kept import list_kept_ids, pack_kept_ids
from ...model.policy import Policy
from ..base import Sampling
from ..drawing import filter_logits


@torch.no_grad()
def find_kept(
    policy: Policy, prompt_ids: Sequence[int], ids: Sequence[int], sampling: Sampling
) -> KeptTokens:
    """The set that each of `ids` was drawn among under the policy's weights, itself included: where the
    server's rounding kept a token at the edge that the policy's leaves out, it stays."""
    tokens = torch.tensor([[*prompt_ids, *ids]], device=policy.device)
    with policy.autocast():
        logits_NV = policy.model(input_ids=tokens, use_cache=False).logits[0, len(prompt_ids) - 1 : -1]
    logits_NV = logits_NV.float() / sampling.temperature
    kept_NV = filter_logits(logits_NV, sampling.top_k, sampling.top_p, sampling.min_p).isfinite()
    kept_NV.scatter_(1, tokens[0, len(prompt_ids) :, None], True)
    return pack_kept_ids(list_kept_ids(kept_NV))
