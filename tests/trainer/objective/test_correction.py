"""Importance weights against the sampler: golden numbers, and what they make of the gradient."""

import pytest
import torch
from palaestra.trainer.config.objective import LossConfig
from palaestra.trainer.objective.correction import correct_sampler
from palaestra.trainer.objective.losses import compute_policy_loss, count_denominators, summarise_stats

from ..support import reference

MODES = ["token_truncate", "token_mask", "sequence_truncate", "sequence_mask", "geometric_truncate"]
MODES = [*MODES, "geometric_mask"]
RATIOS = torch.tensor([[0.5, 2.0, 4.0], [1.25, 1.0, 1.0]], dtype=torch.float64)
MASK = torch.tensor([[1, 1, 1], [1, 1, 0]]) > 0
GOLDEN = {
    "token_truncate": [[0.5, 2, 3], [1.25, 1, 1]],
    "token_mask": [[0.5, 2, 0], [1.25, 1, 1]],
    "sequence_truncate": [[3, 3, 3], [1.25, 1.25, 1.25]],
    "sequence_mask": [[0, 0, 0], [1.25, 1.25, 1.25]],
    "geometric_truncate": [[4 ** (1 / 3)] * 3, [1.25**0.5] * 3],
    "geometric_mask": [[4 ** (1 / 3)] * 3, [1.25**0.5] * 3],
}


def weigh(mode, **bounds):
    return correct_sampler(RATIOS.log(), torch.zeros(2, 3), MASK, LossConfig(correction=mode, **bounds))


@pytest.mark.parametrize("mode", MODES)
def test_golden_weights(mode):
    found = weigh(mode)
    assert found.weight_BT[MASK].tolist() == pytest.approx(torch.tensor(GOLDEN[mode]).double()[MASK].tolist())
    cut = {"token": [2], "sequence": [0, 1, 2], "geometric": []}[mode.split("_")[0]]
    assert (found.cut_BT & MASK).flatten().nonzero().flatten().tolist() == cut


@pytest.mark.parametrize("mode", MODES)
def test_weights_are_those_of_the_reference_and_constant(mode):
    generator = torch.Generator().manual_seed(0)
    before_BT = (torch.randn(5, 7, generator=generator).double() - 2).requires_grad_()
    sampled_BT = before_BT.detach() + torch.randn(5, 7, generator=generator).double() * 0.4
    config = LossConfig(correction=mode, correction_cap=1.3, correction_floor=0.8)
    weight_BT = correct_sampler(before_BT, sampled_BT, torch.ones(5, 7) > 0, config).weight_BT
    assert not weight_BT.requires_grad
    for row, before, sampled in zip(weight_BT, before_BT.detach(), sampled_BT, strict=True):
        expected = reference.sampler_weights(before.numpy(), sampled.numpy(), mode, 1.3, 0.8)
        assert row.numpy() == pytest.approx(expected, rel=1e-12)


def compute(config, before_BT=None, now_BT=None):
    """The gradient of the log-probabilities, and the statistics."""
    leaf = (torch.full((2, 3), -1.0).double() if now_BT is None else now_BT).clone().requires_grad_()
    sampled_BT = leaf.detach() - RATIOS.log() if before_BT is None else before_BT - RATIOS.log()
    advantages, counts = torch.tensor([[1.0], [-1.0]]).double(), count_denominators(MASK, 3)
    result = compute_policy_loss(
        leaf, sampled_BT, advantages, MASK, config, counts, before_logprobs_BT=before_BT
    )
    result.loss.backward()
    return leaf.grad, result.stats


def test_a_single_update_has_ratio_1_and_the_weight_of_what_the_sampler_did():
    gradient, stats = compute(LossConfig(correction="token_truncate"))
    assert gradient[0].tolist() == pytest.approx([-0.5 / 5, -2 / 5, -3 / 5])
    assert gradient[1].tolist() == pytest.approx([1.25 / 5, 1 / 5, 0])
    shown = summarise_stats(stats)
    assert shown["ratio"] == shown["ratio_max"] == 1
    assert shown["sampler_weight"] == pytest.approx((0.5 + 2 + 3 + 1.25 + 1) / 5)
    assert (shown["sampler_weight_max"], shown["sampler_cut"]) == (3, pytest.approx(0.2))
    assert shown["logprob_diff_max"] == pytest.approx(float(RATIOS[0, 2].log()))


def test_masked_weights_stay_in_the_denominator():
    gradient, stats = compute(LossConfig(correction="sequence_mask"))
    assert gradient[0].tolist() == [0, 0, 0]
    assert gradient[1, 0] == pytest.approx(1.25 / 5), "five tokens, though three of them have weight 0"
    assert summarise_stats(stats)["sampler_cut"] == pytest.approx(0.6)


def test_later_updates_take_the_ratio_to_the_trainers_own():
    """The clip acts on p_now / p_before: here 1.5 and above the clip, though p_now / p_sampled is not."""
    before_BT = torch.full((2, 3), -1.0).double()
    now_BT = before_BT + torch.tensor(1.5).log()
    gradient, stats = compute(LossConfig(correction="token_truncate"), before_BT, now_BT)
    assert gradient[0].tolist() == [0, 0, 0]
    assert summarise_stats(stats)["ratio"] == pytest.approx(1.5)
    uncorrected, _ = compute(LossConfig(), before_BT, now_BT)
    assert uncorrected[0, 0] < 0


def test_without_a_bound_weight_times_ratio_is_the_whole_importance_ratio():
    before_BT = torch.full((2, 3), -1.0).double()
    now_BT = before_BT + torch.tensor([[0.01, -0.02, 0.03], [0.0, 0.1, 0.0]]).double()
    config = LossConfig(correction="token_truncate", correction_cap=100.0)
    corrected, stats = compute(config, before_BT, now_BT)
    plain, _ = compute(LossConfig(clip_low=0.99, clip_high=100.0), before_BT, now_BT)
    torch.testing.assert_close(corrected, plain)
    assert summarise_stats(stats)["sampler_cut"] == 0
