"""Log-probabilities of completion tokens under a model, without logits for anything else.

Shapes: B rows, S prompt + completion positions, T completion positions, N completion tokens of all rows, D
hidden, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .dense.packed import can_pack, compute_hidden_states
from .dense.packing import Packing
from .sequences import Sequences

_SPLITS_HEAD = "_palaestra_splits_head"
CHUNK_ELEMENTS = 2**24  # logits held at once: 64 MiB in float32


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
) -> TokenLogprobs:
    """One forward pass; the head runs on completion tokens only,
    in chunks that are recomputed in the backward pass.

    Equal to log_softmax(logits / temperature) of the full forward pass at those positions. value_head: hidden
    state to value, in float32; only for models whose head `has_plain_head`;
    detach_value keeps its gradient out of the model.
    """
    mask_BT = sequences.mask_BT
    rows_N, columns_N = mask_BT.nonzero(as_tuple=True)
    positions_N = sequences.prompt_lengths_B[rows_N] + columns_N
    targets_N = sequences.ids_BS[rows_N, positions_N]
    repeats_N: Tensor | None = None
    if can_pack(model):
        packing, size = Packing.of(sequences), model.lm_head.weight.shape[0]
        # Rows that begin alike have the same tokens there, after the same source: each pair is computed once.
        pairs_N, repeats_N = torch.unique(packing.sources_L * size + targets_N, return_inverse=True)
        targets_N = pairs_N % size
        source_ND, head = (
            compute_hidden_states(model, packing).index_select(0, pairs_N // size),
            model.lm_head,
        )
    elif has_plain_head(model):
        hidden_BSD = model.base_model(input_ids=sequences.ids_BS, use_cache=False)[0]
        source_ND, head = hidden_BSD[rows_N, positions_N - 1], model.get_output_embeddings()
    else:
        source_ND, head = (
            model(input_ids=sequences.ids_BS, use_cache=False).logits[rows_N, positions_N - 1],
            nn.Identity(),
        )
    logprobs_N, entropy_N = _compute_in_chunks(head, source_ND, targets_N, temperature, entropy_gradient)
    zeros_BT = logprobs_N.new_zeros(mask_BT.shape)

    def lay_out_rows(of_N: Tensor) -> Tensor:
        return zeros_BT.index_put(
            (rows_N, columns_N), of_N if repeats_N is None else of_N.index_select(0, repeats_N)
        )

    values_BT = None
    if value_head is not None:
        if not has_plain_head(model):
            raise ValueError(
                "This model's hidden states are not at hand; give the value head a backbone of its own."
            )
        with torch.autocast(source_ND.device.type, enabled=False):
            values_BT = lay_out_rows(
                value_head((source_ND.detach() if detach_value else source_ND).float())[:, 0]
            )
    return TokenLogprobs(lay_out_rows(logprobs_N), lay_out_rows(entropy_N), values_BT)


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
        with torch.no_grad():
            hidden = model.base_model(input_ids=probe, use_cache=False)[0]
            head = model.get_output_embeddings()
            known = head is not None and torch.equal(
                head(hidden), model(input_ids=probe, use_cache=False).logits
            )
        model.train(training)
        setattr(model, _SPLITS_HEAD, known)
    return known


def _compute_in_chunks(
    head: nn.Module, source_ND: Tensor, targets_N: Tensor, temperature: float, entropy_gradient: bool
) -> tuple[Tensor, Tensor]:
    vocabulary = head.weight.shape[0] if isinstance(head, nn.Linear) else source_ND.shape[1]
    chunk = max(1, CHUNK_ELEMENTS // vocabulary)
    if len(targets_N) <= chunk:
        return _compute_logprobs_and_entropy(head, source_ND, targets_N, temperature, entropy_gradient)
    parts = [
        checkpoint(
            _compute_logprobs_and_entropy,
            head,
            source_ND[i : i + chunk],
            targets_N[i : i + chunk],
            temperature,
            entropy_gradient,
            use_reentrant=False,
        )
        for i in range(0, len(targets_N), chunk)
    ]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def _compute_logprobs_and_entropy(
    head: nn.Module, source_ND: Tensor, targets_N: Tensor, temperature: float, entropy_gradient: bool
) -> tuple[Tensor, Tensor]:
    logits_NV = head(source_ND).float() / temperature
    all_NV = logits_NV.log_softmax(-1)
    logprobs_N = all_NV.gather(-1, targets_N[:, None])[:, 0]
    with torch.set_grad_enabled(entropy_gradient and torch.is_grad_enabled()):
        entropy_N = -(all_NV.exp() * all_NV).nan_to_num().sum(-1)
    return logprobs_N, entropy_N
