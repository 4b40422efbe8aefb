"""Log-probabilities and entropies of tokens under a linear head, without the table of all logits.

The table is made in chunks and not kept: each is made again in the backward pass. Where the head itself does
not learn (adapters), the gradient is linear in what comes down to it, so its direction is taken in the
forward pass and no chunk is made twice.

Shapes: N tokens, C tokens of a chunk, D hidden, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .casts import cast_weight, find_arithmetic, find_gradient_type, multiply_transposed
from .kept import OUTSIDE, KeptSets

CHUNK_ELEMENTS = 2**24  # logits of a chunk: 64 MiB in float32


def count_chunk_tokens(vocabulary: int, hidden: int = 1) -> int:
    """Tokens of a chunk: CHUNK_ELEMENTS logits, or as many numbers as the head itself has where that is more.

    With fewer tokens than it is wide, a head is read from memory for longer than it is computed with.
    """
    return max(CHUNK_ELEMENTS // vocabulary, hidden)


@dataclass(frozen=True)
class Scored:
    """Of each token logprobs_N and entropy_N, in nats."""

    logprobs_N: Tensor
    entropy_N: Tensor


@dataclass(frozen=True)
class _Drawn:
    """What is known of the tokens. kept: what each was drawn among.  chunk: tokens of one."""

    targets_N: Tensor
    kept: KeptSets | None
    temperature: float
    entropy_gradient: bool
    chunk: int


def has_linear_head(model: Any) -> bool:
    """Whether a model's head is one product and nothing else, which can then be done in chunks."""
    head = model.get_output_embeddings()
    return (
        isinstance(head, nn.Linear)
        and type(head).forward is nn.Linear.forward
        and not (head._forward_hooks or head._forward_pre_hooks or hasattr(head, "parametrizations"))
    )


def score_tokens(
    source_ND: Tensor,
    head: nn.Linear | None,
    targets_N: Tensor,
    kept: KeptSets | None,
    temperature: float,
    entropy_gradient: bool,
) -> Scored:
    """Log-probability of each target and entropy of its distribution, softmax(head(source) / temperature)
    restricted to what was kept. Differentiable; the entropy only where `entropy_gradient` says so.

    source_ND: the state before each token; its logits where `head` is None.
    """
    weight, bias = (None, None) if head is None else (head.weight, head.bias)
    chunk = count_chunk_tokens(*(source_ND.shape[1:] if weight is None else weight.shape))
    drawn = _Drawn(targets_N, kept, temperature, entropy_gradient, chunk)
    return Scored(*_Score.apply(source_ND, weight, bias, drawn))


class _Score(torch.autograd.Function):
    """`score_tokens`. The gradients of the head are summed over the chunks in the head's own type."""

    @staticmethod
    def forward(
        ctx: Any, source: Tensor, weight: Tensor | None, bias: Tensor | None, drawn: _Drawn
    ) -> tuple[Tensor, Tensor]:
        learns = any(ctx.needs_input_grad)
        whole = len(source) <= drawn.chunk
        # Without a gradient for the head itself, and none of the entropy, what comes down is a factor of each
        # token.
        linear = weight is not None and ctx.needs_input_grad[0] and not any(ctx.needs_input_grad[1:])
        linear = linear and not drawn.entropy_gradient
        cast, states = weight, source
        if weight is not None:
            dtype = find_arithmetic(weight)
            cast, states = cast_weight(weight, dtype), source.to(dtype)
        logprobs, entropy = source.new_empty(2, len(source), dtype=torch.float32)
        steps, all_NV = source.new_empty(states.shape if linear else 0, dtype=states.dtype), None
        for part, kept in _split(drawn):
            all_NV = None  # of the chunk before: one at a time
            logits = _compute_logits(states[part], cast, bias, kept, drawn.temperature)
            all_NV = logits.log_softmax(-1)
            logprobs[part] = all_NV.gather(-1, drawn.targets_N[part, None])[:, 0]
            entropy[part] = torch.exp(all_NV, out=logits).mul_(all_NV).nan_to_num_().sum(-1).neg_()
            if linear and cast is not None:
                away = _step_away(torch.exp(all_NV, out=logits), drawn, part, torch.ones_like(logprobs[part]))
                torch.mm(away.to(cast.dtype), cast, out=steps[part])
                del away
            del logits
        if linear:
            ctx.save_for_backward(steps)
        elif learns:
            ctx.save_for_backward(states, cast, bias, entropy, all_NV if whole else None)
        ctx.drawn, ctx.linear, ctx.types = drawn, linear, (source.dtype, weight, bias)
        if not drawn.entropy_gradient:
            ctx.mark_non_differentiable(entropy)
        return logprobs, entropy

    @staticmethod
    def backward(ctx: Any, grad: Tensor, grad_entropy: Tensor) -> tuple[Tensor | None, ...]:  # pyrefly: ignore
        drawn, (source_type, weight, bias) = ctx.drawn, ctx.types
        if ctx.linear:
            (steps,) = ctx.saved_tensors
            return (grad[:, None] * steps).to(source_type), None, None, None
        states, cast, own_bias, entropy, whole = ctx.saved_tensors
        d_source, d_weight = torch.empty_like(states), None
        d_bias = None if bias is None else torch.zeros_like(bias, dtype=torch.float32)
        for part, kept in _split(drawn):
            given = (states[part], cast, own_bias, kept, drawn.temperature)
            all_CV = _compute_logits(*given).log_softmax(-1) if whole is None else whole
            d_logits = _differentiate(all_CV, drawn, part, grad[part], entropy[part], grad_entropy[part])
            del all_CV
            if cast is None:
                d_source[part] = d_logits
                continue
            if d_bias is not None:
                d_bias += d_logits.sum(0)
            d_logits = d_logits.to(cast.dtype)
            if ctx.needs_input_grad[0]:
                torch.mm(d_logits, cast, out=d_source[part])
            if ctx.needs_input_grad[1]:
                d_weight = _add_product(d_weight, d_logits, states[part])
            del d_logits
        return (
            d_source.to(source_type) if ctx.needs_input_grad[0] else None,
            None if d_weight is None else d_weight.to(find_gradient_type(weight)),
            d_bias if ctx.needs_input_grad[2] else None,
            None,
        )


def _split(drawn: _Drawn) -> list[tuple[slice, KeptSets | None]]:
    parts = [slice(i, i + drawn.chunk) for i in range(0, len(drawn.targets_N), drawn.chunk)]
    return list(zip(parts, drawn.kept.split(drawn.chunk) if drawn.kept else [None] * len(parts), strict=True))


def _compute_logits(
    states_CD: Tensor,
    weight_VD: Tensor | None,
    bias_V: Tensor | None,
    kept: KeptSets | None,
    temperature: float,
) -> Tensor:
    """logits_CV in float32, a tensor of their own."""
    if weight_VD is None:
        logits_CV = states_CD.float() if states_CD.dtype is not torch.float32 else states_CD.clone()
    else:
        bias_V = None if bias_V is None else bias_V.to(weight_VD.dtype)
        logits_CV = nn.functional.linear(states_CD, weight_VD, bias_V).float()
    if temperature != 1:
        logits_CV.div_(temperature)
    if kept is not None:
        logits_CV.masked_fill_(kept.mark_outside(logits_CV.shape[1]), OUTSIDE)
    return logits_CV


def _differentiate(
    all_CV: Tensor, drawn: _Drawn, part: slice, grad_C: Tensor, entropy_C: Tensor, grad_entropy_C: Tensor
) -> Tensor:
    """The gradient of the logits of a chunk whose log-probabilities are all_CV."""
    chances_CV = all_CV.exp()
    if not drawn.entropy_gradient:
        return _step_away(chances_CV, drawn, part, grad_C)
    # dH / dlogit = -p (log p + H)
    spread_CV = (all_CV + entropy_C[:, None]).mul_(chances_CV).nan_to_num_()
    spread_CV.mul_(grad_entropy_C[:, None] / drawn.temperature)
    return _step_away(chances_CV, drawn, part, grad_C).sub_(spread_CV)


def _step_away(chances_CV: Tensor, drawn: _Drawn, part: slice, grad_C: Tensor) -> Tensor:
    """The gradient of the logits, in place of the probabilities: grad (1 at the target - p) / temperature."""
    step_CV = chances_CV.mul_(-grad_C[:, None])
    step_CV.scatter_add_(1, drawn.targets_N[part, None], grad_C[:, None])
    return step_CV if drawn.temperature == 1 else step_CV.div_(drawn.temperature)


def _add_product(total: Tensor | None, grad_CV: Tensor, states_CD: Tensor) -> Tensor:
    """The sum so far and that of a chunk, in float32 or finer for a head of any type."""
    if total is not None and grad_CV.dtype is total.dtype:
        return torch.addmm(total, grad_CV.t(), states_CD, out=total)
    kind = torch.promote_types(grad_CV.dtype, torch.float32)
    product = multiply_transposed(grad_CV, states_CD, kind)
    return product if total is None else total.add_(product)
