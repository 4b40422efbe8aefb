"""This machine as a card: what it has of memory, and what a copy and a product reach, measured on the
spot."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from ..model.machine import pick_device
from ..model.memory import available_memory
from .cards import Card

COPY_BYTES = {"cpu": 1 << 28, "cuda": 1 << 30}
SIDE = {"cpu": 1024, "cuda": 8192}  # of the matrices that are multiplied
TRIES = 5  # of which the fastest counts


def measure_card() -> Card:
    """The GPU that is here, in bfloat16, or the CPU with torch's threads, in float32."""
    device, dtype = pick_device("auto", "auto")
    size, side = COPY_BYTES[device.type], SIDE[device.type]
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    left, right = torch.randn(2, side, side, device=device).to(dtype)
    bandwidth = 2 * size / _time(lambda: target.copy_(source), device)
    peak = 2 * side**3 / _time(lambda: left @ right, device)
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"this CPU, {torch.get_num_threads()} thread(s)"
    return Card(name, available_memory(device), bandwidth, peak, bandwidth, "measured here", dtype.itemsize)


def _time(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest of some runs."""

    def once() -> float:
        began = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - began

    once()
    return min(once() for _ in range(TRIES))
