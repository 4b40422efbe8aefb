"""AdamW for little memory: rounding without bias, moments in 8 bits, the same bits after a resume."""

import copy
import io
import math

import pytest
import torch
from palaestra.trainer.config.shared import OptimizerConfig
from palaestra.trainer.model import compact_adamw, optim
from palaestra.trainer.model.compact_adamw import (
    BLOCK,
    MEAN,
    SCALED_BYTES,
    SQUARES,
    CompactAdamW,
    Draws,
    Levels,
    Scaled,
    round_stochastically,
)
from torch import nn

SURE = 4.5  # standard errors: once in 150,000 draws, and the seeds are fixed


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("number", [1.0, -1.0, 1 + 2**-9, 3.14159, -0.001234, 1e-30, -7e20, 0.0])
def test_the_mean_of_what_is_rounded_is_the_number(number: float):
    count = 40_000
    exact = float(torch.tensor(number))
    rounded_N = round_stochastically(
        torch.full((count,), number), Draws.of(count, generator(1)).bits_N
    ).double()
    below = torch.tensor(exact).view(torch.int32) & -65536
    ends = {float(below.view(torch.float32)), float((below + 65536).view(torch.float32))}
    assert set(rounded_N.tolist()) <= ends, "one of the two neighbours"
    error = float(rounded_N.std()) / math.sqrt(count)
    assert abs(float(rounded_N.mean()) - exact) <= SURE * error


def test_what_bfloat16_holds_is_never_moved():
    numbers_N = torch.randn(10_000, generator=generator()).bfloat16().float()
    rounded_N = round_stochastically(numbers_N, Draws.of(10_000, generator(1)).bits_N)
    assert torch.equal(rounded_N.float(), numbers_N)


@pytest.mark.parametrize(("levels", "signed"), [(MEAN, True), (SQUARES, False)])
def test_eight_bits_hold_the_number_on_average_and_within_a_level(levels: Levels, signed: bool):
    repeats = 4000
    numbers_N = torch.exp(-3 * torch.rand(BLOCK + 7, generator=generator()))  # the last block is not full
    if signed:
        numbers_N[::2] *= -1
    total_N, squares_N = torch.zeros(2, len(numbers_N), dtype=torch.float64)
    step = 2 ** (1 / levels.per_octave)
    random = generator(3)
    for _ in range(repeats):
        kept = Scaled.zeros(len(numbers_N), levels, torch.device("cpu"))
        kept.write(numbers_N, levels, torch.rand(len(numbers_N), generator=random))
        read_N = kept.read(levels)
        ratio_N = read_N / numbers_N
        assert ratio_N.min() > 0.999 / step
        assert ratio_N.max() < 1.001 * step
        total_N += read_N
        squares_N += read_N.double() ** 2
    mean_N = total_N / repeats
    error_N = ((squares_N / repeats - mean_N**2).clamp_min(0) / repeats).sqrt()
    assert bool(((mean_N - numbers_N).abs() <= SURE * error_N + 1e-6 * numbers_N.abs()).all())


def test_what_lies_below_the_first_level_keeps_its_mean_or_never_becomes_0():
    count = 100_000
    tiny = MEAN.least / 4
    codes_N = MEAN.draw(torch.full((count,), tiny), torch.rand(count, generator=generator()))
    read_N = MEAN.read(codes_N)
    assert float(read_N.mean()) == pytest.approx(tiny, rel=0.05)
    small = SQUARES.draw(torch.full((count,), SQUARES.least / 1000), torch.rand(count, generator=generator()))
    assert float(SQUARES.read(small).min()) > 0, "a divisor of 0 would make a step without bound"
    assert float(SQUARES.read(SQUARES.draw(torch.zeros(5), torch.rand(5))).max()) == 0


def test_a_change_below_half_a_level_is_not_lost():
    """Squares forget a thousandth a step; to the nearest level, they would forget nothing."""
    kept, random = Scaled.zeros(50 * BLOCK, SQUARES, torch.device("cpu")), generator(5)
    numbers_N = torch.rand(50 * BLOCK, generator=random) + 0.5
    kept.write(numbers_N, SQUARES, torch.rand(len(numbers_N), generator=random))
    start = float(kept.read(SQUARES).mean())
    for _ in range(300):
        kept.write(kept.read(SQUARES).mul_(0.999), SQUARES, torch.rand(len(numbers_N), generator=random))
    assert float(kept.read(SQUARES).mean()) == pytest.approx(0.999**300 * start, rel=0.02)


def make(width: int = 96) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(32, width), nn.Tanh(), nn.Linear(width, 32))


def learn(
    model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, rate: float = 3e-3, first: int = 0
) -> list[float]:
    teacher_DD, losses = torch.randn(32, 32, generator=generator(9)) / 32**0.5, []
    for step in range(first, first + steps):
        x_ND = torch.randn(64, 32, generator=generator(step))
        out_ND = model(x_ND.to(next(model.parameters()).dtype)).float()
        loss = ((out_ND - torch.tanh(x_ND @ teacher_DD)) ** 2).mean()
        loss.backward()
        optim.update(model, optimizer, rate, 1.0)
        losses.append(float(loss.detach()))
    return losses


def test_in_float32_it_takes_the_steps_of_torch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compact_adamw, "CHUNK", 2 * BLOCK)  # several chunks a weight
    ours, theirs = make(), make()
    config = OptimizerConfig(weight_decay=0.1)
    reference = optim.adamw(theirs, config, 10**8)
    groups = [{**group} for group in optim.adamw(ours, config, 10**8).param_groups]
    plain = [{name: group[name] for name in ("params", "weight_decay")} for group in groups]
    optimizer = CompactAdamW(plain, reference.param_groups[0]["betas"], eight_bits=False)
    learn(ours, optimizer, 30)
    learn(theirs, reference, 30)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine, other, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("weights", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("moments", ["float32", "8bit"])
def test_it_learns_as_torch_does(weights: torch.dtype, moments: str):
    theirs, ours = make(), make().to(weights)
    settings = OptimizerConfig(moments=moments, beta2=0.99)
    wanted = learn(theirs, optim.adamw(theirs, OptimizerConfig(beta2=0.99), 10**8), 400)
    found = learn(ours, optim.adamw(ours, settings, 10**8, seed=1), 400)
    assert sum(wanted[-50:]) < 0.3 * sum(wanted[:50]), "there is something to learn"
    assert sum(found[-50:]) < 1.15 * sum(wanted[-50:])


def test_steps_too_small_for_bfloat16_add_up():
    """A hundred steps of a thousandth of the distance between two numbers."""
    weight = nn.Parameter(torch.ones(20_000, dtype=torch.bfloat16))
    holder = nn.ParameterList([weight])
    optimizer = optim.adamw(holder, OptimizerConfig(), 10**8)
    for _ in range(100):
        weight.grad = torch.ones(20_000)
        optim.update(holder, optimizer, 2.0**-18, 1e9)
    assert float(weight.detach().float().mean()) == pytest.approx(1 - 100 * 2.0**-18, abs=2e-5)


def test_gradients_of_bfloat16_weights_are_summed_in_float32():
    weight = nn.Parameter(torch.ones(8, dtype=torch.bfloat16))
    optim.adamw(nn.ParameterList([weight]), OptimizerConfig(), 10**8)
    for _ in range(1000):
        (weight.sum() * 0.001).backward()
    assert weight.grad is not None
    assert weight.grad.dtype is torch.float32
    assert float(weight.grad[0]) == pytest.approx(1.0, rel=0.01), "in bfloat16 it would stop at 0.25"


@pytest.mark.parametrize("moments", ["float32", "8bit"])
def test_a_resumed_run_takes_the_same_bits(moments: str):
    settings = OptimizerConfig(moments=moments)
    whole, part = make().bfloat16(), make().bfloat16()
    learn(whole, optim.adamw(whole, settings, 10**8, seed=4), 8)
    first = optim.adamw(part, settings, 10**8, seed=4)
    learn(part, first, 3)
    buffer = io.BytesIO()
    torch.save(first.state_dict(), buffer)
    buffer.seek(0)
    again = copy.deepcopy(part)
    second = optim.adamw(again, settings, 10**8, seed=4)
    optim.restore(second, torch.load(buffer, weights_only=True))
    learn(again, second, 5, first=3)
    other = copy.deepcopy(part)
    third = optim.adamw(other, settings, 10**8, seed=5)
    optim.restore(third, first.state_dict())
    learn(other, third, 5, first=3)
    pairs = list(zip(whole.parameters(), again.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(one, two) for one, two, _ in pairs)
    assert not all(torch.equal(one, three) for one, _, three in pairs), "the seed matters"


def test_moments_in_eight_bits_take_the_bytes_that_are_billed():
    model = make(512)
    optimizer = optim.adamw(model, OptimizerConfig(moments="8bit"), 10**8)
    learn(model, optimizer, 1)
    matrix = model[0].weight
    kept = sum(tensor.numel() * tensor.element_size() for tensor in optimizer.state[matrix].values())
    assert kept == 2 * SCALED_BYTES * matrix.numel()
    assert optimizer.state[model[0].bias]["mean"].dtype is torch.float32


def test_an_older_torch_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compact_adamw, "hasattr", lambda _thing, _name: False, raising=False)
    with pytest.raises(compact_adamw.UserError, match=r"needs torch 2\.10 or newer"):
        compact_adamw.sum_in_float32([nn.Parameter(torch.ones(3, dtype=torch.bfloat16))])
