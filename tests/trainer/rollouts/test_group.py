"""What the rewards of a group can teach."""

from dataclasses import replace

import palaestra as pal
import pytest
import torch
from palaestra.tasks import Problem
from palaestra.tasks.core.episode import Conversation, World
from palaestra.trainer.algorithms.batch import Batch
from palaestra.trainer.algorithms.update import shape_batch
from palaestra.trainer.config.objective import AdvantageConfig
from palaestra.trainer.config.presets import ObjectiveConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.objective.turns import compute_returns, compute_turn_advantages
from palaestra.trainer.rollouts.group import Criteria, Group, count_turns, gather_turns, has_signal
from palaestra.verifiers import Completion, Rubric, Score

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


class Chain:
    """Four places in a row; each step to the right earns a quarter, and the last is the end."""

    def __init__(self, _problem):
        self.state, self.reward = {"reward": 0.0}, 0.0

    def reply(self, said):
        self.reward = 0.25 if said == "right" else 0.0
        self.state["reward"] += self.reward
        return None if self.state["reward"] == 1 else f"You are at {self.state['reward']}."


def walk(*words):
    """An episode as a run draws it: a token for each turn and two for each reply."""
    talk, world = Conversation(), World(Chain, Problem("Walk."))
    for word in words:
        talk.say(word)
        talk.hear(world.answer(word))
    sampled = [True, *[False, False, True] * (len(words) - 1)]
    ids = range(len(sampled))
    return replace(talk.complete(), ids=tuple(ids), logprobs=(0.0,) * len(ids), sampled=tuple(sampled))


WALKS = [walk(*["right"] * 4), walk("right", "left", "right"), walk("left", "right", "right"), walk("left")]
RUBRICS = {"end": Rubric(pal.criteria.reached()), "turns": Rubric(pal.criteria.turn_rewards())}


def make_walks(rubric, walks=WALKS):
    return Group(Problem("Walk."), walks, [rubric.score(each, Problem("Walk.")) for each in walks])


def test_what_is_paid_at_the_end_and_by_turn_is_one_return():
    """A chain whose steps are paid as they are taken, and the same sum at its end."""
    made = {name: make_walks(rubric) for name, rubric in RUBRICS.items()}
    rewards = {name: [score.reward for score in group.scores_G] for name, group in made.items()}
    assert rewards["end"] == rewards["turns"] == [1, 0.5, 0.5, 0]
    assert made["end"].scores_G[0].by_turn == ()
    parts = {name: gather_turns([group]).divide(torch.tensor(rewards[name])) for name, group in made.items()}
    assert parts["end"].tolist() == [[0, 0, 0, 1], [0, 0, 0.5, 0], [0, 0, 0.5, 0], [0] * 4]
    assert parts["turns"].tolist() == [[0.25] * 4, [0.25, 0, 0.25, 0], [0, 0.25, 0.25, 0], [0] * 4]
    assert torch.equal(*(compute_returns(each, 1.0)[:, 0] for each in parts.values()))
    none = torch.zeros(4, dtype=torch.bool)
    whole = torch.tensor(rewards["end"]) - 0.5
    for name, group in made.items():
        turns = gather_turns([group])
        found = compute_turn_advantages(
            turns, torch.tensor(rewards[name]), none, 4, AdvantageConfig(turns="returns")
        )
        assert torch.equal(found[:, 0], whole)


def test_turns_are_told_by_what_was_drawn_and_by_the_words_that_they_answer():
    assert [count_turns(each) for each in WALKS] == [4, 3, 3, 1]
    turns = gather_turns([make_walks(RUBRICS["turns"]), make_walks(RUBRICS["turns"])])
    first, second = turns.heard_BK[:4], turns.heard_BK[4:]
    assert not set(first.flatten().tolist()) & set(second.flatten().tolist())
    assert len({int(row[0]) for row in first}) == 1
    assert first[0, 1] == first[1, 1] == first[1, 2] == first[2, 2]
    assert first[2, 1] != first[0, 1]
    assert gather_turns([make_walks(RUBRICS["turns"], WALKS[3:] * 2)]) is None
    cut = Completion("a\nb", sampled=(True, True), ids=(1, 2), logprobs=(0.0, 0.0))
    assert count_turns(cut) == 1, "no word of the world stands between them"


@pytest.mark.parametrize(
    ("walks", "turns", "gamma", "expected"),
    [
        (WALKS[1:3], "whole", 1.0, False),
        (WALKS[1:3], "returns", 1.0, True),  # 0.25 each, by other turns
        (WALKS[1:3], "mt_grpo", 1.0, True),
        ([WALKS[1]] * 2, "returns", 0.5, False),
        ([WALKS[3]] * 2, "gigpo", 0.5, False),
        ([WALKS[0], WALKS[3]], "gigpo", 0.5, True),
    ],
)
def test_a_signal_may_be_in_turns_alone(walks, turns, gamma, expected):
    objective = ObjectiveConfig(advantages=AdvantageConfig(turns=turns, turn_gamma=gamma))
    assert has_signal(make_walks(RUBRICS["turns"], walks), objective, 10) is expected
