"""Supervised fine-tuning: imitate demonstrations by teacher forcing, with loss on completion tokens only."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ...tasks import Problem, Task
from ...tasks.core.episode import play
from ...tasks.core.errors import UserError
from ...tasks.core.seeds import digest
from ...verifiers import Turn
from ..config.settings import resolve
from ..config.sft import SFTConfig
from ..distributed.world import find_world
from ..model.logprobs import compute_logprobs
from ..model.optim import Rates
from ..model.policy import Policy
from ..model.prompts import PromptFormat
from ..model.seams import Seams
from ..model.sequences import Sequences, split_into_microbatches
from ..model.shares import sum_gradients, take_rows
from ..model.turns import prove_seams
from ..storage.interrupts import Interrupts
from ..supervised.loop import FIT_TOKENS, Fit, FitResult, Pace, run_fit

RATES = Rates(small=3e-3, large=1e-5)


@dataclass(frozen=True)
class Demonstration:
    """Token ids of a prompt and of the completion to imitate. drawn: which of the completion's are the
    model's own, where a world answers between them; () for all. The others are context."""

    prompt: Sequence[int]
    completion: Sequence[int]
    drawn: Sequence[bool] = ()


def encode_demonstrations(
    prompts: PromptFormat, task: Task, problems: Sequence[Problem], seed: int, max_tokens: int
) -> list[Demonstration]:
    """What the task shows for each problem, as token ids; those over `max_tokens` are left out. Of an episode
    it is the task's player that is shown."""
    demonstrations = []
    seams = prove_seams(prompts) if task.has_episodes else None
    for problem in problems:
        member = task.find_member(problem.id)
        prompt = prompts.encode(problem, member.instruction)
        if seams is not None and member.episode is not None:
            demonstration = encode_turns(prompts, seams, prompt, play(member, problem).turns)
        else:
            completion = task.demonstration(problem, random.Random(digest("demonstration", seed, problem.id)))
            demonstration = Demonstration(prompt, prompts.encode_completion(completion, problem.name))
        if len(demonstration.prompt) + len(demonstration.completion) <= max_tokens:
            demonstrations.append(demonstration)
    return demonstrations


def encode_turns(
    prompts: PromptFormat, seams: Seams, prompt: Sequence[int], turns: Sequence[Turn]
) -> Demonstration:
    """The turns of an episode as token ids, with the tokens between them as they are in sampling: to imitate
    are those of the policy. What the world says last is left out."""
    ids, drawn = list[int](), list[bool]()
    said = list[int]()
    while turns and turns[-1].role == "world":
        turns = turns[:-1]
    for turn in turns:
        if turn.role == "policy":
            said = list(prompts.encode_completion(turn.text, "A turn"))
            ids, drawn = [*ids, *said], [*drawn, *[True] * len(said)]
        else:
            foreign = seams.follow(turn.text, turn.voice, seams.has_ended(said, turn.voice, prompt), prompt)
            ids, drawn = [*ids, *foreign], [*drawn, *[False] * len(foreign)]
    return Demonstration(prompt, ids, drawn)


def draw_training_problems(task: Task, count: int, seed: int, level: int | None) -> list[Problem]:
    """The first `count` problems of the train stream; a dataset gives each of its rows once at most."""
    size = task.source.size("train")
    return [task.problem("train", index, seed, level) for index in range(min(count, size) if size else count)]


def imitate(policy: Policy, data: Sequence[Demonstration], tokens_per_microbatch: int) -> Fit:
    """The fit of a policy to demonstrations: the mean negative log-likelihood per completion token,
    over the whole step, whose examples are divided over the processes of the run."""

    def add_gradient(chosen: Sequence[int]) -> float:
        shown = [data[index] for index in chosen]
        sequences = _make_sequences(policy, shown)
        mask_BT, mine_B = sequences.mark_drawn([one.drawn for one in shown]), take_rows(sequences)
        loss = sum(
            _backpropagate(policy, sequences, mask_BT, mine_B[places_B])
            for places_B in split_into_microbatches(sequences.select(mine_B), tokens_per_microbatch)
        )
        sum_gradients([policy.model])
        return float(find_world().sum(torch.tensor(loss)))

    return Fit("SFT", policy.model, len(data), add_gradient, RATES)


def fit(
    policy: Policy,
    task: Task,
    data: Sequence[Demonstration],
    config: SFTConfig,
    stop: Interrupts | None = None,
) -> FitResult:
    """Train `policy` in place on `data`, without a folder, a checkpoint or a measurement."""
    if not data:
        raise UserError(
            f"No demonstration of task {task.name} fits into {config.imitation.max_tokens} tokens; raise "
            "--max-tokens."
        )
    fitting = imitate(policy, data, resolve(config.optimizer.tokens_per_microbatch, FIT_TOKENS))
    return run_fit(fitting, make_pace(config), config.optimizer, stop)


def make_pace(config: SFTConfig) -> Pace:
    return Pace(config.steps, config.imitation.batch_size, config.seed)


@torch.no_grad()
def compute_mean_loss(policy: Policy, data: Sequence[Demonstration], tokens_per_microbatch: int) -> float:
    """Mean negative log-likelihood per completion token, in nats."""
    sequences = _make_sequences(policy, data)
    mask_BT = sequences.mark_drawn([one.drawn for one in data])
    policy.model.eval()
    with policy.autocast():
        total = sum(
            -float(
                _sum_own(
                    compute_logprobs(policy.model, sequences.select(rows_B)).logprobs_BT, mask_BT[rows_B]
                )
            )
            for rows_B in split_into_microbatches(sequences, tokens_per_microbatch)
        )
    return total / int(mask_BT.sum())


def _make_sequences(policy: Policy, data: Sequence[Demonstration]) -> Sequences:
    return Sequences.of([d.prompt for d in data], [d.completion for d in data], policy.device)


def _sum_own(logprobs_BT: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
    return torch.where(mask_BT[:, : logprobs_BT.shape[1]], logprobs_BT, 0.0).sum()


def _backpropagate(
    policy: Policy, sequences: Sequences, mask_BT: torch.Tensor, rows_B: torch.Tensor
) -> float:
    """Back-propagate one micro-batch's share of the step's loss; returns that share."""
    with policy.autocast():
        logprobs_BT = compute_logprobs(policy.model, sequences.select(rows_B)).logprobs_BT
    loss = -_sum_own(logprobs_BT, mask_BT[rows_B]) / mask_BT.sum()
    loss.backward()
    return float(loss.detach())
