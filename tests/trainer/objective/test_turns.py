"""Advantages of turns: by hand, against a reference of plain loops, and to the bit those of single turns."""

from itertools import product

import numpy as np
import pytest
import torch
from palaestra.trainer.config.objective import AdvantageConfig
from palaestra.trainer.objective.advantages import compute_group_advantages
from palaestra.trainer.objective.turns import (
    Turns,
    compute_returns,
    compute_turn_advantages,
    mark_turn_ends,
    number_turns,
    place_turn_rewards,
    spread_over_turns,
)

from ..support.reference import advantages as compare

EVERY_CONFIG = [
    AdvantageConfig(baseline=baseline, scale=scale, normalise_batch=normalise, turns=turns)
    for turns, baseline, scale, normalise in product(
        ("returns", "mt_grpo", "gigpo"), ("mean", "leave_one_out"), ("group", "batch", "none"), (False, True)
    )
    if not (normalise and scale != "none")
]
TWO = {
    "earned": [[0.25, 0], [0.75, 0]],
    "heard": [[0, 1], [0, 1]],
    "counts": [2, 2],
}  # beside rewards 1, 0.75


def make_turns(counts, earned, heard):
    return Turns(torch.tensor(counts), torch.tensor(earned, dtype=torch.float64), torch.tensor(heard))


def credit(rewards, made, /, **settings):
    rewards_B = torch.as_tensor(rewards)
    abstained_B = torch.zeros(len(rewards_B), dtype=torch.bool)
    config = AdvantageConfig(**settings)
    return compute_turn_advantages(made, rewards_B, abstained_B, len(rewards_B), config)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"turns": "returns"}, [[0.125, 0.375], [-0.125, -0.375]]),
        ({"turns": "returns", "turn_gamma": 0.5}, [[-0.0625, 0.375], [0.0625, -0.375]]),
        ({"turns": "returns", "turn_gamma": 0.0}, [[-0.25, 0.375], [0.25, -0.375]]),
        ({"turns": "returns", "baseline": "none", "turn_gamma": 0.5}, [[0.625, 0.75], [0.75, 0.0]]),
        ({"turns": "mt_grpo"}, [[0.125, 0.375], [-0.125, -0.375]]),
        ({"turns": "mt_grpo", "turn_gamma": 0.5}, [[-0.0625, 0.375], [0.0625, -0.375]]),
        ({"turns": "gigpo", "turn_gamma": 0.5}, [[0.0625, 0.5], [-0.0625, -0.5]]),
        ({"turns": "gigpo", "turn_gamma": 0.5, "turn_weight": 2.0}, [[0.0, 0.875], [0.0, -0.875]]),
        ({"turns": "gigpo", "turn_weight": 0.0}, [[0.125, 0.125], [-0.125, -0.125]]),
    ],
)
def test_two_episodes_of_two_turns_by_hand(settings, expected):
    """Rewards 1 = 0.25 + 0.75 and 0.75 = 0.75 + 0."""
    found = credit([1.0, 0.75], make_turns(**TWO), **settings)
    assert found.tolist() == pytest.approx(torch.tensor(expected), abs=1e-6)


def test_scaled_parts_of_three_turns_by_hand():
    """MT-GRPO in standard deviations: 0.5 and 0 earned first is +-0.71, and so is each later pair."""
    turns = make_turns([3, 3], [[0.5, 0, 0], [0, 0.25, 0]], [[0, 1, 2], [0, 3, 2]])
    found = credit([0.5, 1.0], turns, turns="mt_grpo", scale="group", epsilon=0.0, turn_gamma=0.5)
    half = 0.5**0.5
    first = half * (1 - 0.5 - 0.25)
    expected = [[first, half * (-1 - 0.5), -half], [-first, half * (1 + 0.5), half]]
    assert found.tolist() == pytest.approx(torch.tensor(expected), abs=1e-6)


def test_turns_that_answer_the_same_words_are_compared_wherever_they_stand():
    """Two walkers of a lake: one comes to a place at once, the other comes to it twice, by a detour."""
    turns = make_turns([2, 4], [[0.0] * 4] * 2, [[0, 7, 0, 0], [0, 7, 8, 7]])
    found = credit([1.0, 0.0], turns, turns="gigpo", turn_gamma=0.5)
    at_seven = 1 - 1 / 3  # of 1, 0 and 0
    assert found[0].tolist() == pytest.approx([0.5 + 0.25, 0.5 + at_seven, 0, 0])
    assert found[1].tolist() == pytest.approx([-0.5 - 0.25, -0.5 - 1 / 3, -0.5, -0.5 - 1 / 3])


@pytest.mark.parametrize("config", EVERY_CONFIG, ids=lambda config: f"{config.turns}-{config.scale}")
def test_single_turns_have_the_advantages_of_completions_to_the_bit(config):
    rewards_PG = torch.rand(5, 4, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    abstained_PG = torch.zeros(5, 4, dtype=torch.bool)
    abstained_PG[1, 2] = abstained_PG[3, :3] = True
    rewards_PG[1, 2] = float("nan")
    zeros = torch.zeros(20, 1)
    groups = torch.arange(5).repeat_interleave(4)[:, None]
    turns = Turns(torch.ones(20, dtype=torch.long), zeros.double(), groups)
    plain = compute_group_advantages(rewards_PG, abstained_PG, config)
    found = compute_turn_advantages(turns, rewards_PG.view(-1), abstained_PG.view(-1), 4, config)
    assert found.dtype == plain.dtype
    assert torch.equal(found.view(5, 4), plain)


def draw(seed):
    """Three groups of four episodes of one to four turns, of which two were not scored."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 5, size=12)
    earned = rng.choice([0.0, 0.125, 0.25], size=(12, 4)) * (np.arange(4) < counts[:, None] - 1)
    heard = rng.integers(0, 3, size=(12, 4)) + 3 * (np.arange(12) // 4)[:, None]
    rewards = earned.sum(1) + rng.random(12)
    abstained = np.zeros(12, dtype=bool)
    abstained[[2, 5]] = True
    return counts, earned, heard, rewards, abstained


def refer(data, config):
    """Each turn's advantage, by plain loops over one group after the other."""
    counts, earned, heard, rewards, abstained = data
    found = np.zeros(earned.shape)
    leave = config.baseline == "leave_one_out"

    def fill(values):
        """Advantages of turns and their places: compared, where there are two."""
        if len(values) < 2:
            return dict.fromkeys(values, 0.0)
        made = compare(list(values.values()), config.scale, config.ddof, config.epsilon, leave)
        return dict(zip(values, made, strict=True))

    for first in range(0, len(counts), 4):
        rows = [row for row in range(first, first + 4) if not abstained[row]]
        parts = {row: [*earned[row, : counts[row] - 1], 0.0] for row in rows}
        for row in rows:
            parts[row][-1] = rewards[row] - sum(parts[row])
        gamma = config.turn_gamma
        places = [(row, k) for row in rows for k in range(counts[row])]
        to_come = {
            (row, k): sum(gamma ** (at - k) * parts[row][at] for at in range(k, counts[row]))
            for row, k in places
        }
        if config.turns == "returns":
            own = {}
            for k in range(4):
                own |= fill({place: to_come[place] for place in places if place[1] == k})
        elif config.turns == "mt_grpo":
            rest = fill({row: parts[row][-1] for row in rows})
            apart = {}
            for k in range(max(counts[row] for row in rows) - 1):
                apart |= fill({(row, k): earned[row, k] for row in rows})
            own = {
                (row, k): gamma ** (counts[row] - 1 - k) * rest[row]
                + sum(gamma ** (at - k) * each for (who, at), each in apart.items() if who == row and at >= k)
                for row, k in places
            }
        else:
            whole = fill({row: rewards[row] for row in rows})
            own = {place: whole[place[0]] for place in places}
            if max(counts[row] for row in rows) > 1:
                for words in set(heard.flatten()):
                    same = fill({place: to_come[place] for place in places if heard[place] == words})
                    own |= {place: own[place] + config.turn_weight * each for place, each in same.items()}
        for place, advantage in own.items():
            found[place] = advantage
    return found


@pytest.mark.parametrize("turns", ["returns", "mt_grpo", "gigpo"])
@pytest.mark.parametrize(
    ("baseline", "scale"), [("mean", "none"), ("mean", "group"), ("leave_one_out", "none")]
)
def test_agrees_with_plain_loops(turns, baseline, scale):
    settings = {"turn_weight": 0.7} if turns == "gigpo" else {}
    config = AdvantageConfig(baseline, scale, turns=turns, turn_gamma=0.9, epsilon=0.01, **settings)
    for seed in range(3):
        data = draw(seed)
        counts, earned, heard, rewards, abstained = data
        made = make_turns(counts, earned, heard)
        found = compute_turn_advantages(made, torch.tensor(rewards), torch.tensor(abstained), 4, config)
        assert found.numpy() == pytest.approx(refer(data, config), abs=1e-9)


@pytest.mark.parametrize("config", EVERY_CONFIG, ids=lambda config: f"{config.turns}-{config.scale}")
def test_what_abstained_changes_nothing_whatever_it_holds(config):
    counts, earned, heard, rewards, abstained = draw(1)
    made = [
        compute_turn_advantages(
            make_turns(counts, earned, heard),
            torch.tensor(np.where(abstained, hold, rewards)),
            torch.tensor(abstained),
            4,
            config,
        )
        for hold in (0.0, float("nan"), 5.0)
    ]
    assert not made[0][torch.tensor(abstained)].any()
    assert made[0].isfinite().all()
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], made[2])


@pytest.mark.parametrize("config", EVERY_CONFIG, ids=lambda config: f"{config.turns}-{config.scale}")
def test_episodes_that_are_alike_have_no_signal(config):
    turns = make_turns([3] * 6, [[0.1, 0.2, 0]] * 6, [[0, 1, 2]] * 6)
    assert not compute_turn_advantages(
        turns, torch.full((6,), 0.7), torch.zeros(6, dtype=torch.bool), 3, config
    ).any()


@pytest.mark.parametrize("cost", [-0.125, 0.125])
def test_mt_grpo_feels_what_each_further_turn_costs_or_pays(cost):
    """Two episodes with one end, one of them by two turns more: first turns have the advantage of the whole,
    and what was no longer to be decided has none."""
    turns = make_turns([2, 4], [[cost, 0, 0, 0], [cost] * 3 + [0]], [[0, 1, 2, 3]] * 2)
    found = credit([1 + cost, 1 + 3 * cost], turns, turns="mt_grpo")
    assert found.tolist() == [[-cost, -cost, 0, 0], [cost, cost, cost / 2, 0]]


@pytest.mark.parametrize("baseline", ["mean", "leave_one_out"])
def test_the_first_turn_of_mt_grpo_has_the_advantage_of_the_whole(baseline):
    """Whatever the lengths, with neither discount nor scale: it decides on all that follows."""
    config = AdvantageConfig(baseline, turns="mt_grpo")
    for seed in range(5):
        counts, earned, heard, rewards, abstained = draw(seed)
        made, rewards, abstained = (
            make_turns(counts, earned, heard),
            torch.tensor(rewards),
            torch.tensor(abstained),
        )
        found = compute_turn_advantages(made, rewards, abstained, 4, config)
        whole = compute_group_advantages(rewards.view(3, 4), abstained.view(3, 4), config)
        torch.testing.assert_close(found[:, 0].view(3, 4), whole)


def test_rounding_of_equal_sums_is_no_signal():
    """0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1 in another order; without an epsilon rounding would be +-1."""
    turns = make_turns([3, 3], [[0.1, 0.2, 0], [0.3, 0.2, 0]], [[0, 1, 2], [0, 3, 4]])
    rewards = torch.tensor([0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1])
    for name in ("returns", "gigpo"):
        found = credit(rewards, turns, turns=name, scale="group", epsilon=0.0)
        assert not found[:, 0].any()


@pytest.mark.parametrize("turns", ["returns", "mt_grpo", "gigpo"])
def test_rounding_of_the_rest_is_no_signal(turns):
    """First turns that earned all there is: 1e-9 to 1e-8 are left of a float32, which is nothing."""
    earned = [0.1, 0.2, 0.3, 0.7]
    made = make_turns([2] * 4, [[each, 0] for each in earned], [[0, 1]] * 4)
    found = credit(earned, made, turns=turns, scale="group", epsilon=0.0)
    whole = compare(earned, "group", 1, 0.0, False)
    last = whole if turns == "gigpo" else [0.0] * 4
    assert found[:, 1].tolist() == pytest.approx(last, abs=1e-6)
    assert found[:, 0].tolist() == pytest.approx(
        [(1 + (turns == "gigpo")) * each for each in whole], abs=1e-6
    )


def test_tasks_are_scaled_by_themselves_where_that_is_asked_for():
    """A task of single turns beside one of episodes has what it has alone."""
    counts, earned, heard, rewards, abstained = draw(2)
    counts[:4], earned[:4] = 1, 0
    tasks = torch.tensor([0] * 4 + [1] * 8)
    config = AdvantageConfig(scale="batch", over="task", turns="returns")
    rewards, abstained = torch.tensor(rewards), torch.tensor(abstained)
    turns = make_turns(counts, earned, heard)
    both = compute_turn_advantages(turns, rewards, abstained, 4, config, tasks)
    alone = compute_group_advantages(rewards[None, :4], abstained[None, :4], config)
    assert both[:4, 0].tolist() == pytest.approx(alone[0].tolist())
    rest = compute_turn_advantages(turns.select(torch.arange(4, 12)), rewards[4:], abstained[4:], 4, config)
    torch.testing.assert_close(both[4:], rest)


def test_where_turns_stand_in_the_tokens():
    own = torch.tensor(
        [[1, 1, 0, 1, 0, 1, 1], [1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]], dtype=torch.bool
    )
    numbers = number_turns(own)
    assert numbers.tolist() == [[0, 0, -1, 1, -1, 2, 2], [0, 0, 0, -1, -1, -1, -1], [-1] * 7]
    assert mark_turn_ends(own).int().tolist() == [[0, 1, 0, 1, 0, 0, 0], [0] * 7, [0] * 7]
    turns = make_turns([3, 1, 1], [[0.25, 0.5, 0], [0, 0, 0], [0, 0, 0]], [[0] * 3] * 3)
    assert place_turn_rewards(turns, own)[0].tolist() == [0, 0.25, 0, 0.5, 0, 0, 0]
    spread = spread_over_turns(torch.tensor([[1.0, 2, 3], [4, 0, 0], [0, 0, 0]]), own) * own
    assert spread.tolist() == [[1, 1, 0, 2, 0, 3, 3], [4, 4, 4, 0, 0, 0, 0], [0] * 7]


def test_parts_sum_to_the_reward_whatever_was_taken_from_it():
    turns = make_turns([3, 1], [[0.25, 0.5, 0], [0, 0, 0]], [[0] * 3] * 2)
    parts = turns.divide(torch.tensor([1.0, -0.5]))
    assert parts.tolist() == [[0.25, 0.5, 0.25], [-0.5, 0, 0]]
    assert compute_returns(parts, 1.0)[:, 0].tolist() == [1.0, -0.5]
    assert turns.find_rest(torch.tensor([1.0, -0.5])).tolist() == [0.25, -0.5]
