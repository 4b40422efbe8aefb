"""What GRPO credits to tokens under the settings that are not one number a completion."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from palaestra.tasks import Problem
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.algorithms.batch import Batch
from palaestra.trainer.algorithms.grpo import GRPO
from palaestra.trainer.algorithms.ppo import PPO
from palaestra.trainer.config.objective import LossConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model.policy import load_policy
from palaestra.trainer.rollouts.group import Group
from palaestra.verifiers import Completion, Score

from ..support import reference

LENGTHS = [[3, 1, 4, 2], [2, 2, 5, 1]]
WEIGHTS = {"answer": 0.75, "form": 0.25}


def make_batch(values_PGK: np.ndarray) -> Batch:
    """Groups whose completions have these values of two criteria, and token log-probabilities by place."""
    groups = []
    for lengths, values_GK in zip(LENGTHS, values_PGK, strict=True):
        completions = [
            Completion("", (5, 6), (7,) * n, tuple(-0.5 - 0.1 * t for t in range(n))) for n in lengths
        ]
        scores = []
        for row in values_GK:
            values = dict(zip(WEIGHTS, map(float, row), strict=True))
            reward = sum(WEIGHTS[name] * value for name, value in values.items())
            scores.append(Score(reward, False, values=values, weights=WEIGHTS))
        groups.append(Group(Problem(""), completions, scores))
    return Batch.of(groups, torch.device("cpu"))


def credit(batch: Batch, **settings) -> Batch:
    config = TrainConfig.of(**settings)
    return GRPO(load_policy("embedded", "cpu", "float32", seed=0), config).credit(batch)


VALUES = np.random.default_rng(4).random((2, 4, 2))


def test_gdpo_credits_the_criteria_one_by_one():
    batch = make_batch(VALUES)
    found = credit(batch, preset="gdpo")
    expected = reference.normalise_then_sum(VALUES, list(WEIGHTS.values()), 1, 1e-4).flatten()
    for row, mask, value in zip(found.advantages_BT, batch.mask_BT, expected, strict=True):
        assert row[mask].numpy() == pytest.approx(np.full(int(mask.sum()), value), rel=1e-4)
        assert not row[~mask].any()
    half = found.select(torch.tensor([5, 2]))
    assert torch.equal(half.criteria_BK, found.criteria_BK[[5, 2]])


def test_reinforce_plus_plus_credits_each_token_with_what_is_still_to_come():
    batch = make_batch(VALUES)
    ref_BT = (
        batch.sampled_logprobs_BT - torch.randn(batch.mask_BT.shape, generator=torch.manual_seed(0)) * 0.5
    )
    found = credit(replace(batch, ref_logprobs_BT=ref_BT), preset="reinforce++", **{"loss.kl_coef": 0.2})
    kl_BT = (batch.sampled_logprobs_BT - ref_BT).double().numpy()
    rows = [
        reference.rewards_to_come(float(reward), kl[: len(kl[mask])], 0.2)
        for reward, kl, mask in zip(batch.rewards_B, kl_BT, batch.mask_BT.numpy(), strict=True)
    ]
    for row, expected in zip(found.advantages_BT, reference.normalise_tokens(rows, 1, 1e-4), strict=True):
        assert row[: len(expected)].numpy() == pytest.approx(expected, rel=1e-3, abs=1e-5)
        assert not row[len(expected) :].any()


def test_a_baseline_may_stand_beside_the_kl_of_tokens():
    batch = make_batch(VALUES)
    ref_BT = batch.sampled_logprobs_BT - 0.1
    loss = LossConfig(kl_coef=0.5, kl_estimator="k1", kl_in="tokens")
    found = credit(replace(batch, ref_logprobs_BT=ref_BT), loss=loss)
    centred = batch.rewards_B - batch.rewards_B.view(2, 4).mean(1).repeat_interleave(4)
    assert found.advantages_BT[2, :4].tolist() == pytest.approx(
        [float(centred[2]) - 0.05 * n for n in (4, 3, 2, 1)], abs=1e-5
    )


def test_the_kl_of_tokens_is_refused_where_no_completions_are_compared():
    class Plain(GRPO):
        compares_groups = False

    config = TrainConfig.of(loss=LossConfig(kl_coef=0.1, kl_in="tokens"))
    with pytest.raises(UserError, match=r"--loss\.kl-in tokens would have no effect: Plain does not compare"):
        Plain.check(config)
    with pytest.raises(UserError, match=r"--loss\.kl-in tokens would have no effect: PPO does not compare"):
        PPO.check(config)
