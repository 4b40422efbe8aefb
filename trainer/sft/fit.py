"""Supervised fine-tuning: imitate demonstrations by teacher forcing, with loss on completion tokens only."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from ...tasks import Problem, Task
from ...tasks.core.errors import UserError
from ...tasks.core.seeds import digest
from ..config.sft import SFTConfig
from ..model.logprobs import completion_logprobs
from ..model.optim import Schedule, adamw, update
from ..model.policy import SMALL, Policy
from ..model.prompts import encode_completion, encode_prompt
from ..model.sequences import Sequences, microbatches
from ..reports.progress import progress
from ..storage.interrupts import Interrupts


@dataclass(frozen=True)
class Demonstration:
    """Token ids of a prompt and of the completion to imitate."""

    prompt: Sequence[int]
    completion: Sequence[int]


@dataclass(frozen=True)
class SFTResult:
    """losses: mean negative log-likelihood per completion token (nats) of each step.  tokens: completion tokens seen."""

    losses: Sequence[float]
    tokens: int
    seconds: float
    interrupted: bool


def demonstrations(policy: Policy, task: Task, problems: Sequence[Problem], seed: int, max_tokens: int) -> list[Demonstration]:
    """What the task shows for each problem, as token ids; those over `max_tokens` are left out."""
    found = []
    for problem in problems:
        completion = task.demonstration(problem, random.Random(digest("demonstration", seed, problem.id)))
        prompt = encode_prompt(policy.tokenizer, problem, task.instruction)
        demonstration = Demonstration(prompt, encode_completion(policy.tokenizer, completion))
        if len(demonstration.prompt) + len(demonstration.completion) <= max_tokens:
            found.append(demonstration)
    return found


def training_problems(task: Task, count: int, seed: int, level: int | None) -> list[Problem]:
    """The first `count` problems of the train stream; a dataset gives each of its rows once at most."""
    size = task.source.size("train")
    return [task.problem("train", index, seed, level) for index in range(min(count, size) if size else count)]


def fit(
    policy: Policy,
    task: Task,
    data: Sequence[Demonstration],
    config: SFTConfig,
    stop: Interrupts | None = None,
    *,
    begin: int = 0,
    optimizer: torch.optim.Optimizer | None = None,
    after_step: Callable[[int, float, torch.optim.Optimizer], None] | None = None,
) -> SFTResult:
    """Train `policy` in place on `data`: seeded epochs, AdamW, one denominator (the step's completion tokens) per step.

    begin, optimizer: where an earlier run stopped, for a step depends on its number alone.
    after_step: called with the number of steps done, the loss and the optimizer.
    """
    if not data:
        raise UserError(f"No demonstration of task {task.name} fits into {config.max_tokens} tokens; raise --max-tokens.")
    peak = config.learning_rate or (3e-3 if policy.parameters < SMALL else 1e-5)
    schedule = Schedule(peak, config.steps, config.warmup_steps, config.schedule, config.final_learning_rate)
    optimizer = optimizer or optimizer_of(policy, config)
    policy.model.train()
    losses: list[float] = []
    tokens, start = 0, time.perf_counter()
    bar = progress(range(begin, config.steps), desc="SFT", unit="step")
    for step in bar:
        sequences = _sequences(policy, [data[i] for i in batch_indices(len(data), config.batch_size, step, config.seed)])
        loss = sum(_backward(policy, sequences, rows_B) for rows_B in microbatches(sequences, config.tokens_per_microbatch))
        update(policy.model, optimizer, schedule.at(step), config.max_grad_norm)
        losses.append(loss)
        tokens += int(sequences.lengths_B.sum())
        if step % 20 == 0 or step + 1 == config.steps:
            bar.set_postfix(loss=f"{sum(losses[-20:]) / len(losses[-20:]):.3f}", refresh=False)
        if after_step is not None:
            after_step(step + 1, loss, optimizer)
            policy.model.train()
        if stop is not None and stop.requested:
            break
    bar.close()
    interrupted = stop is not None and stop.requested is not None
    return SFTResult(losses, tokens, time.perf_counter() - start, interrupted)


def optimizer_of(policy: Policy, config: SFTConfig) -> torch.optim.Optimizer:
    """AdamW as SFT uses it."""
    return adamw(policy.model, config.weight_decay, (0.9, 0.98))


def batch_indices(size: int, batch: int, step: int, seed: int) -> list[int]:
    """Which demonstrations make up a step: seeded permutations of all of them, one after the other."""
    chosen = []
    for position in range(step * batch, (step + 1) * batch):
        epoch, place = divmod(position, size)
        chosen.append(_order(size, epoch, seed)[place])
    return chosen


@lru_cache(maxsize=2)
def _order(size: int, epoch: int, seed: int) -> list[int]:
    order = list(range(size))
    random.Random(digest("sft", seed, epoch)).shuffle(order)
    return order


@torch.no_grad()
def mean_loss(policy: Policy, data: Sequence[Demonstration], tokens_per_microbatch: int) -> float:
    """Mean negative log-likelihood per completion token, in nats."""
    sequences = _sequences(policy, data)
    policy.model.eval()
    with policy.arithmetic():
        total = sum(
            -float(completion_logprobs(policy.model, sequences.select(rows_B)).logprobs_BT.sum())
            for rows_B in microbatches(sequences, tokens_per_microbatch)
        )
    return total / int(sequences.lengths_B.sum())


def _sequences(policy: Policy, data: Sequence[Demonstration]) -> Sequences:
    return Sequences.of([d.prompt for d in data], [d.completion for d in data], policy.device)


def _backward(policy: Policy, sequences: Sequences, rows_B: torch.Tensor) -> float:
    """Back-propagate one micro-batch's share of the step's loss; returns that share."""
    with policy.arithmetic():
        logprobs_BT = completion_logprobs(policy.model, sequences.select(rows_B)).logprobs_BT
    loss = -logprobs_BT.sum() / sequences.lengths_B.sum()
    loss.backward()
    return float(loss.detach())
