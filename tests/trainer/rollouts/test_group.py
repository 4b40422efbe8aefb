"""What the rewards of a group can teach."""

from dataclasses import replace

import torch
from palaestra.trainer.algorithms.batch import Batch
from palaestra.trainer.algorithms.update import shape_batch
from palaestra.trainer.config.objective import AdvantageConfig
from palaestra.trainer.config.presets import ObjectiveConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.rollouts.group import Criteria, has_signal
from palaestra.verifiers import Score

from ..support.groups import LIVE, SOLVED, make_group


def test_a_signal_is_what_the_advantages_see_of_a_group():
    """Equal rewards of unlike length differ under the length penalty;
    what is cut teaches nothing where it is left out."""
    plain, penalty, cut = (
        ObjectiveConfig(),
        ObjectiveConfig(overlong_cache=4),
        ObjectiveConfig(mask_truncated=True),
    )
    longer = make_group(SOLVED)
    ids = [(1,) * 3, (1,) * 9]
    completions = [replace(c, ids=ids[i]) for i, c in enumerate(longer.completions_G)]
    longer = replace(longer, completions_G=completions)
    assert [has_signal(longer, objective, 10) for objective in (plain, penalty)] == [False, True]
    assert has_signal(longer, penalty, 100) is False, "neither is near the limit"
    live = make_group(LIVE, finish="length")
    assert [has_signal(live, objective, 10) for objective in (plain, cut)] == [True, False]
    abstained = replace(live, scores_G=[replace(live.scores_G[0], abstained=True), live.scores_G[1]])
    assert has_signal(abstained, plain, 10) is False


def test_rewards_that_the_update_cannot_tell_apart_are_no_signal():
    """The update computes in float32: a difference below it is none for the advantages either."""
    alike = make_group(LIVE)
    scores = [replace(alike.scores_G[0], reward=reward) for reward in (0.1 + 0.2, 0.3)]
    alike = replace(alike, scores_G=scores)
    shaped = shape_batch(Batch.of([alike], torch.device("cpu")), TrainConfig())
    assert len(shaped.rewards_B.unique()) == 1
    assert has_signal(alike, ObjectiveConfig(), 10) is False


def give_values(group, values, weights):
    """The group with these criteria's values, and the rewards that they make."""
    names = [f"c{k}" for k in range(len(weights))]
    scores = [
        replace(
            score,
            reward=sum(w * v for w, v in zip(weights, row, strict=True)),
            values=dict(zip(names, row, strict=True)),
            weights=dict(zip(names, weights, strict=True)),
        )
        for score, row in zip(group.scores_G, values, strict=True)
    ]
    return replace(group, scores_G=scores)


APART = AdvantageConfig(scale="group", aggregation="normalise_then_sum", normalise_batch=True)


def test_criteria_that_differ_under_equal_rewards_are_a_signal_where_each_is_compared():
    traded = give_values(make_group(LIVE), [(1.0, 0.0), (0.0, 1.0)], (0.5, 0.5))
    assert has_signal(traded, ObjectiveConfig(), 10) is False
    assert has_signal(traded, ObjectiveConfig(advantages=APART), 10) is True
    alike = give_values(make_group(LIVE), [(1.0, 0.0), (1.0, 0.0)], (0.5, 0.5))
    assert has_signal(alike, ObjectiveConfig(advantages=APART), 10) is False
    weightless = give_values(make_group(LIVE), [(1.0, 0.0), (1.0, 1.0)], (1.0, 0.0))
    assert has_signal(weightless, ObjectiveConfig(advantages=APART), 10) is False


def test_criteria_of_scores_have_nan_where_there_is_no_value_and_the_reward_without_a_rubric():
    group = give_values(make_group(LIVE), [(1.0, 0.25), (0.0, 1.0)], (0.75, 0.25))
    abstained = replace(group.scores_G[0], values={}, weights={}, abstained=True)
    found = Criteria.of([abstained, group.scores_G[1]])
    assert found.values_BK[0].isnan().all()
    assert found.values_BK[1].tolist() == [0.0, 1.0]
    assert found.weights_K.tolist() == [0.75, 0.25]
    plain = Criteria.of([Score(0.5, True), Score(0.25, False)])
    assert (plain.values_BK.tolist(), plain.weights_K.tolist()) == ([[0.5], [0.25]], [1.0])


def test_a_penalty_for_length_is_a_criterion_of_its_own_where_each_is_compared():
    group = give_values(make_group(SOLVED), [(1.0,), (1.0,)], (1.0,))
    completions = [replace(c, ids=(1,) * n) for c, n in zip(group.completions_G, (3, 9), strict=True)]
    group = replace(group, completions_G=completions)
    objective = ObjectiveConfig(advantages=APART, overlong_cache=4)
    assert has_signal(group, objective, 10) is True
    config = TrainConfig.of(objective=objective, max_new_tokens=10)
    sampled = replace(group, completions_G=[replace(c, logprobs=(0.0,) * len(c.ids)) for c in completions])
    shaped = shape_batch(Batch.of([sampled], torch.device("cpu")), config)
    assert shaped.criteria_BK.tolist() == [[1.0, 0.0], [1.0, -0.75]]
    assert shaped.weights_K.tolist() == [1.0, 1.0]
