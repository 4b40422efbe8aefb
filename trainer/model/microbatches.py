"""An update in micro-batches, smaller ones once memory has run out."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from ...tasks.core.errors import RunError
from ..config.settings import resolve
from ..config.shared import OptimizerConfig
from .casts import hold_casts
from .dense.packed import can_pack
from .logprobs import SHARDED_PASS
from .machine import is_out_of_memory
from .policy import Policy
from .sequences import UPDATE_TOKENS, Sequences, split_into_microbatches

Result = TypeVar("Result")
_HALVED = "_palaestra_microbatch"  # on the model: tokens in a micro-batch after memory ran out once


def choose_microbatch_tokens(config: OptimizerConfig) -> int:
    """The most tokens of a micro-batch of an update: those asked for, or UPDATE_TOKENS."""
    return resolve(config.tokens_per_microbatch, UPDATE_TOKENS)


def run_microbatches(
    policy: Policy, sequences: Sequences, tokens: int, run: Callable[[torch.Tensor], Result], *others: Any
) -> list[Result]:
    """`run(rows_B)` for the micro-batches of at most `tokens` tokens of an update;
    half of that once memory has run out.

    run: adds the gradients of these rows.  others: modules beside the policy's that it adds gradients to.
    """
    with policy.autocast():
        packed = can_pack(policy.model)

    def run_all(most: int) -> list[Result]:
        with hold_casts(policy.device):
            return [run(rows_B) for rows_B in split_into_microbatches(sequences, most, packed)]

    return halve_when_out_of_memory(policy.model, tokens, run_all, *others)


def halve_when_out_of_memory(
    model: Any, tokens: int, attempt: Callable[[int], Result], *others: Any
) -> Result:
    """`attempt(tokens)`, which adds gradients to a model (and others) that has none; when memory runs out,
    with half.

    Once in a run. The gradient is begun afresh, so it is the same; the model remembers the smaller size for
    all later steps. Raises UserError when memory runs out again.
    """
    halved = getattr(model, _HALVED, None)
    try:
        return attempt(min(tokens, halved or tokens))
    except (RuntimeError, MemoryError) as failure:
        if not is_out_of_memory(failure):
            raise
        if halved is not None or hasattr(model, SHARDED_PASS):  # other processes have begun theirs
            raise RunError(
                f"Memory ran out in the update, with micro-batches of {halved or tokens} tokens, "
                f"{'halved once already' if halved else 'which processes can not halve alone'}: make them "
                "smaller, or lower --max-new-tokens.",
                f"--tokens-per-microbatch {max(1, (halved or tokens) // 2)}",
            ) from failure
        reason = str(failure).split("\n")[0]
    # Outside of the handler: the exception held the frames, and these their tensors.
    for module in (model, *others):
        module.zero_grad(set_to_none=True)
    setattr(model, _HALVED, max(1, tokens // 2))
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    print(
        (
            f"Memory ran out in the update ({reason[:120]}); going on with micro-batches of {tokens // 2} "
            "tokens."
        ),
        file=sys.stderr,
    )
    return halve_when_out_of_memory(model, tokens, attempt, *others)
