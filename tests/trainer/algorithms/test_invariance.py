"""One gradient: the same batch gives the same gradient however it is cut, padded,
ordered or spread over processes."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from palaestra.tasks import Problem
from palaestra.trainer.algorithms.base import Learner
from palaestra.trainer.algorithms.batch import Batch
from palaestra.trainer.algorithms.grpo import GRPO
from palaestra.trainer.algorithms.update import add_gradient
from palaestra.trainer.config.objective import LossConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model.optim import adamw
from palaestra.trainer.model.policy import Policy, load_policy
from palaestra.trainer.objective.kinds import KINDS, find_kind
from palaestra.trainer.objective.losses import count_denominators
from palaestra.trainer.rollouts.group import Group
from palaestra.verifiers import Completion, Score
from torch import distributed

EVERY = [*KINDS, f"{Path(__file__).parents[3] / 'examples' / 'own_loss.py'}:kimi"]


def make_policy() -> Policy:
    made = load_policy("embedded", "cpu", "float32", seed=4)
    made.model.double()
    return made


def make_learner(settings: TrainConfig) -> Learner:
    made = make_policy()
    made.model.train()
    return Learner(made, adamw(made.model, settings.optimizer, made.parameters), GRPO(made, settings))


def make_config(kind: str = "dapo") -> TrainConfig:
    clip = {"clip_high": 0.2} if "clip_high" in find_kind(kind).reads else {}
    return TrainConfig.of(loss=LossConfig(kind, kl_coef=0.05, **clip), max_new_tokens=12)


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
    reference_BT = made.sampled_logprobs_BT - 0.1
    return GRPO(make_policy(), settings).credit(replace(made, ref_logprobs_BT=reference_BT))


def flatten_gradient(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def compute_gradient(
    kind: str, tokens: int, order: list[int] | None = None, padding: int = 0
) -> torch.Tensor:
    settings = make_config(kind).but(tokens_per_microbatch=tokens)
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


def run_process(rank: int, world: int, kind: str, folder: str) -> None:
    """One process's rows; denominators and gradients are summed over the processes."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    settings = make_config(kind)
    whole = make_batch(settings)
    mine = whole.select(torch.arange(rank, len(whole.rewards_B), world))
    counted = count_denominators(mine.mask_BT, settings.rollouts.max_new_tokens)
    sums = torch.tensor([counted.sequences, counted.tokens], dtype=torch.float64)
    distributed.all_reduce(sums)
    made = make_learner(settings)
    add_gradient(made, mine, replace(counted, sequences=float(sums[0]), tokens=float(sums[1])), 2048)
    total = flatten_gradient(made.policy.model)
    distributed.all_reduce(total)
    if rank == 0:
        torch.save(total, Path(folder) / "gradient.pt")
    distributed.destroy_process_group()


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: find_kind(kind).name)
def test_two_processes_give_the_gradient_of_one(kind: str, tmp_path: Path):
    torch.multiprocessing.start_processes(
        run_process, (2, kind, str(tmp_path)), nprocs=2, start_method="fork"
    )
    torch.testing.assert_close(
        torch.load(tmp_path / "gradient.pt"), compute_gradient(kind, 100_000), rtol=1e-5, atol=1e-12
    )
