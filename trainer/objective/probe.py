"""A loss of one's own is tried on two tokens before a model is loaded: its mistakes become sentences."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...tasks.core.errors import UserError
from ..config.objective import LossConfig
from .kind import Inputs, Terms
from .kinds import KINDS, find_kind


def probe_loss(config: LossConfig) -> None:
    """Raise UserError, with the loss's name and the exception, where a kind that is not of the table fails.

    It is given one completion of two tokens, and must give `Terms` whose tensors have the shape of its
    inputs (1 x 2) and whose loss has a gradient, a formula in text, and marks of that shape where it marks.
    """
    if config.kind in KINDS:
        return
    kind = find_kind(config.kind)
    logprobs_BT = torch.tensor([[-1.0, -2.0]], requires_grad=True)
    log_ratio_BT = logprobs_BT - torch.tensor([[-1.1, -1.8]])
    keep_BT = torch.ones(1, 2, dtype=torch.bool)
    inputs = Inputs(logprobs_BT, log_ratio_BT, torch.tensor([[1.0, -0.5]]), keep_BT)
    try:
        if kind.mark is not None:
            marked_BT = kind.mark(inputs, config, torch.tensor([[0.25, 0.75]], dtype=torch.float64))
            _check_marks(config, marked_BT, keep_BT)
            inputs = replace(inputs, marked_BT=marked_BT)
        terms, formula = kind.terms(inputs, config), kind.formula(config)
    except UserError:
        raise
    except Exception as failure:  # the loss is the user's: whatever it raises becomes a sentence
        raise UserError(
            f"Loss {config.kind} failed on a probe of two tokens: {type(failure).__name__}: {failure}"
        ) from failure
    if not isinstance(terms, Terms):
        raise UserError(f"Loss {config.kind}: its terms returned {terms!r}; return Terms(loss_BT).")
    if not isinstance(formula, str):
        raise UserError(f"Loss {config.kind}: its formula returned {formula!r}; return a text.")
    for name, value in vars(terms).items():
        if (value is not None or name == "loss_BT") and not _has_shape(value, keep_BT):
            shape = tuple(value.shape) if isinstance(value, Tensor) else repr(value)
            raise UserError(
                f"Loss {config.kind}: {name} is {shape} for one completion of two tokens; "
                "give a tensor with one number a token, of shape (1, 2)."
            )
    if not terms.loss_BT.requires_grad:
        raise UserError(
            f"Loss {config.kind}: loss_BT has no gradient, so nothing would be learned. "
            "Compute it from inputs.logprobs_BT or inputs.log_ratio_BT without detach()."
        )


def _check_marks(config: LossConfig, marked_BT: object, keep_BT: Tensor) -> None:
    if not (
        _has_shape(marked_BT, keep_BT) and isinstance(marked_BT, Tensor) and marked_BT.dtype is torch.bool
    ):
        shown = tuple(marked_BT.shape) if isinstance(marked_BT, Tensor) else repr(marked_BT)
        kind = f" of {marked_BT.dtype}" if isinstance(marked_BT, Tensor) else ""
        raise UserError(
            f"Loss {config.kind}: its mark returned {shown}{kind} for one completion of two tokens; give a "
            "tensor of bool with one a token, of shape (1, 2)."
        )


def _has_shape(value: object, like: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == like.shape
