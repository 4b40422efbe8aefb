"""What the rewards of a group can teach."""

from dataclasses import replace

import torch
from palaestra.trainer.algorithms.batch import Batch
from palaestra.trainer.algorithms.update import shape_batch
from palaestra.trainer.config.presets import ObjectiveConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.rollouts.group import has_signal

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
