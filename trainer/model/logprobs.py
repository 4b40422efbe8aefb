"""Log-probabilities of completion tokens under a model, without logits for anything else.

Shapes: B rows, C branches of rows whose contexts were rewritten, S prompt + completion positions, T
completion positions, N completion tokens of all rows, D hidden, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .casts import keep_no_casts
from .dense.packed import can_pack, compute_hidden_states
from .dense.packing import Packing
from .head import has_linear_head, score_tokens
from .kept import KeptSets
from .sequences import Sequences, split_into_microbatches

_SPLITS_HEAD = "_palaestra_splits_head"
SHARDED_PASS = "_palaestra_sharded_pass"  # on a model in shards: what runs inside of its forward pass


@dataclass(frozen=True)
class TokenLogprobs:
    """logprobs_BT: natural-log probability of each completion token.  entropy_BT: of its distribution, in
    nats, detached unless asked for.  values_BT: of a value head before each token, where one was given. All
    are 0 beyond the end of a row's completion."""

    logprobs_BT: Tensor
    entropy_BT: Tensor
    values_BT: Tensor | None = None


def compute_logprobs(
    model: Any,
    sequences: Sequences,
    temperature: float = 1.0,
    *,
    entropy_gradient: bool = False,
    value_head: nn.Linear | None = None,
    detach_value: bool = False,
    inside: bool = False,
) -> TokenLogprobs:
    """One forward pass; the head runs on completion tokens only, in chunks (see `head.score_tokens`).

    Equal to log_softmax(logits / temperature) of the full forward pass at those positions; where sampling was
    truncated (`sequences.kept`), with -inf on the logits of what was left out. value_head: hidden
    state to value, in float32; only for models whose head `has_plain_head`;
    detach_value keeps its gradient out of the model. inside: of a model in shards (`sharded`), where its
    weights are whole.  Rows whose contexts were rewritten are read as their branches (`read_branches`).
    """
    if sequences.branches is not None:

        def read(rows: Sequences) -> list[Tensor]:
            found = compute_logprobs(
                model,
                rows,
                temperature,
                entropy_gradient=entropy_gradient,
                value_head=value_head,
                detach_value=detach_value,
            )
            parts = found.logprobs_BT, found.entropy_BT, found.values_BT
            return [part_CT for part_CT in parts if part_CT is not None]

        return TokenLogprobs(*read_branches(sequences, read, can_pack(model)))
    if not inside and hasattr(model, SHARDED_PASS):
        options = {
            "entropy_gradient": entropy_gradient,
            "value_head": value_head,
            "detach_value": detach_value,
        }
        return TokenLogprobs(*getattr(model, SHARDED_PASS)(sequences, temperature, options))
    mask_BT = sequences.mask_BT
    rows_N, columns_N = mask_BT.nonzero(as_tuple=True)
    sources = _gather_sources(model, sequences, rows_N, columns_N)
    scored = score_tokens(
        sources.source_ND, sources.head, sources.targets_N, sources.kept, temperature, entropy_gradient
    )
    zeros_BT = scored.logprobs_N.new_zeros(mask_BT.shape)

    def lay_out_rows(of_N: Tensor) -> Tensor:
        if sources.repeats_L is not None:
            of_N = of_N.index_select(0, sources.repeats_L)
        return zeros_BT.index_put((rows_N, columns_N), of_N)

    values_BT = None
    if value_head is not None:
        if not has_plain_head(model):
            raise ValueError(
                "This model's hidden states are not at hand; give the value head a backbone of its own."
            )
        source_ND = sources.source_ND.detach() if detach_value else sources.source_ND
        with torch.autocast(source_ND.device.type, enabled=False):
            values_BT = lay_out_rows(value_head(source_ND.float())[:, 0])
    return TokenLogprobs(lay_out_rows(scored.logprobs_N), lay_out_rows(scored.entropy_N), values_BT)


def read_branches(
    sequences: Sequences, read: Callable[[Sequences], Sequence[Tensor]], packed: bool
) -> list[Tensor]:
    """What `read` finds of rows by their branches: tensors of B x T in place of C x T, 0 on foreign tokens.

    packed: whether it computes like beginnings once. Then all branches are one pass, of no more tokens than
    the rows have. Else they are parts of no more than the rows' tokens, padding included, and each part is
    computed again in the backward pass, so that no more is held than of one of them.
    """
    branches = sequences.branches
    assert branches is not None
    rows, shape = branches.rows, sequences.mask_BT.shape
    if packed:
        return [branches.join(found_CT, shape) for found_CT in read(rows)]
    places = list(split_into_microbatches(rows, sequences.ids_BS.numel()))
    width = int(rows.lengths_B.max())
    parts: list[list[Tensor]] = []
    for place_C in places:
        part = rows.select(place_C)
        found = checkpoint(read, part, use_reentrant=False) if torch.is_grad_enabled() else read(part)
        parts.append([nn.functional.pad(of_CT, (0, width - of_CT.shape[1])) for of_CT in found])
    order_C = torch.cat(places).argsort()
    return [branches.join(torch.cat(of_parts)[order_C], shape) for of_parts in zip(*parts, strict=True)]


@dataclass(frozen=True)
class _Sources:
    """What the head is applied to, for N tokens. source_ND: the state before each, or its logits where head
    is None.  targets_N: their ids.  kept: what each was drawn among.
    repeats_L: which of them each completion token is, where some are computed once for several; else None.
    """

    head: nn.Linear | None
    source_ND: Tensor
    targets_N: Tensor
    kept: KeptSets | None
    repeats_L: Tensor | None = None


def _gather_sources(model: Any, sequences: Sequences, rows_N: Tensor, columns_N: Tensor) -> _Sources:
    """One forward pass up to the head. rows_N, columns_N: where the completion tokens stand."""
    positions_N = sequences.prompt_lengths_B[rows_N] + columns_N
    targets_N, kept = sequences.ids_BS[rows_N, positions_N], sequences.kept
    if can_pack(model):
        packing = Packing.of(sequences)
        distinct = find_distinct(packing.sources_L, targets_N, kept, model.lm_head.weight.shape[0])
        # In float32: gradients come from all tokens that follow the same beginning.
        source_ND = compute_hidden_states(model, packing).float().index_select(0, distinct.sources_N)
        return _Sources(model.lm_head, source_ND, distinct.targets_N, distinct.kept, distinct.repeats_L)
    if has_plain_head(model):
        hidden_BSD = model.base_model(input_ids=sequences.ids_BS, use_cache=False)[0]
        return _Sources(model.get_output_embeddings(), hidden_BSD[rows_N, positions_N - 1], targets_N, kept)
    logits_BSV = model(input_ids=sequences.ids_BS, use_cache=False).logits
    return _Sources(None, logits_BSV[rows_N, positions_N - 1], targets_N, kept)


@dataclass(frozen=True)
class _Distinct:
    """Completion tokens of packed rows, each once. repeats_L: which of them token L is.

    sources_N: place of the token before each.  kept: what each was drawn among.
    """

    sources_N: Tensor
    targets_N: Tensor
    kept: KeptSets | None
    repeats_L: Tensor


def find_distinct(sources_L: Tensor, targets_L: Tensor, kept: KeptSets | None, vocabulary: int) -> _Distinct:
    """Rows that begin alike have the same tokens there, after the same source: each pair is computed once.

    Truncated, once for each set that it was drawn among: rounding may differ from batch to batch of the
    sampler, and with it what is left.
    """
    pairs_L = sources_L * vocabulary + targets_L
    if kept is None:
        pairs_N, repeats_L = torch.unique(pairs_L, return_inverse=True)
        return _Distinct(pairs_N // vocabulary, pairs_N % vocabulary, None, repeats_L)
    numbers_L = kept.number(vocabulary)
    keys_L = pairs_L * (int(numbers_L.max()) + 1) + numbers_L
    distinct_N, repeats_L = torch.unique(keys_L, return_inverse=True)
    places_L = torch.arange(len(pairs_L), device=pairs_L.device)
    firsts_N = torch.full_like(distinct_N, len(pairs_L)).scatter_reduce_(0, repeats_L, places_L, "amin")
    return _Distinct(sources_L[firsts_N], targets_L[firsts_N], kept.take(firsts_N), repeats_L)


def has_plain_head(model: Any) -> bool:
    """Whether the model's logits are its head applied to its base model's output, and nothing else.

    Some architectures scale or cap their logits afterwards. So it is tried once, on a probe,
    and remembered on the model.
    """
    known = getattr(model, _SPLITS_HEAD, None)
    if known is None:
        training = model.training
        model.eval()
        device = next(model.parameters()).device
        probe = torch.arange(1, 9, device=device)[None] % model.get_output_embeddings().weight.shape[0]
        # Copies of the weights that have no gradient would stay for the passes after this one.
        with torch.no_grad(), keep_no_casts(device):
            known = _splits_head(model, probe)
        model.train(training)
        setattr(model, _SPLITS_HEAD, known)
    return known and has_linear_head(model)


def _splits_head(model: Any, ids_BS: Tensor) -> bool:
    head, base = model.get_output_embeddings(), model.base_model
    if head is None or base is model or not has_linear_head(model):
        return False
    hidden = base(input_ids=ids_BS, use_cache=False)[0]
    if hidden.shape[-1] != getattr(head, "in_features", hidden.shape[-1]):  # there is a projection between
        return False
    return torch.equal(head(hidden), model(input_ids=ids_BS, use_cache=False).logits)
