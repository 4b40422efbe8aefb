"""What an update computes, counted operation by operation: the same on any machine, without a clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from palaestra.trainer.model.casts import hold_casts
from palaestra.trainer.model.dense.packed import can_pack
from palaestra.trainer.model.logprobs import compute_logprobs
from palaestra.trainer.model.policy import Policy
from palaestra.trainer.model.sequences import Sequences, split_into_microbatches
from scripts import load_script
from torch.utils.flop_counter import FlopCounterMode

WeightUses = load_script("benchmarks/counts.py").WeightUses


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
