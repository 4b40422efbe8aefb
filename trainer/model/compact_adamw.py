"""AdamW for little memory: weights in bfloat16 that are rounded stochastically, moments in 8 bits.

Shapes: N numbers of a weight, flat; K blocks of 256 of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ...tasks.core.errors import UserError
from ...tasks.core.seeds import digest

BLOCK = 256  # numbers that share a scale
CHUNK = 2**22  # numbers that are updated at once, so that the float32 in between stays small; whole blocks
CHUNK_BYTES = 64 * CHUNK  # of these numbers in between, at most
LEAST = 4096  # a tensor with fewer numbers keeps its moments in float32: they are no burden
SCALED_BYTES = 1 + 4 / BLOCK  # of a number in 8 bits, its share of the scale included


@dataclass(frozen=True)
class Levels:
    """Magnitudes of 8 bits, each a constant factor above the one before it; the last is 1, code 0 stands
    for 0.

    count: of the levels.  per_octave: levels between a number and twice it.
    nonzero: what is not 0 stays so: it is never rounded below the first level.
    """

    count: int
    per_octave: int
    nonzero: bool

    @property
    def least(self) -> float:
        """The first level."""
        return 2.0 ** ((1 - self.count) / self.per_octave)

    def draw(self, share: Tensor, draws: Tensor) -> Tensor:
        """Codes, as float32, of shares in [0, 1]: one of the two levels around each, so that the mean of
        what they stand for is the share itself. draws: uniform in [0, 1)."""
        low = (share.clamp_min(self.least).log2_() * self.per_octave).add_(self.count).floor_()
        between = (share / self._level(low)).sub_(1).div_(2 ** (1 / self.per_octave) - 1)
        code = low + (draws < between)
        below = torch.full_like(share, float(self.nonzero)) if self.nonzero else draws * self.least < share
        return torch.where(share < self.least, below * (share > 0), code).clamp_(max=self.count)

    def read(self, code: Tensor) -> Tensor:
        """The shares that codes stand for, in float32."""
        return self._level(code.float()) * (code > 0)

    def _level(self, code: Tensor) -> Tensor:
        return ((code - self.count) / self.per_octave).exp2_()


# The mean of gradients is forgotten in ten steps, what rounding adds to it, too: coarse levels will do. The
# mean of squares is remembered for a thousand; a divisor that became 0 would make a step without bound.
MEAN, SQUARES = Levels(127, 6, nonzero=False), Levels(255, 9, nonzero=True)


@dataclass(frozen=True)
class Scaled:
    """Numbers in 8 bits. codes_N: level, negative for negative numbers where `levels` has 127 of them.
    scales_K: the largest magnitude of each block, in float32."""

    codes_N: Tensor
    scales_K: Tensor

    @classmethod
    def zeros(cls, numbers: int, levels: Levels, device: torch.device) -> Scaled:
        codes_N = torch.zeros(numbers, dtype=torch.int8 if levels.count < 128 else torch.uint8, device=device)
        return cls(codes_N, torch.zeros(-(-numbers // BLOCK), device=device))

    def slice(self, begin: int, end: int) -> Scaled:
        """A view of numbers `begin` to `end`; `begin` is the first of a block."""
        return Scaled(self.codes_N[begin:end], self.scales_K[begin // BLOCK : -(-end // BLOCK)])

    def read(self, levels: Levels) -> Tensor:
        """The numbers in float32."""
        share_N = levels.read(self.codes_N.abs() if self.codes_N.dtype is torch.int8 else self.codes_N)
        signed_N = torch.where(self.codes_N < 0, -share_N, share_N)
        return signed_N.mul_(self.scales_K.repeat_interleave(BLOCK)[: len(signed_N)])

    def write(self, numbers_N: Tensor, levels: Levels, draws_N: Tensor) -> None:
        """Take up these numbers, each at one of the two levels around it, without bias."""
        size = len(numbers_N)
        magnitude_KB = functional.pad(numbers_N.abs(), (0, -size % BLOCK)).view(-1, BLOCK)
        self.scales_K.copy_(magnitude_KB.amax(1))
        share_N = (magnitude_KB / self.scales_K.clamp_min(1e-38)[:, None]).flatten()[:size]
        self.codes_N.copy_(torch.copysign(levels.draw(share_N, draws_N), numbers_N))


@dataclass(frozen=True)
class Draws:
    """Random numbers of one chunk. bits_N: whole, in [0, 2^16).  mean_N, squares_N: uniform in [0, 1)."""

    bits_N: Tensor
    mean_N: Tensor
    squares_N: Tensor

    @classmethod
    def of(cls, numbers: int, generator: torch.Generator) -> Draws:
        """All three from one draw of 63 bits a number."""
        whole_N = torch.empty(numbers, dtype=torch.int64, device=generator.device)
        whole_N.random_(generator=generator)
        parts = [((whole_N >> shift) & (2**22 - 1)).float().mul_(2.0**-22) for shift in (16, 38)]
        return cls((whole_N & 0xFFFF).int(), *parts)


def round_stochastically(numbers_N: Tensor, bits_N: Tensor) -> Tensor:
    """float32 to bfloat16: up or down, in proportion to how near each is, so that the mean is the number
    itself (Gupta et al. 2015, arXiv:1502.02551).

    bits_N: whole numbers, uniform in [0, 2^16). A bfloat16 is the upper half of a float32, so it is rounded
    by adding them to the lower half, whose carry is the rounding up.
    """
    whole_N = (numbers_N.view(torch.int32) + bits_N) & -65536
    return whole_N.view(torch.float32).to(torch.bfloat16)


def sum_in_float32(parameters: Iterable[Tensor]) -> None:
    """Let the gradients of those that learn in bfloat16 be summed in float32, in any number of parts.

    Raises UserError where torch can't.
    """
    for parameter in parameters:
        if parameter.requires_grad and parameter.dtype is torch.bfloat16:
            if not hasattr(parameter, "grad_dtype"):
                raise UserError(
                    "Training weights in bfloat16 needs torch 2.10 or newer, and this is "
                    f"{torch.__version__}: older ones sum their gradients in bfloat16. Install a newer one, "
                    "or leave --weights out."
                )
            parameter.grad_dtype = torch.float32


class CompactAdamW(torch.optim.Optimizer):
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) whose weights may be bfloat16, and whose moments
    may be kept in 8 bits, block by block (Dettmers et al. 2021, arXiv:2110.02861).

    Its arithmetic is float32; only what is kept is rounded, at random and without bias: a step of 1e-6 of a
    weight, or a thousandth of its squared gradient, is less than half the distance of two such numbers, and
    rounded to the nearest it would be lost at every step. The levels are those of `Levels`, not of the
    paper, whose rounding is to the nearest.

    eight_bits: whether tensors of 4096 numbers or more have their moments in 8 bits.
    seed: with the number of the step it decides everything random, so a resumed run takes the same bits.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        betas: tuple[float, float],
        *,
        eight_bits: bool,
        seed: int = 0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(groups, {"lr": 0.0, "betas": betas, "eps": eps, "weight_decay": 0.0, "step": 0})
        self.eight_bits, self.seed = eight_bits, seed

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step with the gradients that are there, which no closure may compute anew."""
        assert closure is None
        for place, group in enumerate(self.param_groups):
            group["step"] += 1
            for number, weight in enumerate(group["params"]):
                if weight.grad is not None:
                    seed = digest("rounding", self.seed, group["step"], place, number)
                    self._step_weight(weight, group, torch.Generator(weight.device).manual_seed(seed >> 1))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what `state_dict` gave, each tensor in its own type (torch would cast them to the
        weight's)."""
        super().load_state_dict({**state_dict, "state": {}})
        weights = [weight for group in self.param_groups for weight in group["params"]]
        for number, kept in state_dict["state"].items():
            weight = weights[number]
            self.state[weight] = {name: tensor.to(weight.device).clone() for name, tensor in kept.items()}

    def _start(self, weight: Tensor) -> dict[str, Tensor]:
        """The moments of a weight before its first step: 0."""
        if not self.eight_bits or weight.numel() < LEAST:
            return {name: torch.zeros(weight.numel(), device=weight.device) for name in ("mean", "squares")}
        kept: dict[str, Tensor] = {}
        for name, levels in (("mean", MEAN), ("squares", SQUARES)):
            zeros = Scaled.zeros(weight.numel(), levels, weight.device)
            kept |= {f"{name}_codes": zeros.codes_N, f"{name}_scales": zeros.scales_K}
        return kept

    def _step_weight(self, weight: Tensor, group: dict[str, Any], generator: torch.Generator) -> None:
        state = self.state[weight]
        if not state:
            state.update(self._start(weight))
        assert weight.grad is not None
        gradient_N, weight_N = weight.grad.reshape(-1), weight.view(-1)
        for begin, end in _divide(weight.numel()):
            draws = None
            if weight.dtype is torch.bfloat16 or "mean_codes" in state:
                draws = Draws.of(end - begin, generator)
            part_N = gradient_N[begin:end].float()
            moved_N = _move(state, begin, end, part_N, group, draws)
            new_N = weight_N[begin:end].float().mul_(1 - group["lr"] * group["weight_decay"]).sub_(moved_N)
            if weight.dtype is torch.bfloat16 and draws is not None:
                new_N = round_stochastically(new_N, draws.bits_N)
            weight_N[begin:end] = new_N


def _divide(numbers: int) -> Iterator[tuple[int, int]]:
    return ((begin, min(begin + CHUNK, numbers)) for begin in range(0, numbers, CHUNK))


def _move(
    state: dict[str, Tensor],
    begin: int,
    end: int,
    gradient_N: Tensor,
    group: dict[str, Any],
    draws: Draws | None,
) -> Tensor:
    """Take the gradient into the moments of numbers `begin` to `end`; returns what the step takes from the
    weights."""
    (beta1, beta2), step = group["betas"], group["step"]
    mean_N = _read(state, "mean", begin, end, MEAN).lerp_(gradient_N, 1 - beta1)
    squares_N = _read(state, "squares", begin, end, SQUARES).mul_(beta2)
    squares_N.addcmul_(gradient_N, gradient_N, value=1 - beta2)
    if draws is not None and "mean_codes" in state:
        for name, new_N, levels, drawn_N in (
            ("mean", mean_N, MEAN, draws.mean_N),
            ("squares", squares_N, SQUARES, draws.squares_N),
        ):
            kept = Scaled(state[f"{name}_codes"], state[f"{name}_scales"]).slice(begin, end)
            kept.write(new_N, levels, drawn_N)
    else:
        state["mean"][begin:end], state["squares"][begin:end] = mean_N, squares_N
    divisor_N = squares_N.div_(1 - beta2**step).sqrt_().add_(group["eps"])
    return mean_N.div(divisor_N).mul_(group["lr"] / (1 - beta1**step))


def _read(state: dict[str, Tensor], name: str, begin: int, end: int, levels: Levels) -> Tensor:
    """A moment in float32, in memory of its own."""
    if f"{name}_codes" in state:
        return Scaled(state[f"{name}_codes"], state[f"{name}_scales"]).slice(begin, end).read(levels)
    return state[name][begin:end].clone()
