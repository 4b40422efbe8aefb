"""The number of CPU threads that a model is run with."""

from __future__ import annotations

import time

import torch

from ..config.settings import Auto, resolve
from .context import count_positions
from .optim import SMALL
from .policy import Policy


def use_threads(wanted: int | Auto) -> int:
    """Set the number of CPU threads; auto leaves all of them. Returns the number."""
    torch.set_num_threads(resolve(wanted, torch.get_num_threads()))
    return torch.get_num_threads()


def choose_threads(policy: Policy, wanted: int | Auto) -> int:
    """Set the number of CPU threads: `wanted`, or for a small model the faster of one and all.

    The faster is found by timing a forward and backward pass. Small matrices gain little from a second thread
    and lose much when another program holds the second core; large ones always gain, and their trial would
    take longer than most of a step.
    """
    available = torch.get_num_threads()
    settled = wanted != "auto" or policy.device.type != "cpu" or available == 1
    if settled or policy.parameters >= SMALL:
        return use_threads(wanted)
    length = min(32, count_positions(policy.model) or 32)
    ids = torch.randint(0, policy.model.get_input_embeddings().weight.shape[0], (32, length))
    seconds = {1: [], available: []}
    for trial in range(4):
        for threads, times in seconds.items():
            torch.set_num_threads(threads)
            start = time.perf_counter()
            policy.model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
            times.append(time.perf_counter() - start if trial else float("inf"))
    policy.model.zero_grad(set_to_none=True)
    best = min(seconds, key=lambda threads: sorted(seconds[threads])[1])
    torch.set_num_threads(best)
    return best
