"""Attention of packed tokens over their ancestors by FlexAttention, compiled on a GPU.

The tokens of a `Packing` stand in the order of a walk through the tree (each before what follows it), so a
token's ancestors are those whose subtree has not ended yet, and a block of 128 x 128 is empty, full or mixed
by two numbers of its keys. Work is that of the blocks that are not empty; nothing is laid out as rows.

FlexAttention: Dong et al. 2024, arXiv:2412.05496.

Shapes: N packed tokens, M of them with those that fill the last block, H query heads, K key heads, E head
size.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from ..machine import is_out_of_memory

BLOCK = 128
PROBE_ERROR = 0.02  # of the length of a result or a gradient; bfloat16 rounds at 0.004


def make_block_mask(ends_N: np.ndarray, device: torch.device) -> BlockMask:
    """Which blocks of keys each block of queries reads. ends_N: for each token, the number after the last of
    its subtree."""
    blocks = -(-len(ends_N) // BLOCK)
    number_M = np.arange(blocks * BLOCK)
    ends_M = number_M + 1  # what fills the last block attends to itself
    ends_M[: len(ends_N)] = ends_N
    last_K, first_K = (of(ends_M.reshape(-1, BLOCK), axis=1) for of in (np.max, np.min))
    start_Q = number_M[::BLOCK, None]
    before_QK = np.arange(blocks) < np.arange(blocks)[:, None]
    full_QK = before_QK & (first_K >= start_Q + BLOCK)
    mixed_QK = (before_QK & (last_K > start_Q) & ~full_QK) | np.eye(blocks, dtype=bool)
    ends = torch.from_numpy(ends_M).to(device)

    def is_ancestor(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key <= query) & (query < ends[key])

    return BlockMask.from_kv_blocks(
        *_list_blocks(mixed_QK, device),
        *_list_blocks(full_QK, device),
        BLOCK_SIZE=BLOCK,
        mask_mod=is_ancestor,
    )


def _list_blocks(chosen_QK: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """How many blocks of keys are chosen for each block of queries, and their numbers, these first."""
    numbers_QK = np.argsort(~chosen_QK, axis=1, kind="stable").astype(np.int32)
    counts_Q = chosen_QK.sum(1, dtype=np.int32)
    return torch.from_numpy(counts_Q[None, None]).to(device), torch.from_numpy(numbers_QK[None, None]).to(
        device
    )


@functools.cache
def _compile() -> Any:
    """One kernel for all numbers of tokens."""
    return torch.compile(flex_attention, dynamic=True)


def attend_to_ancestors(
    q_NHE: Tensor, k_NKE: Tensor, v_NKE: Tensor, mask: BlockMask, scale: float, attention: Any = None
) -> Tensor:
    """attended_NHE. attention: the function that does it; FlexAttention compiled where none is given."""
    size, padded = len(q_NHE), -len(q_NHE) % BLOCK
    q, k, v = (
        functional.pad(flat, (0, 0, 0, 0, 0, padded)).transpose(0, 1)[None] for flat in (q_NHE, k_NKE, v_NKE)
    )
    grouped = q.shape[1] != k.shape[1]
    found = (attention or _compile())(q, k, v, block_mask=mask, scale=scale, enable_gqa=grouped)
    return found[0].transpose(0, 1)[:size]


def supports(device: torch.device, dtype: torch.dtype, queries: int, keys: int, size: int) -> bool:
    """Whether FlexAttention is right here: on CUDA, for so many heads of that size, by a probe of result and
    gradients in two sizes.

    A meter of operations does not see into a compiled one, so under such a meter the answer is no.
    """
    if device.type != "cuda" or torch.utils._python_dispatch._get_current_dispatch_mode() is not None:
        return False
    return _passes_probe(str(device), dtype, queries, keys, size)


@functools.cache
def _passes_probe(device: str, dtype: torch.dtype, queries: int, keys: int, size: int) -> bool:
    # A probe draws no number of the run's, and is no part of what autocast or a graph sees.
    try:
        with torch.enable_grad(), torch.autocast("cuda", enabled=False):
            return all(
                _measure_error(torch.device(device), dtype, (queries, keys, size), length) <= PROBE_ERROR
                for length in (300, 1000)
            )
    except Exception as failure:  # whatever a compiler raises, there is another way
        if is_out_of_memory(failure):
            raise
        return False


def _measure_error(
    device: torch.device, dtype: torch.dtype, heads: tuple[int, int, int], length: int
) -> float:
    """Of result and gradients, the largest share by which they differ from dense attention in float32."""
    queries, keys, size = heads
    generator = torch.Generator().manual_seed(0)
    given = [
        torch.randn(length, count, size, generator=generator).to(device, dtype)
        for count in (queries, keys, keys)
    ]
    ends_N = draw_tree(length)
    mask = make_block_mask(ends_N, device)
    number = torch.arange(length, device=device)
    seen = (number <= number[:, None]) & (number[:, None] < torch.from_numpy(ends_N).to(device))

    def attend_densely(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        rows = (one.transpose(0, 1)[None] for one in (q, k, v))
        found = functional.scaled_dot_product_attention(*rows, attn_mask=seen, enable_gqa=queries != keys)
        return found[0].transpose(0, 1)

    found = [one.clone().requires_grad_() for one in given]
    true = [one.float().requires_grad_() for one in given]
    q, k, v = found
    out, exact = attend_to_ancestors(q, k, v, mask, size**-0.5), attend_densely(*true)
    gradient = torch.randn(exact.shape, generator=generator).to(device, dtype)
    pairs = zip(
        (out, *torch.autograd.grad(out, found, gradient)),
        (exact, *torch.autograd.grad(exact, true, gradient.float())),
        strict=True,
    )
    return max(float((one.float() - other).norm() / other.norm()) for one, other in pairs)


def draw_tree(length: int) -> np.ndarray:
    """ends_N of a tree with branches of several depths, for a probe."""
    rng, ends_N, path = np.random.default_rng(0), np.full(length, length), []
    for number in range(length):
        while path and rng.random() < 0.05:
            for closed in path[rng.integers(len(path)) :]:
                ends_N[closed] = number
            path = [one for one in path if ends_N[one] == length]
        path.append(number)
    return ends_N
