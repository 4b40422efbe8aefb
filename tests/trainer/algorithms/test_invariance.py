"""One gradient: the same batch gives the same gradient however it is cut, padded,
ordered or spread over processes."""

import random
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from palaestra.tasks import Problem
from palaestra.trainer.algorithms.base import Learner
from palaestra.trainer.algorithms.batch import Batch
from palaestra.trainer.algorithms.grpo import GRPO
from palaestra.trainer.algorithms.ppo import PPO
from palaestra.trainer.algorithms.update import (
    add_first_pass,
    add_gradient,
    add_shared_gradient,
    draw_minibatches,
    mark_minibatch,
    run_pass,
)
from palaestra.trainer.config.objective import LossConfig
from palaestra.trainer.config.shared import LoraConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.distributed.ranks import Place, find_port
from palaestra.trainer.distributed.world import join
from palaestra.trainer.model.lora import add_adapters
from palaestra.trainer.model.optim import adamw
from palaestra.trainer.model.policy import Policy, load_policy
from palaestra.trainer.model.sharded import gather_whole, shard
from palaestra.trainer.model.shares import check_replicas
from palaestra.trainer.objective.kinds import KINDS, find_kind
from palaestra.trainer.objective.losses import Denominators, count_denominators
from palaestra.trainer.rollouts.group import Group
from palaestra.verifiers import Completion, Score

CORRECTIONS = ["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"]
CORRECTIONS = [*CORRECTIONS, "geometric_truncate", "geometric_mask"]
EVERY = [*KINDS, f"{Path(__file__).parents[3] / 'examples' / 'own_loss.py'}:kimi"]


def make_policy() -> Policy:
    made = load_policy("embedded", "cpu", "float32", seed=4)
    made.model.double()
    return made


def make_learner(settings: TrainConfig) -> Learner:
    made = make_policy()
    made.model.train()
    return Learner(made, adamw(made.model, settings.optimizer, made.parameters), GRPO(made, settings))


def make_config(kind: str = "dapo", correction: str = "none") -> TrainConfig:
    loss = {"clip_high": 0.2} if "clip_high" in find_kind(kind).reads else {}
    if find_kind(kind).mark:  # enough tokens for the marks to matter
        share = {"clip_cov_share": 0.2, "cov_low": 0.01} if kind == "clip_cov" else {"kl_cov_share": 0.2}
        loss = {**loss, **share}
    if correction != "none":
        loss = {**loss, "correction": correction, "correction_cap": 1.2, "kl_correction": True}
    return TrainConfig.of(loss=LossConfig(kind, kl_coef=0.05, **loss), max_new_tokens=12)


def make_batch(settings: TrainConfig) -> Batch:
    """Four groups of four ragged completions with rewards, log-probabilities off the policy,
    and a reference."""
    rng = random.Random(0)
    groups = []
    for index in range(4):
        prompt = tuple(rng.randrange(5, 90) for _ in range(rng.randrange(2, 9)))
        completions, scores = [], []
        for _ in range(4):
            ids = tuple(rng.randrange(5, 90) for _ in range(rng.randrange(1, 12)))
            completions.append(Completion("", prompt, ids, tuple(-4.6 + rng.gauss(0, 0.3) for _ in ids)))
            scores.append(Score(rng.random(), False))
        groups.append(Group(Problem("", id=str(index)), tuple(completions), tuple(scores)))
    made = Batch.of(groups, torch.device("cpu"))
    made = replace(
        made, sampled_logprobs_BT=made.sampled_logprobs_BT.double(), rewards_B=made.rewards_B.double()
    )
    policy = make_policy()
    made = replace(made, ref_logprobs_BT=made.sampled_logprobs_BT - 0.1)
    made = GRPO(policy, settings).credit(made)
    made = replace(made, before_logprobs_BT=made.sampled_logprobs_BT + 0.15 * made.advantages_BT)
    (drawn,) = draw_minibatches(made, settings, step=3)
    marked = mark_minibatch(policy, drawn, settings, moved=False)
    assert find_kind(settings.objective.loss.kind).mark is None or marked.columns_BT["marked"].any()
    return marked


def flatten_gradient(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def compute_gradient(
    kind: str, tokens: int, order: list[int] | None = None, padding: int = 0, correction: str = "none"
) -> torch.Tensor:
    settings = make_config(kind, correction).but(tokens_per_microbatch=tokens)
    whole = make_batch(settings)
    denominators = count_denominators(whole.mask_BT, settings.rollouts.max_new_tokens)
    if order is not None:
        whole = whole.select(torch.tensor(order))
    if padding:
        sequences = whole.sequences
        padded_BS = torch.nn.functional.pad(sequences.ids_BS, (0, padding), value=7)
        whole = replace(whole, sequences=replace(sequences, ids_BS=padded_BS))
    made = make_learner(settings)
    add_gradient(made, whole, denominators, tokens)
    return flatten_gradient(made.policy.model)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: find_kind(kind).name)
def test_micro_batches_padding_and_row_order_do_not_change_the_gradient(kind: str):
    whole = compute_gradient(kind, 100_000)
    assert whole.abs().max() > 1e-6
    order = list(range(16))
    random.Random(1).shuffle(order)
    for other in (
        compute_gradient(kind, 1),
        compute_gradient(kind, 40),
        compute_gradient(kind, 60, order),
        compute_gradient(kind, 100_000, None, 5),
    ):
        torch.testing.assert_close(other, whole, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_a_corrected_gradient_does_not_depend_on_the_micro_batches_either(correction: str):
    whole = compute_gradient("grpo", 100_000, correction=correction)
    assert (whole - compute_gradient("grpo", 100_000)).abs().max() > 1e-6
    order = list(range(16))
    random.Random(1).shuffle(order)
    for other in (
        compute_gradient("grpo", 1, correction=correction),
        compute_gradient("grpo", 60, order, 3, correction=correction),
    ):
        torch.testing.assert_close(other, whole, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("kind", ["clip_cov", "kl_cov"])
def test_marks_are_those_of_the_optimizer_step_and_the_policy_of_now(kind: str):
    """After an update the covariance is that of the moved policy, by a pass over the whole minibatch."""
    settings = make_config(kind).but(minibatches=2)
    policy, batch = make_policy(), make_batch(make_config(kind))
    halves = list(draw_minibatches(batch, settings, step=0))
    assert [len(half.rewards_B) for half in halves] == [8, 8]
    moved = [
        mark_minibatch(policy, halves[1], settings.but(tokens_per_microbatch=n), True) for n in (1, 4096)
    ]
    marks = [one.columns_BT["marked"] for one in moved]
    assert torch.equal(*marks)
    still = mark_minibatch(policy, halves[1], settings, moved=False).columns_BT["marked"]
    assert not torch.equal(still, marks[0]), "the sampled log-probabilities are not the policy's here"


def test_draws_are_by_seed_step_pass_and_place():
    settings = make_config("clip_cov")
    batch = make_batch(settings)
    first, again, other = (
        next(draw_minibatches(batch, settings, step)).columns_BT["draws"] for step in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    passes = list(draw_minibatches(batch, settings.but(updates_per_batch=2), 0))
    assert torch.equal(passes[0].columns_BT["draws"], first)
    assert not torch.equal(passes[1].columns_BT["draws"], first)
    half = next(draw_minibatches(batch, settings.but(minibatches=2), 0)).columns_BT["draws"]
    assert all(any(torch.equal(row, full[: len(row)]) for full in first) for row in half)


def test_the_first_pass_is_made_where_something_reads_it():
    policy, plain = make_policy(), make_config()
    batch = replace(make_batch(plain), before_logprobs_BT=None)
    corrected = make_config(correction="token_mask")
    follows = plain.but(**{"loss.entropy_target": 0.2})
    for settings, made in [
        (plain, False),
        (plain.but(minibatches=2), False),
        (corrected, False),
        (corrected.but(minibatches=2), True),
        (follows, True),
    ]:
        found = add_first_pass(batch, policy, settings)
        assert (found.before_logprobs_BT is not None) == (found.entropy_BT is not None) == made
    out = run_pass(policy, batch.sequences, 1.0, 7)
    torch.testing.assert_close(found.before_logprobs_BT, out.logprobs_BT)
    algorithm = GRPO(policy, follows)
    observed = algorithm.observe(found)
    assert observed["entropy_before"] == pytest.approx(float(out.entropy_BT[batch.mask_BT].mean()), rel=1e-6)
    assert observed["entropy_coef"] == 0.0, "it is far above the target"
    assert GRPO(policy, plain).observe(found) == {}


@dataclass(frozen=True)
class Case:
    """One gradient. critic: of PPO, None for GRPO."""

    kind: str
    critic: str | None = None
    lora: int = 0

    def prepare(self) -> tuple[Learner, Batch, Denominators]:
        settings = make_config(self.kind)
        if self.critic is not None:
            settings = settings.but(algorithm="ppo", **{"ppo.critic": self.critic, "loss.kl_coef": 0.0})
        batch, policy = make_batch(make_config(self.kind)), make_policy()
        if self.lora:
            add_adapters(policy.model, LoraConfig(lora_rank=self.lora), 3)
            for name, weight in policy.model.named_parameters():
                if ".lora_" in name:
                    weight.data = weight.data.double() + 0.01
        algorithm = (GRPO if self.critic is None else PPO)(policy, settings)
        if self.critic is not None:
            if algorithm.critic.backbone is not None:
                algorithm.critic.backbone.double()
            torch.nn.init.normal_(algorithm.critic.head.weight, generator=torch.Generator().manual_seed(1))
            columns_BT = {"values": batch.advantages_BT, "returns": batch.sampled_logprobs_BT}
            batch = replace(batch, columns_BT=columns_BT)
        policy.model.train()
        learner = Learner(policy, adamw(policy.model, settings.optimizer, policy.parameters), algorithm)
        return learner, batch, count_denominators(batch.mask_BT, settings.rollouts.max_new_tokens)

    def flatten(self, learner: Learner) -> torch.Tensor:
        """The gradient by the names of the weights; those in shards put together."""
        modules = [learner.policy.model, *(trained.module for trained in learner.algorithm.trained)]
        named = [pair for module in modules for pair in sorted(module.named_parameters())]
        return torch.cat([gather_whole(w.grad).flatten() for _, w in named if w.requires_grad])


def check_in_processes(rank: int, size: int, port: int, cases: list[Case], alone: list[torch.Tensor]) -> None:
    """In each process: the gradient of every case, of whole weights and of weights in shards, is that of one
    process."""
    torch.set_num_threads(1)
    with join(place=Place(rank, size, rank, size, "127.0.0.1", port)):
        for case, expected in zip(cases, alone, strict=True):
            for sharded in (False, True):
                learner, batch, denominators = case.prepare()
                if sharded:
                    shard(learner.policy)
                parts = add_shared_gradient(learner, batch, denominators, 40, 0)
                assert sum(int(part.stats.tokens) for part in parts) == int(batch.mask_BT.sum()), case
                # The critic's head is float32, whatever the backbone.
                gap = float((case.flatten(learner) - expected).norm() / expected.norm())
                assert gap < (1e-9 if case.critic is None else 1e-5), (case, sharded, gap)
        check_replicas([learner.policy.model])


CASES = [*map(Case, EVERY), Case("dapo", "shared"), Case("dapo", "separate"), Case("grpo", lora=4)]


@pytest.mark.parametrize("size", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_give_the_gradient_of_one(size: int):
    """Of every loss kind, PPO and adapters, with whole weights in each process and with weights in shards."""
    alone = []
    for case in CASES:
        learner, batch, denominators = case.prepare()
        add_gradient(learner, batch, denominators, 2048)
        alone.append(case.flatten(learner))
        assert alone[-1].abs().max() > 1e-6
    torch.multiprocessing.start_processes(
        check_in_processes, (size, find_port(), CASES, alone), nprocs=size, start_method="fork"
    )
