"""Clip-Cov and KL-Cov: which tokens are marked, held against the NumPy reference, and by place alone."""

import numpy as np
import pytest
import torch
from palaestra.trainer.config.objective import LossConfig
from palaestra.trainer.objective.covariance import compute_covariances, count_share, draw_by_position
from palaestra.trainer.objective.losses import (
    compute_policy_loss,
    count_denominators,
    make_inputs,
    mark_tokens,
)

from ..support import reference

CLIP = LossConfig("clip_cov", clip_high=0.3, clip_cov_share=0.1, cov_low=0.05, cov_high=1.5)
PENALTY = LossConfig("kl_cov", kl_cov_share=0.15)
NAN = float("nan")


def pad(rows, width=0):
    width = max(width, *map(len, rows))
    return torch.tensor([[*row, *[NAN] * (width - len(row))] for row in rows], dtype=torch.float64)


def draw_rows(seed, rows=8):
    """Ragged rows of log-probabilities and log-ratios, and an advantage each."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 12, size=rows)
    logprobs = [(-abs(rng.normal(size=n)) * 2).tolist() for n in lengths]
    return logprobs, [(rng.normal(size=n) * 0.3).tolist() for n in lengths], rng.normal(size=rows).tolist()


def draw(seed, rows, width):
    return draw_by_position(seed, torch.arange(rows), torch.arange(width))


def mark(config, logprobs, ratios, advantages, draws_BT=None, width=0):
    now_BT = pad(logprobs, width)
    draws_BT = draw(3, *now_BT.shape) if draws_BT is None else draws_BT
    advantages_B1 = torch.tensor(advantages, dtype=torch.float64)[:, None]
    marked = mark_tokens(
        now_BT, now_BT - pad(ratios, width), advantages_B1, ~now_BT.isnan(), config, draws_BT
    )
    return {(int(i), int(t)) for i, t in marked.nonzero()}


@pytest.mark.parametrize("seed", range(8))
def test_covariances_are_those_of_the_reference(seed):
    logprobs, _, advantages = draw_rows(seed)
    now_BT = pad(logprobs)
    advantages_B1 = torch.tensor(advantages, dtype=torch.float64)[:, None]
    inputs = make_inputs(now_BT, now_BT, advantages_B1, ~now_BT.isnan())
    ours_BT = compute_covariances(inputs)
    for row, expected in zip(ours_BT, reference.covariances(logprobs, advantages), strict=True):
        assert row[: len(expected)].numpy() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_the_marks_are_those_of_the_reference(seed):
    logprobs, ratios, advantages = draw_rows(seed)
    draws = [[reference.draw_at(3, i, t) for t in range(len(row))] for i, row in enumerate(logprobs)]
    clipped = reference.mark_clip_cov(logprobs, ratios, advantages, draws, CLIP)
    assert mark(CLIP, logprobs, ratios, advantages) == clipped
    assert mark(PENALTY, logprobs, ratios, advantages) == reference.mark_kl_cov(
        logprobs, advantages, draws, PENALTY
    )


@pytest.mark.parametrize("config", [CLIP, PENALTY], ids=["clip_cov", "kl_cov"])
def test_padding_and_the_order_of_rows_change_no_mark(config):
    logprobs, ratios, advantages = draw_rows(0)
    whole = mark(config, logprobs, ratios, advantages)
    assert whole
    assert mark(config, logprobs, ratios, advantages, width=30) == whole
    order = [5, 2, 7, 0, 1, 6, 4, 3]
    draws_BT = draw(3, 8, max(map(len, logprobs)))[order]
    moved = mark(config, *([values[i] for i in order] for values in (logprobs, ratios, advantages)), draws_BT)
    assert {(order[i], t) for i, t in moved} == whole


def test_draws_decide_between_completions_that_begin_alike():
    """Equal covariances: the rows' order must not choose, nor every time the first row."""
    logprobs, ratios, advantages = (
        [[-3.0, -0.1]] * 4 + [[-3.0, -3.0]] * 4,
        [[0.0, 0.0]] * 8,
        [1.0] * 4 + [-1] * 4,
    )
    config = LossConfig("kl_cov", kl_cov_share=1 / 16)
    chosen = {next(iter(mark(config, logprobs, ratios, advantages, draw(seed, 8, 2)))) for seed in range(20)}
    assert len(chosen) > 2
    assert {t for i, t in chosen if i < 4} == {1}


def test_a_draw_depends_on_seed_and_place_alone():
    whole = draw(2**63 + 11, 6, 9)
    assert whole[4, 7] == reference.draw_at(2**63 + 11, 4, 7)
    part = draw_by_position(2**63 + 11, torch.tensor([4, 1]), torch.arange(8))
    assert torch.equal(part, whole[[4, 1], :8])
    assert not torch.equal(draw(1, 6, 9), draw(2, 6, 9))
    many = draw(7, 200, 200)
    assert 0 <= float(many.min()) < 1e-3
    assert 0.999 < float(many.max()) < 1
    assert float(many.mean()) == pytest.approx(0.5, abs=0.01)
    assert many.unique().numel() == many.numel()


def test_the_share_is_rounded_down_and_never_less_than_one_token():
    keep_BT = torch.ones(10, 100, dtype=torch.bool)
    assert [count_share(share, keep_BT) for share in (0.0, 2e-4, 0.0029, 1.0)] == [1, 1, 2, 1000]


def test_a_dropped_token_has_no_gradient_and_stays_in_the_denominator():
    leaf = torch.full((1, 4), -1.0, dtype=torch.float64, requires_grad=True)
    marked_BT = torch.tensor([[False, True, False, False]])
    counts, ones = count_denominators(torch.ones(1, 4), 4), torch.ones(1, 4)
    result = compute_policy_loss(
        leaf, leaf.detach(), ones, ones, LossConfig("clip_cov"), counts, marked_BT=marked_BT
    )
    result.loss.backward()
    assert leaf.grad[0].tolist() == [-0.25, 0, -0.25, -0.25]
    assert int(result.stats.marked_sum) == 1


def test_a_penalised_token_is_pulled_back_towards_where_it_was():
    leaf = torch.full((1, 2), -1.0, dtype=torch.float64, requires_grad=True)
    counts, ones = count_denominators(torch.ones(1, 2), 2), torch.ones(1, 2)
    before_BT, marked_BT = leaf.detach() - torch.tensor([[0.1, 0.1]]).double(), torch.tensor([[True, False]])
    config = LossConfig("kl_cov", kl_cov_coef=3.0)
    compute_policy_loss(leaf, before_BT, ones, ones, config, counts, marked_BT=marked_BT).loss.backward()
    assert leaf.grad[0].tolist() == pytest.approx([(3 - np.exp(0.1)) / 2, -np.exp(0.1) / 2])


def test_marks_that_are_missing_are_an_error():
    x = torch.zeros(1, 2)
    with pytest.raises(ValueError, match="give marked_BT, from mark_tokens"):
        compute_policy_loss(x, x, x, x + 1, CLIP, count_denominators(x + 1, 2))
    assert mark_tokens(x, x, x, x + 1, LossConfig(), x) is None
