"""What an update computes, counted operation by operation: the same on any machine, without a clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from palaestra.trainer.model.casts import hold_casts
from palaestra.trainer.model.dense.packed import can_pack
from palaestra.trainer.model.logprobs import compute_logprobs
from palaestra.trainer.model.policy import Policy
from palaestra.trainer.model.sequences import Sequences, split_into_microbatches
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode


@dataclass
class WeightUses(TorchDispatchMode):
    """While it is entered, counts what is done with a model's weights, in this thread.

    casts: by name, how often a weight is copied into another type.  rows: by name, the rows of each product
    x W^T, one number a product.
    """

    model: Any
    casts: Counter[str] = field(default_factory=Counter)
    rows: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self._names = {weight.data_ptr(): name for name, weight in self.model.named_parameters()}
        self._kept: list[Tensor] = []  # casts: their addresses must not be given again

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result, packet = func(*args, **(kwargs or {})), func._overloadpacket
        if packet is torch.ops.aten._to_copy and (name := self._names.get(args[0].data_ptr())):
            self.casts[name] += 1
            self._names[result.data_ptr()] = name
            self._kept.append(result)
        if packet in (torch.ops.aten.mm, torch.ops.aten.addmm):
            weight = args[-1]
            name = self._names.get(weight.data_ptr())
            if name and weight.stride(0) == 1:  # transposed: the model has (output, input)
                self.rows.setdefault(name, []).append(result.shape[0])
        return result


@dataclass(frozen=True)
class UpdateCounts:
    """Of one update. tokens: that go through the layers.  distinct: beginnings of rows, each once.  padded:
    cells of the padded rows.  flops: of matrix products and attention, forward and backward (a compiled
    kernel's are not seen).  casts: of weights into another type.  head_casts: of the head's.  chunks: of
    tokens that the head is applied to, forward and backward.
    """

    tokens: int
    distinct: int
    padded: int
    flops: int
    casts: int
    head_casts: int
    chunks: int

    def __str__(self) -> str:
        return (
            f"{self.tokens} tokens computed ({self.distinct} distinct, {self.padded} padded), "
            f"{self.flops / 1e9:.2f} GFLOP, {self.casts} casts of weights ({self.head_casts} of the head), "
            f"{self.chunks} products of the head"
        )


def count_update(policy: Policy, sequences: Sequences, tokens: int) -> UpdateCounts:
    """An update's forward and backward passes in micro-batches of at most `tokens`; the dense family."""
    model = policy.model
    layer = next(name for name, _ in model.named_parameters() if ".layers.0.self_attn.o_proj" in name)
    head = next(name for name, weight in model.named_parameters() if weight is model.lm_head.weight)
    with policy.autocast():
        packed = can_pack(model)
    parts = list(split_into_microbatches(sequences, tokens, packed))
    uses = WeightUses(model)

    def run() -> None:
        with hold_casts(policy.device):
            for rows_B in parts:
                with policy.autocast():
                    out = compute_logprobs(model, sequences.select(rows_B))
                out.logprobs_BT.sum().backward()

    flops = count_flops(run)
    model.zero_grad(set_to_none=True)
    with uses:
        run()
    model.zero_grad(set_to_none=True)
    return UpdateCounts(
        sum(uses.rows[layer]),
        sum(count_distinct(sequences.select(rows_B)) for rows_B in parts),
        sum(sequences.select(rows_B).ids_BS.numel() for rows_B in parts),
        flops,
        sum(uses.casts.values()),
        uses.casts[head],
        len(uses.rows[head]),
    )


def count_flops(run: Callable[[], None]) -> int:
    """Of matrix products and attention, by torch's own counter."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def count_distinct(sequences: Sequences) -> int:
    """Beginnings of rows, each once; a completion's last token predicts nothing and is left out."""
    totals = (sequences.prompt_lengths_B + sequences.lengths_B - 1).tolist()
    rows = zip(sequences.ids_BS.tolist(), totals, strict=True)
    return len({tuple(row[:end]) for row, total in rows for end in range(1, total + 1)})
