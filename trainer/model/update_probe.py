"""The probe of the update: its forward pass, in training mode and over padded rows, beside the model's own
over each text alone.

Shapes: B rows, T completion tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...tasks.core.errors import UserError
from . import lora
from .dense.family import find_misfit
from .logprobs import compute_logprobs
from .policy import Policy
from .probe import BOUNDS, check_positions, choose_mode, find_failure, name_type, run_alone, shorten_lengths
from .sequences import Sequences
from .tokens import list_plain_tokens

_PROMPT, _ROWS = 3, (25, 11)  # of the rows: tokens of the prompt, in all
_TRAINS = "_palaestra_trains"  # on a model: the `Setting`s in which its update was found right


@dataclass(frozen=True)
class Setting:
    """What the update's forward pass depends on beside the weights."""

    dtype: torch.dtype
    adapted: bool
    checkpointing: bool

    @classmethod
    def of(cls, policy: Policy) -> Setting:
        model = policy.model
        checkpointing = any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
        return cls(policy.dtype, lora.has_adapters(model), checkpointing)


def check_update(policy: Policy) -> None:
    """Raise UserError where the update's forward pass, in training mode and over padded rows, says something
    else than the model's own over each text alone: then the gradient would be of another policy than the
    sampler's. Tried once in each `Setting` of a model; adapters are other than 0 meanwhile."""
    bound, found = BOUNDS.get(policy.dtype, BOUNDS[torch.bfloat16]), list[float]()
    setting = Setting.of(policy)
    if setting in getattr(policy.model, _TRAINS, ()):
        return
    check_positions(policy)
    if find_misfit(policy.model):
        choose_mode(policy)  # what can't be sampled from can't be trained either
    with lora.move_adapters(policy.model):
        reason = find_failure(lambda: found.append(_measure_update(policy)))
    if reason or not found[0] <= bound:
        raise UserError(
            f"{policy.source}: a model of type {name_type(policy)} can't be trained here: over padded "
            "rows in training mode its log-probabilities are not those of its forward pass over a text alone "
            f"({reason or f'{found[0]:.2g} nats off'}; the bound is {bound:g} nats). It is not causal, reads "
            "padding, or draws at random while it trains. Take another causal language model."
        )
    setattr(policy.model, _TRAINS, (*getattr(policy.model, _TRAINS, ()), setting))


@torch.no_grad()
def _measure_update(policy: Policy) -> float:
    """Mean difference per token of the worst row."""
    model, training = policy.model, policy.model.training
    tokens = list_plain_tokens(model)
    rows = [
        [tokens[(7 * place + 5 * row) % len(tokens)] for place in range(size)]
        for row, size in enumerate(shorten_lengths(model, _ROWS))
    ]
    sequences = Sequences.of([row[:_PROMPT] for row in rows], [row[_PROMPT:] for row in rows], policy.device)
    try:
        with policy.autocast():
            model.train()
            trained_BT = compute_logprobs(model, sequences).logprobs_BT
            model.eval()
            gaps = []
            for row, trained_T in zip(rows, trained_BT, strict=True):
                half = len(row) // 2  # what comes after it must not matter to it
                parts = [run_alone(model, tuple(row[:half])), run_alone(model, tuple(row))[half:]]
                true_TV = torch.cat(parts)[_PROMPT - 1 : -1].log_softmax(-1)
                drawn_T = torch.tensor(row[_PROMPT:], device=policy.device)
                true_T = true_TV.gather(-1, drawn_T[:, None])[:, 0]
                gaps.append(float((trained_T[: len(true_T)] - true_T).abs().mean()))
            return max(gaps) if all(gap == gap for gap in gaps) else float("inf")
    finally:
        model.train(training)
