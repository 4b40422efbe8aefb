"""Attention over the ancestors of packed tokens: the mask in blocks, and FlexAttention against rows."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from palaestra.trainer.model.dense import ops, tree_attention
from palaestra.trainer.model.dense.packing import Packing
from palaestra.trainer.model.dense.tree_attention import (
    BLOCK,
    attend_to_ancestors,
    draw_tree,
    make_block_mask,
)
from palaestra.trainer.model.sequences import Sequences
from torch.nn.attention.flex_attention import flex_attention

from ..test_logprobs import make_batch


def make_long_batch() -> Sequences:
    """Rows over several blocks, some of which share more than one block with another."""
    generator = torch.Generator().manual_seed(0)
    prompts = [torch.randint(50, (length,), generator=generator).tolist() for length in (300, 280)]
    rows = [(prompt, torch.randint(50, (40,), generator=generator).tolist()) for prompt in prompts * 3]
    rows.append((prompts[0], [*rows[0][1][:25], 7, 8, 9]))
    return Sequences.of([prompt for prompt, _ in rows], [row for _, row in rows])


def list_ancestors(packing: Packing) -> torch.Tensor:
    """seen_NN: which tokens stand before which in some row, and each itself; row by row."""
    seen_NN = torch.zeros(len(packing.ids_N), len(packing.ids_N), dtype=torch.bool)
    for index_S, length in zip(packing.index_BS, packing.lengths_B.tolist(), strict=True):
        places = index_S[:length]
        seen_NN[places[:, None], places[None]] |= torch.ones(length, length, dtype=torch.bool).tril()
    return seen_NN


@pytest.mark.parametrize("make", [make_batch, make_long_batch])
def test_a_token_reads_its_beginning_and_nothing_else(make):
    packing = Packing.of(make())
    size, blocks = len(packing.ids_N), -(-len(packing.ids_N) // BLOCK)
    mask = packing.block_mask
    number = torch.arange(blocks * BLOCK)
    by_token = mask.mask_mod(None, None, number[:, None], number[None])
    assert torch.equal(by_token[:size, :size], list_ancestors(packing))
    assert torch.equal(by_token[size:, size:], torch.eye(blocks * BLOCK - size, dtype=torch.bool))
    tiles = by_token.view(blocks, BLOCK, blocks, BLOCK).transpose(1, 2).flatten(2)
    mixed, full = (torch.zeros(blocks, blocks, dtype=torch.bool) for _ in range(2))
    for table, counts, numbers in (
        (mixed, mask.kv_num_blocks, mask.kv_indices),
        (full, mask.full_kv_num_blocks, mask.full_kv_indices),
    ):
        for row, count in enumerate(counts[0, 0].tolist()):
            table[row, numbers[0, 0, row, :count].long()] = True
    assert torch.equal(full, tiles.all(-1))
    assert torch.equal(mixed, tiles.any(-1) & ~tiles.all(-1))
    if blocks > 3:
        assert full.any()
        assert not (mixed | full)[number[::BLOCK, None] > number[::BLOCK]].view(-1).all(), "some are left out"


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@torch.no_grad()
@pytest.mark.parametrize("heads", [(4, 4), (6, 2)])
def test_flex_attention_is_attention_by_rows(heads: tuple[int, int]):
    """On a CPU it has no backward pass; on a GPU a probe compares the gradients before it is taken."""
    packing, (queries, keys) = Packing.of(make_long_batch()), heads
    torch.manual_seed(0)
    q_NHE, k_NKE, v_NKE = (torch.randn(len(packing.ids_N), count, 16) for count in (queries, keys, keys))
    by_rows = ops._attend_by_rows(SimpleNamespace(scaling=0.3), q_NHE, k_NKE, v_NKE, packing)
    by_tree = attend_to_ancestors(q_NHE, k_NKE, v_NKE, packing.block_mask, 0.3, flex_attention)
    assert torch.allclose(by_tree.flatten(1), by_rows, atol=1e-6)


def test_the_tree_of_the_probe_has_branches_and_closes_them():
    ends_N = draw_tree(300)
    number = np.arange(300)
    assert (ends_N > number).all()
    assert ends_N.max() == 300
    assert (ends_N < 300).sum() > 20
    for token, end in enumerate(ends_N):
        assert ends_N[token:end].max() == end, "what begins inside ends inside"
    make_block_mask(ends_N, torch.device("cpu"))


def test_on_a_cpu_it_is_not_taken():
    assert not tree_attention.supports(torch.device("cpu"), torch.bfloat16, 4, 2, 64)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_on_a_gpu_it_passes_its_probe(dtype: torch.dtype):
    assert tree_attention.supports(torch.device("cuda"), dtype, 14, 2, 64)
