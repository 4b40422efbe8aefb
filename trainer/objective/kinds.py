"""The losses of the GRPO family, one entry each. Suffixes: B rows (completions), T tokens.

An entry holds all that the trainer asks about a loss: the terms, the average, the settings that it reads, its
formula as a run prints it, its paper. A loss of one's own is one more `LossKind`: see examples/own_loss.py.

Nothing here imports torch, so that settings are checked and `--help` is printed at once: terms are written
with the methods of tensors.
"""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path

from ...tasks.core.errors import UserError
from ...tasks.core.modules import load_only, resolve
from ..config.objective import AdvantageConfig, Aggregate, LossConfig
from .covariance import (
    CLIP_COV,
    KL_COV,
    drop_marked,
    mark_by_bounds,
    mark_largest,
    penalise_marked,
    write_drop,
    write_penalty,
)
from .kind import Inputs, LossKind, Terms
from .surrogate import RATIO, SURROGATE, clip_surrogate, write_surrogate

SEQUENCE_RATIO = "s = exp(mean over the completion of log p_now / p_sampled)"


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
        "clip_cov",
        "Cui et al. 2025, arXiv:2505.22617",
        drop_marked,
        write_drop,
        "token_mean",
        reads=(*SURROGATE, *CLIP_COV),
        clips_tokens=True,
        mark=mark_by_bounds,
    ),
    LossKind(
        "kl_cov",
        "Cui et al. 2025, arXiv:2505.22617",
        penalise_marked,
        write_penalty,
        "token_mean",
        reads=KL_COV,
        mark=mark_largest,
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
    """The entry that `LossConfig.kind` names: of KINDS, or an object `FILE.py:name` or `package.module:name`;
    `FILE.py` is the only `LossKind` of a file.

    A file is run once in a process. Raises UserError, with the nearest name, where there is no such kind.
    """
    if name in KINDS:
        return KINDS[name]
    if ":" in name or name.endswith(".py"):
        return _load_kind(name)
    near = _list_nearest(name)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"The kinds: {', '.join(KINDS)}."
    raise UserError(
        f"There is no loss kind {name!r}. {hint} One of your own is named as FILE.py or FILE.py:name."
    )


def _list_nearest(name: str) -> list[str]:
    """The kinds that are nearest to a name, all that are equally so: gpro may be grpo or gspo."""
    ratios = {kind: difflib.SequenceMatcher(None, name, kind).ratio() for kind in KINDS}
    best = max(ratios.values())
    return sorted(kind for kind, ratio in ratios.items() if ratio == best and best > 0.4)


@cache
def _load_kind(spec: str) -> LossKind:
    if spec.endswith(".py"):
        return load_only(Path(spec), "loss", _is_own_kind, "LossKind")
    kind = resolve(spec, "loss")
    if not isinstance(kind, LossKind):
        raise UserError(
            f"{spec} is of type {type(kind).__name__}, but a loss is a LossKind. "
            "Name the LossKind in place of its function; examples/own_loss.py shows one."
        )
    return kind


def _is_own_kind(value: object) -> bool:
    """Whether it is a kind, and none of the table that a file looked up to build upon."""
    return isinstance(value, LossKind) and KINDS.get(value.name) is not value


def choose_aggregate(config: LossConfig) -> Aggregate:
    """The average that `config` asks for; that of its kind for "auto"."""
    return find_kind(config.kind).aggregate if config.aggregate == "auto" else config.aggregate
