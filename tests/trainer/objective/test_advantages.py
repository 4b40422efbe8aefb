"""Group-relative advantages: golden numbers, the reference, abstentions."""

import numpy as np
import pytest
import torch
from palaestra.trainer.config.objective import AdvantageConfig
from palaestra.trainer.objective.advantages import (
    apply_within,
    compute_criteria_advantages,
    compute_group_advantages,
    spread_over_tokens,
)

from ..support import reference
from ..support.tensors import to_double

NAN = float("nan")
EVERY_CONFIG = [
    AdvantageConfig(baseline=baseline, scale=scale, normalise_batch=normalise, ddof=ddof)
    for baseline in ("mean", "leave_one_out", "none")
    for scale in ("group", "batch", "none")
    for normalise in (False, True)
    for ddof in (0, 1)
]


def compute_advantages(rewards, abstained=None, **settings):
    rewards = to_double(rewards)
    abstained = torch.zeros_like(rewards, dtype=torch.bool) if abstained is None else torch.tensor(abstained)
    return compute_group_advantages(rewards, abstained, AdvantageConfig(**settings))


def test_golden_advantages():
    values = compute_advantages([[10, 5, -10]], scale="group", ddof=1)[0].tolist()
    assert values == pytest.approx([0.80, 0.32, -1.12], abs=0.005)
    values = compute_advantages([[1, 0.8, 0.4, 0.2]], scale="group", ddof=0, epsilon=0)[0].tolist()
    assert values == pytest.approx([1.265, 0.632, -0.632, -1.265], abs=5e-4)


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("leave_one_out", [False, True])
@pytest.mark.parametrize("scale", ["none", "group"])
def test_agrees_with_the_reference(ddof, leave_one_out, scale):
    rewards = np.random.default_rng(0).normal(size=(5, 6))
    baseline = "leave_one_out" if leave_one_out else "mean"
    ours = compute_advantages(rewards, baseline=baseline, scale=scale, ddof=ddof, epsilon=0.01)
    for row, group in zip(ours, rewards, strict=True):
        assert row.numpy() == pytest.approx(
            reference.advantages(group, scale, ddof, 0.01, leave_one_out), rel=1e-10
        )


def test_batch_scale_and_batch_normalisation():
    rewards = np.random.default_rng(1).normal(size=(4, 3))
    centred = rewards - rewards.mean(1, keepdims=True)
    ours = compute_advantages(rewards, scale="batch", ddof=0, epsilon=0.5)
    assert ours.numpy() == pytest.approx(centred / (rewards.std() + 0.5))
    ours = compute_advantages(rewards, baseline="none", normalise_batch=True, ddof=1, epsilon=0)
    assert ours.numpy() == pytest.approx((rewards - rewards.mean()) / rewards.std(ddof=1))
    ours = compute_advantages(rewards, normalise_batch=True, ddof=1, epsilon=0)
    assert ours.numpy() == pytest.approx(centred / centred.std(ddof=1))


@pytest.mark.parametrize("config", EVERY_CONFIG)
@pytest.mark.parametrize("reward", [0.0, 1.0, NAN, float("inf")])
def test_an_abstained_completion_changes_nothing_for_the_others(config, reward):
    """Whatever its reward holds; the batch with it equals the batch in which its group is one smaller."""
    rest = [[1.0, 0.0, 0.5], [0.2, 0.9, 0.1]]
    small = compute_group_advantages(to_double(rest), torch.zeros(2, 3, dtype=torch.bool), config)
    rewards = to_double([[1.0, reward, 0.0, 0.5], [0.2, 0.9, reward, 0.1]])
    abstained = torch.tensor([[False, True, False, False], [False, False, True, False]])
    large = compute_group_advantages(rewards, abstained, config)
    assert not large[abstained].any()
    torch.testing.assert_close(large[~abstained], small.flatten())


@pytest.mark.parametrize("config", EVERY_CONFIG)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_to_compare_gives_zeros_and_never_nan(config, dtype):
    rewards = torch.tensor([[1.0, 0.0], [NAN, 1.0], [NAN, NAN], [0.1, 0.1]], dtype=dtype)
    values = compute_group_advantages(rewards, rewards.isnan(), config)
    assert values.dtype == dtype
    assert torch.isfinite(values).all()
    assert not values[2].any()
    if config.needs_group:
        assert not values[1].any()


@pytest.mark.parametrize("scale", ["group", "batch"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_rewards_have_no_signal_even_without_epsilon(scale, dtype):
    rewards = torch.full((3, 7), 0.1, dtype=dtype)  # the mean of seven 0.1 is not 0.1 in binary
    config = AdvantageConfig(scale=scale, epsilon=0)
    assert not compute_group_advantages(rewards, torch.zeros(3, 7, dtype=torch.bool), config).any()


def test_a_group_of_one_is_an_error_where_a_group_is_needed():
    for settings in (
        {"baseline": "mean"},
        {"baseline": "leave_one_out"},
        {"baseline": "none", "scale": "group"},
    ):
        with pytest.raises(ValueError, match="group of one"):
            compute_advantages([[1.0], [0.0]], **settings)
    assert compute_advantages([[1.0], [0.0]], baseline="none").tolist() == [[1.0], [0.0]]
    with pytest.raises(ValueError, match="one shape"):
        compute_advantages([[1.0, 0.0]], abstained=[[False]])


GDPO = AdvantageConfig(scale="group", aggregation="normalise_then_sum", normalise_batch=True, epsilon=0.01)


@pytest.mark.parametrize("ddof", [0, 1])
def test_criteria_normalised_one_by_one_agree_with_the_reference(ddof):
    values, weights = np.random.default_rng(2).random(size=(5, 4, 3)), [0.6, 0.3, 0.1]
    config = AdvantageConfig(**{**vars(GDPO), "ddof": ddof})
    none = torch.zeros(5, 4, dtype=torch.bool)
    ours = compute_criteria_advantages(to_double(values), to_double(weights), none, config)
    expected = reference.normalise_then_sum(values, weights, ddof, 0.01)
    assert ours.numpy() == pytest.approx(expected, rel=1e-10)


def test_values_with_equal_sums_are_told_apart():
    """The example of the paper: with two criteria, (1, 0) and (1, 1) against (0, 0) are not the same gain."""
    values, none = to_double([[[0, 0], [1, 0]], [[0, 0], [1, 1]]]), torch.zeros(2, 2, dtype=torch.bool)
    summed = compute_advantages(values.sum(-1).tolist(), scale="group", epsilon=0.0)
    assert summed[0, 1] == pytest.approx(float(summed[1, 1]))
    apart = compute_criteria_advantages(values, to_double([1.0, 1.0]), none, GDPO)
    assert apart[1, 1] == pytest.approx(2 * float(apart[0, 1]), rel=1e-6)
    traded = to_double([[[1, 0], [0, 1], [1, 0]]])
    assert not compute_advantages(traded.sum(-1).tolist(), scale="group").any()
    weighed = compute_criteria_advantages(traded, to_double([0.9, 0.1]), none[:1, [0, 0, 0]], GDPO)
    assert weighed[0, 0] > 0 > weighed[0, 1]


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("hold", [0.0, NAN])
def test_what_abstained_changes_no_criterion(batch, hold):
    config = AdvantageConfig(**{**vars(GDPO), "normalise_batch": batch})
    rest = [[[1, 0.2], [0, 0.4], [0.5, 0.1]], [[0.2, 1], [0.9, 1], [0.1, 0]]]
    small = compute_criteria_advantages(
        to_double(rest), to_double([0.7, 0.3]), torch.zeros(2, 3, dtype=torch.bool), config
    )
    larger = to_double([[*rest[0], [hold, hold]], [[hold, hold], *rest[1]]])
    abstained = torch.tensor([[False, False, False, True], [True, False, False, False]])
    large = compute_criteria_advantages(larger, to_double([0.7, 0.3]), abstained, config)
    assert not large[abstained].any()
    torch.testing.assert_close(large[~abstained], small.flatten())


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("normalise", [True, False])
def test_tokens_are_charged_for_the_kl_to_come_as_the_reference_charges_them(ddof, normalise):
    rng = np.random.default_rng(3)
    rewards, kl = rng.normal(size=3), [rng.normal(size=n) for n in (4, 1, 6)]
    width, mask = 7, torch.tensor([[t < len(row) for t in range(7)] for row in kl])
    kl_BT = to_double([[*row, *[NAN] * (width - len(row))] for row in kl])
    config = AdvantageConfig(baseline="none", normalise_batch=normalise, ddof=ddof, epsilon=0.02)
    ours = spread_over_tokens(to_double(rewards)[:, None], kl_BT, mask, 0.3, config)
    expected = [reference.rewards_to_come(r, row, 0.3) for r, row in zip(rewards, kl, strict=True)]
    expected = reference.normalise_tokens(expected, ddof, 0.02) if normalise else expected
    for row, tokens in zip(ours, expected, strict=True):
        assert row[: len(tokens)].numpy() == pytest.approx(tokens, rel=1e-9)
        assert not row[len(tokens) :].any()


@pytest.mark.parametrize("epsilon", [0.0, 1e-4])
def test_equal_rewards_are_no_signal_over_the_batch(epsilon):
    """In float32 the mean of twelve times 0.1 is not 0.1; dividing by the spread made -0.957 of that."""
    config = AdvantageConfig(baseline="none", normalise_batch=True, epsilon=epsilon)
    abstained = torch.zeros(3, 4, dtype=torch.bool)
    abstained[1, 2] = True
    rewards = torch.full((3, 4), 0.1).masked_fill(abstained, NAN)
    assert compute_group_advantages(rewards, abstained, config).tolist() == [[0.0] * 4] * 3
    mask = torch.ones(4, 3)
    tokens = spread_over_tokens(torch.full((4, 1), 0.1), torch.zeros(4, 3), mask, 0.1, config)
    assert tokens.tolist() == [[0.0] * 3] * 4
    assert (
        compute_group_advantages(rewards, torch.ones(3, 4, dtype=torch.bool), config).tolist()
        == [[0.0] * 4] * 3
    )


def test_criteria_that_cancel_are_no_signal_over_the_batch():
    config = AdvantageConfig(
        scale="group", aggregation="normalise_then_sum", normalise_batch=True, epsilon=0.0
    )
    values = torch.tensor([[[1.0, 0.1], [0.0, 0.7], [1.0, 0.1], [0.0, 0.7]]] * 3)
    abstained, weights = torch.zeros(3, 4, dtype=torch.bool), torch.tensor([0.7, 0.7])
    assert compute_criteria_advantages(values, weights, abstained, config).tolist() == [[0.0] * 4] * 3
    uneven = compute_criteria_advantages(values, torch.tensor([0.7, 0.6999]), abstained, config)
    assert uneven.abs().min() > 0.5, "a difference that is more than rounding stays"


def test_each_task_of_a_mixture_is_scaled_by_its_own_spread():
    rewards_PG = torch.tensor([[0.0, 1.0], [0.0, 10.0], [1.0, 0.0], [20.0, 0.0]], dtype=torch.float64)
    none_PG = torch.zeros(4, 2, dtype=torch.bool)
    none_PG[3, 1] = True
    tasks_P = torch.tensor([7, 2, 7, 2])
    config = AdvantageConfig(baseline="mean", scale="batch", over="task", epsilon=0)

    def compute(rewards_XG, abstained_XG):
        return compute_group_advantages(rewards_XG, abstained_XG, config)

    found_PG = apply_within(tasks_P, compute, rewards_PG, none_PG)
    for task in (2, 7):
        rows = tasks_P == task
        assert torch.equal(found_PG[rows], compute(rewards_PG[rows], none_PG[rows]))
    assert torch.equal(apply_within(None, compute, rewards_PG, none_PG), compute(rewards_PG, none_PG))
    assert not torch.equal(found_PG, compute(rewards_PG, none_PG))
