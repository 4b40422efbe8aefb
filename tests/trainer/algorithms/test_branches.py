"""Episodes as branches: a row for each context, and the loss of the episode as if it were one."""

from dataclasses import replace

import pytest
import torch
from palaestra.tasks import Problem
from palaestra.trainer.algorithms.base import Learner
from palaestra.trainer.algorithms.batch import Batch
from palaestra.trainer.algorithms.named import find_algorithm
from palaestra.trainer.algorithms.update import add_gradient, run_pass, shape_batch
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model.dense.packed import can_pack
from palaestra.trainer.model.dense.packing import Packing
from palaestra.trainer.model.optim import adamw
from palaestra.trainer.model.policy import load_policy
from palaestra.trainer.objective.losses import count_denominators
from palaestra.trainer.rollouts.group import Group
from palaestra.verifiers import Completion, Score, Turn
from palaestra.verifiers.types import Rewind

PROBLEM = Problem("Which number?", "7", id="guess/test/0")
PROMPT = (5, 9, 7)
DRAWN = (((4, 8, 6), (2, 11), (3,)), ((5, 5), (7,)), ((7, 12, 4, 2),), ((9,), (2, 13), (8, 6)))
FOREIGN = (14, 15, 16)
PPO = {"algorithm": "ppo", "ppo.kl.kl_coef": 0.05, "loss.entropy_coef": 0.01}
SETTINGS = {
    "sequence means, KL and entropy": {"loss.kl_coef": 0.05, "loss.entropy_coef": 0.01},
    "ratios of sequences": {"loss.kind": "gspo"},
    "tokens, credit by turns": {"loss.kind": "dapo", "advantages.turns": "returns"},
    "a correction of sequences": {"loss.correction": "sequence_truncate"},
    "a head on the policy": PPO,
    "a critic of its own": {**PPO, "ppo.critic": "separate", "ppo.turn_rewards": True},
}


@pytest.fixture(scope="module", params=["packed", "padded"])
def policy(request):
    made = load_policy("embedded", "cpu", "float32", seed=4)
    if request.param == "padded":
        made.model.double()
    assert can_pack(made.model) == (request.param == "packed")
    return made


def make_episode(turns, kept=None) -> Completion:
    """An episode of these turns. kept: of all that was read so far, what each later turn keeps."""
    ids, sampled, rewinds = [], [], []
    context = len(PROMPT)
    for number, drawn in enumerate(turns):
        if number:
            if kept is not None:
                rewinds.append(Rewind(len(ids), kept(context)))
                context = kept(context)
            ids, sampled = [*ids, *FOREIGN], [*sampled, *[False] * 3]
            context += 3
        ids, sampled = [*ids, *drawn], [*sampled, *[True] * len(drawn)]
        context += len(drawn)
    logprobs = [-4.5 - 0.1 * (place % 3) if own else 0.0 for place, own in enumerate(sampled)]
    marks = () if all(sampled) else tuple(sampled)
    said = tuple(Turn("policy", "x") for _ in turns)
    return Completion(
        "x", PROMPT, tuple(ids), tuple(logprobs), sampled=marks, rewinds=tuple(rewinds), turns=said
    )


def make_group(kept=None) -> Group:
    scores = [Score(float(place % 2), bool(place % 2), by_turn=(0.25,)) for place in range(len(DRAWN))]
    return Group(PROBLEM, tuple(make_episode(turns, kept) for turns in DRAWN), tuple(scores))


def compute_gradient(policy, settings, group, tokens=2048):
    """As an update does, without the step; the reference is the policy itself."""
    config = TrainConfig.of(max_new_tokens=20, **settings)
    algorithm = find_algorithm(config.algorithm)(policy, config)
    policy.model.zero_grad(set_to_none=True)
    batch = shape_batch(Batch.of([group], policy.device), config)
    ref_BT = run_pass(policy, batch.sequences, 1.0, tokens).logprobs_BT
    batch = algorithm.credit(replace(batch, ref_logprobs_BT=ref_BT))
    learner = Learner(policy, adamw(policy.model, config.optimizer, policy.parameters), algorithm)
    denominators = count_denominators(batch.mask_BT, 20)
    rows_B = algorithm.rows_with_gradient(batch)
    parts = add_gradient(learner, batch.select(rows_B), denominators, tokens)
    modules = [policy.model, *(trained.module for trained in algorithm.trained)]
    weights = [p.grad.flatten() for module in modules for p in module.parameters() if p.grad is not None]
    return batch, torch.cat(weights), parts


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_branches_that_keep_all_have_the_gradient_of_the_one_row(policy, settings):
    wanted, gradient, parts = compute_gradient(policy, settings, make_group())
    assert wanted.sequences.branches is None
    for tokens in (2048, 12):
        batch, found, again = compute_gradient(policy, settings, make_group(lambda read: read), tokens)
        assert len(batch.sequences.branches.owners_C) == sum(map(len, DRAWN))
        assert torch.allclose(batch.advantages_BT, wanted.advantages_BT, atol=1e-6)
        assert torch.allclose(batch.ref_logprobs_BT * batch.mask_BT, wanted.ref_logprobs_BT * batch.mask_BT)
        assert torch.allclose(found, gradient, rtol=1e-4, atol=1e-6)
        assert float(sum(p.loss for p in again)) == pytest.approx(float(sum(p.loss for p in parts)), rel=1e-5)
    assert gradient.abs().max() > 1e-3


def test_what_was_rewritten_is_not_read(policy):
    """Each turn's tokens have the log-probabilities and the gradient of a row of their own, behind what was
    kept and what followed it."""
    settings = {"loss.kind": "dapo", "loss.clip_low": 0.2}
    batch, gradient, _ = compute_gradient(policy, settings, make_group(lambda _: 2))
    rows, advantages, found = [], [], []
    for turns, completion in zip(DRAWN, make_group(lambda _: 2).completions_G, strict=True):
        row, place = len(found), 0
        found.append([])
        for number, drawn in enumerate(turns):
            place += len(FOREIGN) if number else 0
            prompt = (*PROMPT[:2], *FOREIGN) if number else PROMPT
            logprobs = completion.logprobs[place : place + len(drawn)]
            rows.append(Completion("x", prompt, drawn, logprobs))
            advantages.append(float(batch.advantages_BT[row, place]))
            found[row] += batch.ref_logprobs_BT[row, place : place + len(drawn)].tolist()
            place += len(drawn)
    group = Group(PROBLEM, tuple(rows), tuple(Score(0.0, False) for _ in rows))
    config = TrainConfig.of(max_new_tokens=20, **settings)
    alone = Batch.of([group], policy.device)
    alone = replace(alone, advantages_BT=torch.tensor(advantages)[:, None] * alone.mask_BT)
    algorithm = find_algorithm("grpo")(policy, config)
    policy.model.zero_grad(set_to_none=True)
    learner = Learner(policy, adamw(policy.model, config.optimizer, policy.parameters), algorithm)
    add_gradient(learner, alone, count_denominators(alone.mask_BT, 20), 2048)
    wanted = torch.cat([p.grad.flatten() for p in policy.model.parameters() if p.grad is not None])
    assert torch.allclose(gradient, wanted, rtol=1e-4, atol=1e-6)
    logprobs_BT = run_pass(policy, alone.sequences, 1.0, 2048).logprobs_BT
    assert [p for row in found for p in row] == pytest.approx(logprobs_BT[alone.mask_BT].tolist(), abs=1e-5)


@pytest.mark.parametrize("kept", [lambda _: 2, lambda read: read - 1, lambda read: read])
def test_packed_branches_have_no_more_tokens_than_the_rows(kept):
    sequences = Batch.of([make_group(kept)], torch.device("cpu")).sequences
    tokens = int((sequences.prompt_lengths_B + sequences.lengths_B).sum())
    assert len(Packing.of(sequences.branches.rows).ids_N) <= tokens
    assert int(sequences.branches.rows.lengths_B.sum()) == sum(
        len(drawn) for turns in DRAWN for drawn in turns
    )


def test_parts_of_a_batch_keep_their_branches(policy):
    batch = Batch.of([make_group(lambda _: 2)], policy.device)
    part = batch.select(torch.tensor([3, 0]))
    assert part.sequences.branches.owners_C.tolist() == [0, 0, 0, 1, 1, 1]
    assert part.sequences.branches.firsts_C.tolist() == [0, 4, 9, 0, 6, 11]
    assert batch.select(torch.tensor([2])).sequences.branches is None
    assert Batch.of([make_group()], policy.device).sequences.branches is None
