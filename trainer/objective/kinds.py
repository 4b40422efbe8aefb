"""The losses of the GRPO family, one entry each. Suffixes: B rows (completions), T tokens.

An entry holds all that the trainer asks about a loss: the terms, the average, the settings that it reads, its
formula as a run prints it, its paper. A loss of one's own is one more `LossKind`: see examples/own_loss.py.

Nothing here imports torch, so that settings are checked and `--help` is printed at once: terms are written
with the methods of tensors.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, get_args

from ...tasks.core.errors import UserError
from ...tasks.core.modules import resolve
from ..config.objective import AdvantageConfig, Aggregate, LossConfig

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Terms:
    """One kind's loss per token, before the average.

    clip_*_BT, dual_clip_BT: where a bound removed the gradient; bool, None where the kind has no such bound.
    """

    loss_BT: Tensor
    clip_low_BT: Tensor | None = None
    clip_high_BT: Tensor | None = None
    dual_clip_BT: Tensor | None = None


@dataclass(frozen=True)
class Inputs:
    """What a kind may use, zero where masked.

    logprobs_BT: now, in nats, with gradient. log_ratio_BT: to those at sampling, in nats, within +-20, with
    gradient. advantages_BT: without gradient. keep_BT: bool, the tokens that are in the loss.
    """

    logprobs_BT: Tensor
    log_ratio_BT: Tensor
    advantages_BT: Tensor
    keep_BT: Tensor

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
    clips_tokens: PPO's clipped surrogate of each token's own ratio; what PPO asks for.
    per_sequence: all tokens of a completion carry the completion's one number, so that the average must be
    sequence_mean.
    off_policy: corrects for the policy's distance from the one that sampled; False: one update per batch.
    check: raises ValueError, with a sentence that names the fix, for settings that don't suit this kind.

    >>> import palaestra as pal
    >>> from palaestra.trainer.objective.kinds import Terms
    >>> likelihood = pal.LossKind(
    ...     "likelihood", "Williams 1992",
    ...     lambda inputs, config: Terms(-inputs.advantages_BT * inputs.logprobs_BT),
    ...     formula=lambda config: "-A * log p_now", aggregate="token_mean", off_policy=False,
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


RATIO = "r_t = p_now / p_sampled of the token"
SEQUENCE_RATIO = "s = exp(mean over the completion of log p_now / p_sampled)"
SURROGATE = ("clip_low", "clip_high", "dual_clip", "delta")


def clip_surrogate(ratio_BT: Tensor, advantages_BT: Tensor, config: LossConfig) -> Terms:
    """-min(r A, clip(r, 1 - clip_low, 1 + clip_high) A), from PPO.

    Schulman et al. 2017 (arXiv:1707.06347), equation 7. delta bounds r in the first term (two-sided clipping:
    INTELLECT-2, arXiv:2505.07291); dual_clip bounds the loss at dual_clip * |A| where A < 0 (Ye et al. 2020,
    arXiv:1912.09729).
    """
    low, high = 1 - config.clip_low, 1 + config.clip_high
    bounded_BT = ratio_BT.clamp(max=config.delta) if config.delta else ratio_BT
    objective_BT = (bounded_BT * advantages_BT).minimum(ratio_BT.clamp(low, high) * advantages_BT)
    negative_BT = advantages_BT < 0
    if config.dual_clip:
        floor_BT = objective_BT.maximum(config.dual_clip * advantages_BT)
        objective_BT = floor_BT.where(negative_BT, objective_BT)
    bound = config.delta or config.dual_clip
    return Terms(
        -objective_BT,
        clip_low_BT=negative_BT & (ratio_BT < low),
        clip_high_BT=(advantages_BT > 0) & (ratio_BT > high),
        dual_clip_BT=negative_BT & (ratio_BT > bound) if bound else None,
    )


def write_surrogate(ratio: str, definition: str, loss: LossConfig) -> str:
    """The formula of `clip_surrogate` for a ratio that is called `ratio`."""
    low, high = 1 - loss.clip_low, 1 + loss.clip_high
    first = f"min({ratio}, {loss.delta:g})" if loss.delta else ratio
    text = f"-min({first} * A, clip({ratio}, {low:g}, {high:g}) * A)"
    if loss.dual_clip:
        text = f"A < 0: min({text}, -{loss.dual_clip:g} * A); else {text}"
    offsets = f"offsets {loss.clip_low:g} below and {loss.clip_high:g} above 1"
    bound = f"; two-sided bound {loss.delta:g} absolute" if loss.delta else ""
    bound = f"; dual clip {loss.dual_clip:g} absolute" if loss.dual_clip else bound
    return f"{text}; {definition}; clip by {offsets}{bound}"


def clip_token_ratio(inputs: Inputs, config: LossConfig) -> Terms:
    """grpo, dapo, dr_grpo, bnpo: the clipped ratio of each token; they differ in the average alone."""
    return clip_surrogate(inputs.log_ratio_BT.exp(), inputs.advantages_BT, config)


def write_token_ratio(loss: LossConfig) -> str:
    return write_surrogate("r_t", RATIO, loss)


def refuse_scale(loss: LossConfig, advantages: AdvantageConfig) -> None:
    """dr_grpo: advantages are not divided by a standard deviation."""
    if advantages.scale != "none":
        raise ValueError(
            f"kind={loss.kind!r} is defined without a standard deviation, but scale={advantages.scale!r}. "
            "Use scale='none', or kind='dapo' with aggregate='constant' to study the difference."
        )


def clip_sequence_ratio(inputs: Inputs, config: LossConfig) -> Terms:
    """gspo: the ratio is s = exp(mean log-ratio of the sequence), clipped as one.

    Written as GSPO-token (eq. 13 and 14): s is held constant and each token carries s * p / sg(p), which for
    one advantage per sequence has the value and the gradient of eq. 5, and allows advantages per token.
    """
    sequence_B1 = inputs.average_rows(inputs.log_ratio_BT).detach()
    log_ratio_BT = sequence_B1 + inputs.logprobs_BT - inputs.logprobs_BT.detach()
    return clip_surrogate(log_ratio_BT.exp(), inputs.advantages_BT, config)


def write_sequence_ratio(loss: LossConfig) -> str:
    return write_surrogate("s", SEQUENCE_RATIO, loss)


def cap_weight(inputs: Inputs, config: LossConfig) -> Terms:
    """cispo: -sg(min(r, ratio_cap)) A log p (eq. 4 and 5 of the paper, without a lower bound).

    No token loses its gradient. The cap is absolute, as in ScaleRL.
    """
    ratio_BT = inputs.log_ratio_BT.detach().exp()
    loss_BT = -ratio_BT.clamp(max=config.ratio_cap) * inputs.advantages_BT * inputs.logprobs_BT
    return Terms(loss_BT, clip_high_BT=ratio_BT > config.ratio_cap)


def write_capped_weight(loss: LossConfig) -> str:
    return f"-sg(min(r_t, {loss.ratio_cap:g})) * A * log p_now; {RATIO}; cap absolute; sg: no gradient"


def gate_softly(inputs: Inputs, config: LossConfig) -> Terms:
    """sapo: -(4 / tau) sigmoid(tau (r - 1)) A, tau by the sign of A.

    At r = 1 the gradient is that of r A; it fades smoothly on both sides.
    """
    advantages_BT = inputs.advantages_BT
    # Filled in the dtype of the advantages: `where` of two floats would be float32.
    tau_BT = advantages_BT.new_full(advantages_BT.shape, config.tau_negative)
    tau_BT = tau_BT.masked_fill(advantages_BT > 0, config.tau_positive)
    gate_BT = (tau_BT * (inputs.log_ratio_BT.exp() - 1)).sigmoid() * (4 / tau_BT)
    return Terms(-gate_BT * advantages_BT)


def write_soft_gate(loss: LossConfig) -> str:
    taus = f"tau = {loss.tau_positive:g} where A > 0, else {loss.tau_negative:g}"
    return f"-(4 / tau) * sigmoid(tau * (r_t - 1)) * A; {taus}; {RATIO}; no clip"


def average_geometrically(inputs: Inputs, config: LossConfig) -> Terms:
    """gmpo: -A exp(mean of the clipped log-ratios), one number per sequence.

    The log-ratio of each token is clipped to +-log_clip on the side that PPO clips (above for A > 0, below
    for A < 0). A is the mean advantage of the sequence. Every token carries the sequence's number, so that
    the sequence mean is it.
    """
    advantage_B1 = inputs.average_rows(inputs.advantages_BT)
    above_BT = inputs.log_ratio_BT.clamp(max=config.log_clip)
    below_BT = inputs.log_ratio_BT.clamp(min=-config.log_clip)
    clipped_BT = above_BT.where(advantage_B1 > 0, below_BT)
    loss_B1 = -advantage_B1 * inputs.average_rows(clipped_BT).exp()
    return Terms(
        loss_B1.expand_as(inputs.log_ratio_BT),
        clip_low_BT=(advantage_B1 < 0) & (inputs.log_ratio_BT < -config.log_clip),
        clip_high_BT=(advantage_B1 > 0) & (inputs.log_ratio_BT > config.log_clip),
    )


def write_geometric_mean(loss: LossConfig) -> str:
    clip = f"A > 0: min(log r_t, {loss.log_clip:g}); else max(log r_t, -{loss.log_clip:g})"
    return f"-A * exp(mean over the completion of c_t); c_t = {clip}; {RATIO}; clip absolute, in nats"


def weigh_log_likelihood(inputs: Inputs, config: LossConfig) -> Terms:  # noqa: ARG001 - a kind's signature
    """reinforce: -A log p. Correct for the first update of a batch only: it has no ratio."""
    return Terms(-inputs.advantages_BT * inputs.logprobs_BT)


def write_log_likelihood(loss: LossConfig) -> str:  # noqa: ARG001 - a formula's signature
    return "-A * log p_now; no ratio, no clip: one update per batch"


_ENTRIES = (
    LossKind(
        "grpo",
        "DeepSeekMath: Shao et al. 2024, arXiv:2402.03300",
        clip_token_ratio,
        write_token_ratio,
        "sequence_mean",
        reads=SURROGATE,
        clips_tokens=True,
    ),
    LossKind(
        "dapo",
        "Yu et al. 2025, arXiv:2503.14476",
        clip_token_ratio,
        write_token_ratio,
        "token_mean",
        reads=SURROGATE,
        clips_tokens=True,
    ),
    LossKind(
        "dr_grpo",
        "Liu et al. 2025, arXiv:2503.20783",
        clip_token_ratio,
        write_token_ratio,
        "constant",
        reads=SURROGATE,
        clips_tokens=True,
        check=refuse_scale,
    ),
    LossKind(
        "bnpo",
        "the name used by TRL",
        clip_token_ratio,
        write_token_ratio,
        "token_mean",
        reads=SURROGATE,
        clips_tokens=True,
    ),
    LossKind(
        "gspo",
        "Zheng et al. 2025, arXiv:2507.18071",
        clip_sequence_ratio,
        write_sequence_ratio,
        "sequence_mean",
        reads=SURROGATE,
    ),
    LossKind(
        "cispo",
        "MiniMax-M1 2025, arXiv:2506.13585; cap: ScaleRL, Khatri et al. 2025, arXiv:2510.13786",
        cap_weight,
        write_capped_weight,
        "token_mean",
        reads=("ratio_cap",),
    ),
    LossKind(
        "sapo",
        "Gao et al. 2025, arXiv:2511.20347",
        gate_softly,
        write_soft_gate,
        "sequence_mean",
        reads=("tau_positive", "tau_negative"),
    ),
    LossKind(
        "gmpo",
        "Zhao et al. 2025, arXiv:2507.20673",
        average_geometrically,
        write_geometric_mean,
        "sequence_mean",
        reads=("log_clip",),
        per_sequence=True,
    ),
    LossKind(
        "reinforce",
        "Williams 1992; RLOO: Ahmadian et al. 2024, arXiv:2402.14740",
        weigh_log_likelihood,
        write_log_likelihood,
        "sequence_sum",
        off_policy=False,
    ),
)

KINDS: dict[str, LossKind] = {kind.name: kind for kind in _ENTRIES}
"""The kinds by their name, which is the value of `LossConfig.kind`."""


def find_kind(name: str) -> LossKind:
    """The entry that `LossConfig.kind` names: of KINDS, or an object `FILE.py:name` or `package.module:name`.

    A file is run once in a process. Raises UserError, with the nearest name, where there is no such kind.
    """
    if name in KINDS:
        return KINDS[name]
    if ":" in name or name.endswith(".py"):
        return _load_kind(name)
    near = difflib.get_close_matches(name, KINDS, n=1, cutoff=0.4)
    hint = f"Did you mean {near[0]}?" if near else f"The kinds: {', '.join(KINDS)}."
    raise UserError(f"There is no loss kind {name!r}. {hint} One of your own is named as FILE.py:name.")


@cache
def _load_kind(spec: str) -> LossKind:
    kind = resolve(spec, "loss")
    if not isinstance(kind, LossKind):
        raise UserError(
            f"{spec} is of type {type(kind).__name__}, but a loss is a LossKind. "
            "Name the LossKind in place of its function; examples/own_loss.py shows one."
        )
    return kind


def choose_aggregate(config: LossConfig) -> Aggregate:
    """The average that `config` asks for; that of its kind for "auto"."""
    return find_kind(config.kind).aggregate if config.aggregate == "auto" else config.aggregate
