"""What an episode's world says is context: no token of it is in a loss, a mean or a denominator."""

from dataclasses import replace

import pytest
import torch
from palaestra.tasks import Problem
from palaestra.trainer.algorithms.base import Learner
from palaestra.trainer.algorithms.batch import Batch
from palaestra.trainer.algorithms.named import find_algorithm
from palaestra.trainer.algorithms.update import add_gradient, run_pass, shape_batch
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model.optim import adamw
from palaestra.trainer.model.policy import Policy, load_policy
from palaestra.trainer.objective.losses import count_denominators
from palaestra.trainer.rollouts.group import Group
from palaestra.verifiers import Completion, Score, Turn

PROBLEM = Problem("Which number?", "7", id="guess/test/0")
PROMPT = (5, 9, 7)
DRAWN = ((4, 8, 6, 2), (11, 3, 5), (7, 7, 12, 4, 2), (9, 2))
SETTINGS = {
    "grpo": {"loss.kl_coef": 0.05, "loss.entropy_coef": 0.01},
    "ppo": {"ppo.kl.kl_coef": 0.05, "loss.entropy_coef": 0.01},
}


@pytest.fixture(scope="module")
def policy() -> Policy:
    made = load_policy("embedded", "cpu", "float32", seed=4)
    made.model.double()
    return made


def make_group(completions) -> Group:
    scores = [Score(float(place % 2), bool(place % 2)) for place in range(len(completions))]
    return Group(PROBLEM, tuple(completions), tuple(scores))


def draw(ids) -> Completion:
    return Completion("x", PROMPT, ids, tuple(-0.1 * place - 0.5 for place in range(len(ids))))


def split(completion: Completion, first: int, foreign: tuple[int, ...]) -> Completion:
    """The same draws with a world's words after the first of them."""
    ids, logprobs = completion.ids, completion.logprobs
    count = len(foreign)
    return replace(
        completion,
        ids=(*ids[:first], *foreign, *ids[first:]),
        logprobs=(*logprobs[:first], *[0.0] * count, *logprobs[first:]),
        sampled=(*[True] * first, *[False] * count, *[True] * (len(ids) - first)),
    )


def compute_gradient(
    policy: Policy, name: str, groups: list[Group], **settings
) -> tuple[Batch, torch.Tensor, list]:
    """As an update does, without the step; the reference is the policy itself."""
    config = TrainConfig.of(algorithm=name, max_new_tokens=20, **(SETTINGS[name] | settings))
    algorithm = find_algorithm(name)(policy, config)
    policy.model.zero_grad(set_to_none=True)
    batch = shape_batch(Batch.of(groups, policy.device), config)
    ref_BT = run_pass(policy, batch.sequences, 1.0, 2048).logprobs_BT
    batch = algorithm.credit(replace(batch, ref_logprobs_BT=ref_BT))
    learner = Learner(policy, adamw(policy.model, config.optimizer, policy.parameters), algorithm)
    denominators = count_denominators(batch.mask_BT, 20)
    parts = add_gradient(learner, batch.select(algorithm.rows_with_gradient(batch)), denominators, 2048)
    gradient = torch.cat([p.grad.flatten() for p in policy.model.parameters() if p.grad is not None])
    return batch, gradient, parts


@pytest.mark.parametrize("name", ["grpo", "ppo"])
def test_a_silent_world_changes_no_bit_of_the_gradient(policy, name):
    single = [draw(ids) for ids in DRAWN]
    silent = [replace(c, turns=(Turn("policy", c.text),), state={"tries": 1}) for c in single]
    marked = [replace(c, sampled=(True,) * len(c.ids)) for c in silent]
    found = [compute_gradient(policy, name, [make_group(each)]) for each in (single, silent, marked)]
    for batch, gradient, _ in found[1:]:
        assert torch.equal(gradient, found[0][1])
        assert torch.equal(batch.advantages_BT, found[0][0].advantages_BT)


@pytest.mark.parametrize("name", ["grpo", "ppo"])
def test_foreign_tokens_are_context_and_nothing_else(policy, name):
    """Behind the last token that was drawn they change nothing, before the first they are a longer prompt."""
    single = [draw(ids) for ids in DRAWN]
    behind = [split(c, len(c.ids), (3,) * (2 + row)) for row, c in enumerate(single)]
    before = [split(c, 0, (3,) * (2 + row)) for row, c in enumerate(single)]
    longer = [replace(c, prompt_ids=(*PROMPT, *(3,) * (2 + row))) for row, c in enumerate(single)]
    for with_foreign, alike in ((behind, single), (before, longer)):
        batch, gradient, parts = compute_gradient(policy, name, [make_group(with_foreign)])
        _, wanted, _ = compute_gradient(policy, name, [make_group(alike)])
        assert torch.allclose(gradient, wanted, rtol=1e-5, atol=1e-9)
        assert (
            int(batch.mask_BT.sum()) == sum(len(part.difference_N) for part in parts) == sum(map(len, DRAWN))
        )
        assert not batch.advantages_BT[~batch.mask_BT].any()


@pytest.mark.parametrize("name", ["grpo", "ppo"])
def test_what_is_on_record_of_foreign_tokens_is_never_read(policy, name):
    talk = [split(draw(ids), 1 + row % 2, (3,) * (2 + row)) for row, ids in enumerate(DRAWN)]
    other = [
        replace(c, logprobs=tuple(p if own else -9.0 for p, own in zip(c.logprobs, c.sampled, strict=True)))
        for c in talk
    ]
    (batch, gradient, _), (again, same, _) = (
        compute_gradient(policy, name, [make_group(each)]) for each in (talk, other)
    )
    assert torch.equal(again.advantages_BT, batch.advantages_BT)
    assert torch.equal(gradient, same)
    assert gradient.abs().sum() > 0


def test_lengths_and_limits_count_what_was_drawn(policy):
    config = TrainConfig.of(max_new_tokens=6, overlong_cache=4)
    talk = [split(draw(ids), 1, (3, 3, 3, 3)) for ids in DRAWN]
    plain, batch = (
        shape_batch(Batch.of([make_group(each)], policy.device), config)
        for each in ([draw(ids) for ids in DRAWN], talk)
    )
    assert torch.equal(plain.rewards_B, batch.rewards_B)
    assert [completion.tokens for completion in talk] == [len(ids) for ids in DRAWN]
    cut = replace(talk[0], finish_reason="tokens")
    assert Batch.of([make_group([cut, *talk[1:]])], policy.device).truncated_B.tolist() == [
        True,
        *[False] * 3,
    ]


def test_marks_of_another_length_are_refused(policy):
    with pytest.raises(ValueError, match="of 4 tokens says of 2"):
        Batch.of([make_group([replace(draw(DRAWN[0]), sampled=(True, False))])], policy.device)


BY_TURN = [
    ("grpo", {"advantages.turns": "returns", "advantages.turn_gamma": 0.5}),
    ("grpo", {"advantages.turns": "mt_grpo", "advantages.turn_gamma": 0.5}),
    ("grpo", {"advantages.turns": "gigpo", "advantages.turn_gamma": 0.5, "advantages.turn_weight": 3.0}),
    ("grpo", {"advantages.turns": "returns", "advantages.normalise_batch": True, "loss.kl_in": "tokens"}),
    ("grpo", {"advantages.turns": "gigpo", "loss.kl_in": "reward"}),
    ("ppo", {"ppo.turn_rewards": True, "ppo.turn_gamma": 0.5, "ppo.turn_lam": 0.5}),
]


@pytest.mark.parametrize(("name", "settings"), BY_TURN, ids=str)
def test_single_turns_are_credited_as_ever_to_the_bit(policy, name, settings):
    """Beside a group of episodes, too."""
    single, talk = [draw(ids) for ids in DRAWN], [split(draw(ids), 1, (3, 3)) for ids in DRAWN]
    others = {flag: value for flag, value in settings.items() if "turn" not in flag}
    plain, gradient, _ = compute_gradient(policy, name, [make_group(single)], **others)
    found, same, _ = compute_gradient(policy, name, [make_group(single)], **settings)
    assert torch.equal(plain.advantages_BT, found.advantages_BT)
    assert torch.equal(gradient, same)
    if name == "grpo" and "advantages.normalise_batch" not in settings:  # PPO whitens over the batch
        both, _, _ = compute_gradient(policy, name, [make_group(single), make_group(talk)], **settings)
        assert torch.equal(both.advantages_BT[:4, : plain.advantages_BT.shape[1]], plain.advantages_BT)


def pay(group: Group, *rewards: tuple[float, ...]) -> Group:
    """The group with what turns earned by themselves."""
    pairs = zip(group.scores_G, rewards, strict=True)
    return replace(group, scores_G=tuple(replace(score, by_turn=by_turn) for score, by_turn in pairs))


def test_each_token_has_the_advantage_of_its_turn(policy):
    """Rewards 0, 1, 0, 1, of which the first turn earned 0.5, 0.5, 0, 0.25; one completion was not scored."""
    group = make_group([split(draw(ids), 1, (3, 3)) for ids in DRAWN])
    group = pay(group, (0.5, 9.0), (0.5, 0.0), (0.0, 0.0), (0.25, 0.0))
    scores = list(group.scores_G)
    scores[2] = replace(scores[2], abstained=True)
    settings = {"advantages.turns": "mt_grpo", "advantages.baseline": "mean"}
    batch, gradient, _ = compute_gradient(policy, "grpo", [replace(group, scores_G=scores)], **settings)
    first = [0.5 - 1.25 / 3, 0.5 - 1.25 / 3, 0.0, 0.25 - 1.25 / 3]
    rest = [-0.5, 0.5, 0.75]
    mean = sum(rest) / 3
    for row, (own, other) in enumerate(zip(first, [rest[0], rest[1], mean, rest[2]], strict=True)):
        later = other - mean if row != 2 else 0.0
        said = [own + later, 0.0, 0.0, *[later] * (len(DRAWN[row]) - 1)]
        said += [0.0] * (batch.advantages_BT.shape[1] - len(said))
        assert batch.advantages_BT[row].tolist() == pytest.approx(said, abs=1e-6)
    assert gradient.abs().sum() > 0


def test_turn_rewards_of_ppo_stand_at_the_ends_of_turns(policy):
    """With a critic of zeros and no whitening the return of a token is what is still to come."""
    group = make_group([split(draw(ids), 1, (3, 3)) for ids in DRAWN])
    group = pay(group, *[(0.5, 0.0)] * 4)
    settings = {"ppo.lam": 1.0, "ppo.turn_rewards": True, "ppo.turn_gamma": 0.5, "ppo.whiten": False}
    settings["ppo.kl.kl_coef"] = 0.0
    batch, _, _ = compute_gradient(policy, "ppo", [group], **settings)
    assert not batch.columns_BT["values"].any()
    for row, ids in enumerate(DRAWN):
        rest = row % 2 - 0.5
        said = [0.5 + 0.5 * rest, 0.0, 0.0, *[rest] * (len(ids) - 1)]
        said += [0.0] * (batch.mask_BT.shape[1] - len(said))
        assert batch.columns_BT["returns"][row].tolist() == pytest.approx(said, abs=1e-6)


def test_parts_of_a_batch_keep_their_turns(policy):
    group = pay(make_group([split(draw(ids), 1, (3, 3)) for ids in DRAWN]), *[(0.5, 0.0)] * 4)
    batch = Batch.of([group], policy.device)
    assert batch.turns is not None
    assert batch.turns.counts_B.tolist() == [2] * 4
    part = batch.select(torch.tensor([3, 0]))
    assert part.turns is not None
    assert part.turns.earned_BK.tolist() == [[0.5, 0.0]] * 2
    assert part.turns.divide(part.rewards_B).tolist() == [[0.5, 0.5], [0.5, -0.5]]
    assert Batch.of([make_group([draw(ids) for ids in DRAWN])], policy.device).turns is None
