"""A decoder written for the dense family: the sampler's fast path.

One token for each row by fused projections over a preallocated key/value cache, whose length grows by buckets. The live
rows are always the first: forks, and the last live rows, are copied to where a row has ended. The prompts are prefilled
by the model's own forward pass, and `refusal` compares the two on a probe before the path is used at all.

Shapes: R completions, U rows (distinct texts), K key/value heads, J queries of a key head (J1: with the key itself),
E head size, S cache positions, N = U * K, L layers, D hidden, F inner width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .decoding import GeneralDecoding
from .dense import DenseWeights, Layer, misfit, normed

BUCKET = 64  # positions by which the cache grows at least
GROWTH = 1.5
PROBE_BOUND = 1e-4  # nats; float32 rounding stays a hundred times below


class FastDecoding:
    """Rows decoded over fused weights.

    fixed: shapes stay the same from step to step (whole cache under a mask, rows halved rather than cut), so that the
    step can be captured as a CUDA graph. `capture` does that; the same code runs without.
    """

    def __init__(
        self, model: Any, weights: DenseWeights, prompts: Sequence[Sequence[int]], samples: Sequence[int], limit: int,
        *, fixed: bool = False, capture: bool = False,
    ) -> None:  # fmt: skip
        """limit: tokens that a completion may have."""
        self.weights, self.fixed, self.capture = weights, fixed or capture, capture
        device = weights.embedding_VD.device
        start = GeneralDecoding(model, prompts, samples)
        self.start_R = start.start_R
        rows_U = self.start_R if self.fixed else start.rows_U
        if self.fixed:
            self.start_R = torch.arange(len(rows_U), device=device)
        self.rows = self.width = len(rows_U)  # live rows, and rows that are computed
        self.used = max(map(len, prompts))  # positions of the cache that hold something
        self.most = self.used + limit
        self.logits_UV = start.logits_UV[rows_U]
        ragged = start.mask_US is not None
        self.positions_U = start.positions_U[rows_U] if ragged or self.fixed else start.positions_U[:1]
        self.slot = torch.tensor([self.used], device=device)
        self.capacity = min(self.most, self.used + 2 * BUCKET)
        self.bias_U1S: Tensor | None = None
        if ragged or self.fixed:
            seen_PS = start.mask_US if start.mask_US is not None else torch.ones(len(prompts), self.used, device=device)
            self.bias_U1S = torch.full((self.rows, 1, self.capacity), float("-inf") if self.fixed else 0.0, device=device)
            self.bias_U1S[:, 0, : self.used] = torch.where(seen_PS[rows_U].bool(), 0.0, float("-inf"))
            self.bias_U1S = self.bias_U1S.to(weights.dtype)
        self.cache_L: list[Tensor] = []  # of shape 2, rows, K, S, E: keys and values
        layers: list[Any] = list(start.cache.layers)
        for layer in layers:
            cache = self._empty(len(self.start_R))
            cache[0, : self.rows, :, : self.used] = layer.keys[rows_U]
            cache[1, : self.rows, :, : self.used] = layer.values[rows_U]
            self.cache_L.append(cache)
            layer.keys = layer.values = None  # the prompts' own cache is not needed any more
        self.cos_SE, self.sin_SE = rotations(model, self.most, device)
        self._rebuild()

    def _empty(self, rows: int) -> Tensor:
        weights = self.weights
        shape = (2, rows, weights.key_heads, self.capacity, weights.head_size)
        make = torch.zeros if self.fixed else torch.empty  # what is masked must be finite: 0 * nan is nan
        return make(shape, dtype=weights.dtype, device=weights.embedding_VD.device)

    def _rebuild(self) -> None:
        """Buffers and views for the rows that are computed now; after every change of their number or of the capacity."""
        w, n = self.weights, self.width
        self.views_L = [(cache[0, :n].flatten(0, 1), cache[1, :n].flatten(0, 1)) for cache in self.cache_L]
        device, layer = w.embedding_VD.device, w.layers[0]
        inner = layer.down_DF.shape[1]

        def empty(*shape: int) -> Tensor:
            return torch.empty(shape, dtype=w.dtype, device=device)

        self.hidden_UD = empty(n, w.embedding_VD.shape[1])
        self.qkv_UO, self.up_U2F = empty(n, len(layer.qkv_OD)), empty(n, 2 * inner)
        self.rotated_NJE = empty(n * w.key_heads, w.queries + 1, w.head_size)
        self.attended_NJE = empty(n * w.key_heads, w.queries, w.head_size)
        self.out_UV = empty(n, len(w.head_VD))
        self.tokens_U = torch.zeros(n, dtype=torch.long, device=device)
        self.graph: Any = None

    def _go_on_with(self, parents_U: Tensor) -> Tensor:
        """Give each row that goes on a place among the first ones; only forks, and rows that fill a gap, are copied."""
        count, device = len(parents_U), parents_U.device
        stays_U = parents_U < count
        stays_U[1:] &= parents_U[1:] != parents_U[:-1]  # of several, the first
        free = torch.ones(count, dtype=torch.bool, device=device)
        free[parents_U[stays_U]] = False
        place_U = parents_U.clone()
        place_U[~stays_U] = targets = free.nonzero()[:, 0]
        sources = parents_U[~stays_U]  # none of them is a target: the first child of a row below `count` stays there
        width = self.width if self.fixed else count
        while self.fixed and width >= 2 * count and width > 1:
            width = -(-width // 2)
        for cache in self.cache_L:
            cache[:, targets, :, : self.used] = cache[:, sources, :, : self.used]
        if self.bias_U1S is not None:
            self.bias_U1S = moved(self.bias_U1S, targets, sources, width)
        if len(self.positions_U) > 1 or self.fixed:
            self.positions_U = moved(self.positions_U, targets, sources, width)
        self.rows = count
        if width != self.width:
            self.width = width
            self._rebuild()
        return place_U

    @torch.inference_mode()
    def advance(self, parents_U: Tensor | None, tokens_U: Tensor) -> Tensor | None:
        place_U = None if parents_U is None else self._go_on_with(parents_U)
        if self.used == self.capacity:
            self._grow()
        if place_U is None:
            self.tokens_U[: self.rows] = tokens_U
        else:
            self.tokens_U[place_U] = tokens_U
        if self.capture and self.graph is None:
            self._step()  # eager once: it computes this very step, and warms up what a capture must not meet first
            self._settle()
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self._step()
        elif self.graph is not None:
            self.graph.replay()
            self._settle()
        else:
            self._step()
            self._settle()
        self.used += 1
        self.logits_UV = self.out_UV[: self.rows]
        return place_U

    def _settle(self) -> None:
        self.positions_U += 1
        self.slot += 1

    def _grow(self) -> None:
        """A longer cache for the rows that are still computed."""
        self.capacity = min(self.most, max(self.used + BUCKET, int(self.used * GROWTH) // BUCKET * BUCKET))
        for index, old in enumerate(self.cache_L):
            self.cache_L[index] = cache = self._empty(self.width if self.fixed else old.shape[1])
            cache[:, : self.width, :, : self.used] = old[:, : self.width, :, : self.used]
        if self.bias_U1S is not None:
            more = self.capacity - self.bias_U1S.shape[2]
            self.bias_U1S = functional.pad(self.bias_U1S, (0, more), value=float("-inf") if self.fixed else 0.0)
        self._rebuild()

    def _step(self) -> None:
        """One token through all layers; reads tokens_U, positions_U and slot, writes the cache and out_UV."""
        w = self.weights
        x_UD = functional.embedding(self.tokens_U, w.embedding_VD).float()
        cos_U11E, sin_U11E = self.cos_SE[self.positions_U, None, None], self.sin_SE[self.positions_U, None, None]
        turn = None
        if self.fixed and self.bias_U1S is not None:
            self.bias_U1S.index_fill_(2, self.slot, 0.0)
        bias_N1S = None
        if self.bias_U1S is not None:
            bias_U1S = self.bias_U1S if self.fixed else self.bias_U1S[:, :, : self.used + 1]
            bias_N1S = bias_U1S.repeat_interleave(w.key_heads, 0) if w.key_heads > 1 else bias_U1S
        for layer, (keys_NSE, values_NSE) in zip(w.layers, self.views_L, strict=True):
            if turn is None or w.qk_norm:
                turn = rotation(cos_U11E, sin_U11E, layer)
            self._attend(x_UD, layer, turn, keys_NSE, values_NSE, bias_N1S)
            self._feed(x_UD, layer)
        scaled_UD = torch.mul(normed(x_UD, w.eps), w.norm_D, out=self.hidden_UD)
        torch.mm(scaled_UD, w.head_VD.t(), out=self.out_UV)

    def _attend(
        self, x_UD: Tensor, layer: Layer, turn: tuple[Tensor, Tensor], keys_NSE: Tensor, values_NSE: Tensor,
        bias_N1S: Tensor | None,
    ) -> None:  # fmt: skip
        w = self.weights
        hidden_UD, qkv_UO = normed(x_UD, w.eps, out=self.hidden_UD), self.qkv_UO
        if layer.bias_O is None:
            torch.mm(hidden_UD, layer.qkv_OD.t(), out=qkv_UO)
        else:
            torch.addmm(layer.bias_O, hidden_UD, layer.qkv_OD.t(), out=qkv_UO)
        qkv_UKJE = qkv_UO.view(len(qkv_UO), w.key_heads, w.queries + 2, w.head_size)
        rotated_NJE = rotate(qkv_UKJE[:, :, :-1], turn, w, self.rotated_NJE)
        value_NE = qkv_UKJE[:, :, -1].reshape(-1, w.head_size)
        if self.fixed:
            keys_NSE.index_copy_(1, self.slot, rotated_NJE[:, -1:])
            values_NSE.index_copy_(1, self.slot, value_NE[:, None])
        else:
            keys_NSE[:, self.used], values_NSE[:, self.used] = rotated_NJE[:, -1], value_NE
            keys_NSE, values_NSE = keys_NSE[:, : self.used + 1], values_NSE[:, : self.used + 1]
        query_NJE = rotated_NJE[:, :-1]
        if w.dtype is torch.float32:
            keys_NES = keys_NSE.transpose(1, 2)
            scores_NJS = torch.bmm(query_NJE, keys_NES) if bias_N1S is None else torch.baddbmm(bias_N1S, query_NJE, keys_NES)
            torch.softmax(scores_NJS, -1, out=scores_NJS)
            torch.bmm(scores_NJS, values_NSE, out=self.attended_NJE)
            attended_NJE = self.attended_NJE
        else:  # the fused kernels keep the scores in float32
            attended_NJE = functional.scaled_dot_product_attention(
                query_NJE[None], keys_NSE[None], values_NSE[None], None if bias_N1S is None else bias_N1S[None], scale=1.0
            )[0]
        add_product(x_UD, attended_NJE.reshape(len(x_UD), -1), layer.out_DH)

    def _feed(self, x_UD: Tensor, layer: Layer) -> None:
        torch.mm(normed(x_UD, self.weights.eps, out=self.hidden_UD), layer.gate_up_2FD.t(), out=self.up_U2F)
        gate_UF, up_UF = self.up_U2F.chunk(2, 1)
        add_product(x_UD, functional.silu(gate_UF, inplace=True).mul_(up_UF), layer.down_DF)


def moved(state: Tensor, targets: Tensor, sources: Tensor, width: int) -> Tensor:
    """Per-row state after rows `sources` were copied to `targets`, `width` rows of it."""
    result = state[torch.arange(width, device=state.device).clamp_(max=len(state) - 1)]
    result[targets] = state[sources]
    return result


def add_product(x_UD: Tensor, left: Tensor, weight: Tensor) -> None:
    """x += left @ weight.T; x stays in float32."""
    if left.dtype is x_UD.dtype:
        x_UD.addmm_(left, weight.t())
    else:
        x_UD += left @ weight.t()


def rotation(cos_U11E: Tensor, sin_U11E: Tensor, layer: Layer) -> tuple[Tensor, Tensor]:
    """Factors of `rotate` with the layer's gains in: of each value, and of its partner half a head away (signed)."""
    half = layer.gain_KJE.shape[-1] // 2
    low, high = layer.gain_KJE[..., :half], layer.gain_KJE[..., half:]
    return cos_U11E * layer.gain_KJE, sin_U11E * torch.cat([-high, low], -1)


def rotate(qk_UKJE: Tensor, turn: tuple[Tensor, Tensor], weights: DenseWeights, out_NJE: Tensor) -> Tensor:
    """Rotary embedding (Su et al. 2021, arXiv:2104.09864) of queries and keys, after their norms where there are any."""
    cos, sin = turn
    half = weights.head_size // 2
    if weights.qk_norm:
        qk_UKJE = normed(qk_UKJE, weights.eps)
    out_UKJE = out_NJE.view(qk_UKJE.shape)
    result = torch.mul(qk_UKJE, cos, out=out_UKJE) if weights.dtype is torch.float32 else qk_UKJE * cos
    result[..., :half].addcmul_(qk_UKJE[..., half:], sin[..., :half])
    result[..., half:].addcmul_(qk_UKJE[..., :half], sin[..., half:])
    if result is not out_UKJE:
        out_UKJE.copy_(result)
    return out_NJE


def rotations(model: Any, positions: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """cos_SE and sin_SE of every position, from the model's own rotary embedding."""
    probe = torch.zeros(1, device=device)
    cos, sin = model.model.rotary_emb(probe, torch.arange(positions, device=device)[None])
    return cos[0].float(), sin[0].float()


@torch.no_grad()
def refusal(model: Any) -> str:
    """Why a model can't take the fast path, as a clause; "" when it can.

    Its class, config and parameters must be those of the family, and a probe (ragged prompts, a grown cache, ended rows)
    must give the log-probabilities of the model's own forward pass.
    """
    reason = misfit(model)
    if reason:
        return reason
    training = model.training
    model.eval()
    try:
        with torch.autocast(next(model.parameters()).device.type, enabled=False):
            worst = _probe(model)
    finally:
        model.train(training)
    return "" if worst <= PROBE_BOUND else f"on a probe it differs from the model by {worst:.2g} nats"


def _probe(model: Any) -> float:
    """Largest difference of log-probabilities between both paths over a few steps."""
    size = model.get_input_embeddings().weight.shape[0]
    prompts = [[(7 * place + 3) % size for place in range(length)] for length in (9, 4)]
    samples = [2, 1]
    general = GeneralDecoding(model, prompts, samples)
    fast = FastDecoding(model, DenseWeights.of(model, torch.float32), prompts, samples, 12)
    worst, device = 0.0, fast.logits_UV.device
    matching_U = torch.arange(2, device=device)  # the general path's row for each row of the fast one
    # Both rows go on; the first is forked; the second ends; the others go on.
    for step, parents in enumerate((None, [0, 0, 1], None, [0, 1], None, None)):
        fast_parents_U = None if parents is None else torch.tensor(parents, device=device)
        tokens_U = (torch.arange(len(parents or matching_U), device=device) * 5 + step + 1) % size
        general_U = tokens_U if parents else torch.empty_like(tokens_U).index_copy_(0, matching_U, tokens_U)
        if fast_parents_U is None:
            fast.advance(None, tokens_U)
            general.advance(None, general_U)
        else:
            general_parents_U, order_U = matching_U[fast_parents_U].sort(stable=True)
            place_U = fast.advance(fast_parents_U, tokens_U)
            general.advance(general_parents_U, general_U[order_U])
            matching_U = torch.empty_like(order_U)
            matching_U[place_U] = order_U.argsort()
        one, other = fast.logits_UV.log_softmax(-1), general.logits_UV[matching_U].float().log_softmax(-1)
        worst = max(worst, float((one - other).abs().max()))
    return worst
