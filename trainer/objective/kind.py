"""What a loss kind is: its terms, its formula, and the facts that the trainer asks of it. Suffixes: B rows
(completions), T tokens.

Imports no torch: terms are written with the methods of tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, get_args

from ..config.objective import AdvantageConfig, Aggregate, LossConfig

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Terms:
    """One kind's loss per token, before the average.

    clip_*_BT, dual_clip_BT: where a bound removed the gradient; bool, None where the kind has no such bound.

    >>> import palaestra as pal
    >>> import torch
    >>> pal.Terms(loss_BT=torch.zeros(2, 3)).clip_low_BT is None
    True
    """

    loss_BT: Tensor
    clip_low_BT: Tensor | None = None
    clip_high_BT: Tensor | None = None
    dual_clip_BT: Tensor | None = None


@dataclass(frozen=True)
class Inputs:
    """What a kind may use, zero where masked.

    logprobs_BT: now, in nats, with gradient. log_ratio_BT: to those at sampling, or with a correction of the
    sampler to the trainer's own before the update; in nats, within +-20, with gradient. advantages_BT:
    without gradient. keep_BT: bool, the tokens that are in the loss.
    marked_BT: bool, what the kind's `mark` said of the optimizer step's tokens; None for a kind without one.

    >>> import palaestra as pal
    >>> import torch
    >>> logprobs_BT, keep_BT = torch.tensor([[-1.0, -3.0, 0.0]]), torch.tensor([[True, True, False]])
    >>> inputs = pal.Inputs(logprobs_BT, logprobs_BT + 2, torch.ones(1, 3), keep_BT)
    >>> inputs.average_rows(inputs.logprobs_BT).tolist()
    [[-2.0]]
    """

    logprobs_BT: Tensor
    log_ratio_BT: Tensor
    advantages_BT: Tensor
    keep_BT: Tensor
    marked_BT: Tensor | None = None

    def average_rows(self, values_BT: Tensor) -> Tensor:
        """Mean over the counted tokens of each row, B x 1; 0 for a row without any."""
        length_B1 = self.keep_BT.sum(1, keepdim=True).clamp(min=1)
        return values_BT.where(self.keep_BT, 0.0).sum(1, keepdim=True) / length_B1


def accept_all(loss: LossConfig, advantages: AdvantageConfig) -> None:
    """The check of a kind that makes sense with any settings."""


@dataclass(frozen=True)
class LossKind:
    """One loss.

    paper: authors, year, arXiv number.
    terms: the loss of every token; a masked position may hold any finite number.
    formula: the loss of a token in plain text with the numbers of the settings, as a run prints it.
    aggregate: the average that the loss is defined with.
    reads: the fields of LossConfig that it reads beside aggregate, KL and entropy; others must stay at their
    defaults.
    clips_tokens: it clips the ratio of each token by itself, as PPO's surrogate does (eq. 7 of 1707.06347).
    per_sequence: all tokens of a completion carry the completion's one number, so that the average must be
    sequence_mean.
    off_policy: corrects for the policy's distance from the one that sampled; False: one update per batch.
    check: raises ValueError, with a sentence that names the fix, for settings that don't suit this kind.
    mark: for a kind that looks at all tokens of an optimizer step before they are split into micro-batches:
    from their inputs, and random numbers of theirs in [0, 1) that depend on their places alone, which of them
    are marked (bool).

    >>> import palaestra as pal
    >>> likelihood = pal.LossKind(
    ...     "likelihood",
    ...     "Williams 1992",
    ...     lambda inputs, config: pal.Terms(-inputs.advantages_BT * inputs.logprobs_BT),
    ...     formula=lambda config: "-A * log p_now",
    ...     aggregate="token_mean",
    ...     off_policy=False,
    ... )
    >>> likelihood.name
    'likelihood'
    """

    name: str
    paper: str
    terms: Callable[[Inputs, LossConfig], Terms]
    formula: Callable[[LossConfig], str]
    aggregate: Aggregate
    reads: tuple[str, ...] = ()
    clips_tokens: bool = False
    per_sequence: bool = False
    off_policy: bool = True
    check: Callable[[LossConfig, AdvantageConfig], None] = accept_all
    mark: Callable[[Inputs, LossConfig, Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        known = {field.name for field in fields(LossConfig)}
        for name in self.reads:
            if name not in known:
                raise ValueError(
                    f"Loss {self.name} reads {name!r}, which is no field of LossConfig; "
                    "take it out of `reads` or correct its name."
                )
        if self.aggregate not in get_args(Aggregate):
            known_ones = ", ".join(get_args(Aggregate))
            raise ValueError(f"Loss {self.name} has aggregate={self.aggregate!r}; it is one of {known_ones}.")
