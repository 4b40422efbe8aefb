"""A step's rows over the processes of a run, and their gradients together again.

Every process holds all rows of a step and knows which are whose, so nothing is asked for: it takes the passes
of its own rows, and what comes out is summed. Alone, a process has all rows, and nothing is summed.

Shapes: B rows, T completion positions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ...tasks.core.errors import RunError
from ..distributed.world import World, find_world
from .sequences import Sequences, sort_by_beginning

Part = TypeVar("Part")
SMALL = 2**18  # numbers of a gradient below which it is summed together with others


def divide_rows(sequences: Sequences, size: int) -> list[Tensor]:
    """Row numbers of each of `size` processes: parts of nearly equal tokens, in which like beginnings stay
    together (they are computed once)."""
    device = sequences.ids_BS.device
    if size == 1 or not len(sequences.lengths_B):
        return [torch.arange(len(sequences.lengths_B), device=device)] * size
    totals_B = (sequences.prompt_lengths_B + sequences.lengths_B).cpu().numpy()
    order_B, shared_B = sort_by_beginning(sequences.ids_BS.cpu().numpy(), totals_B)
    ends_B = np.cumsum(totals_B[order_B] - shared_B)
    # The middle of a row's tokens says whose it is, so that no part is larger by more than half a row.
    middles_B = ends_B - (totals_B[order_B] - shared_B) / 2
    owners_B = np.minimum(middles_B * size // ends_B[-1], size - 1)
    return [
        torch.from_numpy(np.sort(order_B[owners_B == rank]).astype(np.int64)).to(device)
        for rank in range(size)
    ]


def take_rows(sequences: Sequences, world: World | None = None) -> Tensor:
    """Numbers of the rows whose passes are this process's."""
    world = world or find_world()
    return divide_rows(sequences, world.size)[world.rank]


def sum_gradients(modules: Iterable[nn.Module], world: World | None = None) -> None:
    """Sum the gradients over the processes: the same bits in each. A weight that has one nowhere stays
    without."""
    world = world or find_world()
    if world.size == 1:
        return
    weights = [
        weight
        for module in modules
        for weight in module.parameters()
        if weight.requires_grad and not is_in_shards(weight)  # these are summed already
    ]
    if not weights:
        return
    device = weights[0].device
    has_W = torch.tensor([float(weight.grad is not None) for weight in weights], device=device)
    gradients = [
        _give_gradient(weight)
        for weight, has in zip(weights, world.sum(has_W, "update").tolist(), strict=True)
        if has
    ]
    small: dict[torch.dtype, list[Tensor]] = {}
    for gradient in gradients:
        if gradient.numel() < SMALL:
            small.setdefault(gradient.dtype, []).append(gradient)
        else:
            world.sum(gradient, "update")
    for together in small.values():
        flat = world.sum(torch.cat([gradient.flatten() for gradient in together]), "update")
        for gradient, part in zip(
            together, flat.split([gradient.numel() for gradient in together]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))


def is_in_shards(weight: Tensor) -> bool:
    """Whether a weight is one of FSDP's, of which each process has its share."""
    return hasattr(weight, "full_tensor")


def _give_gradient(weight: Tensor) -> Tensor:
    """A weight's gradient, contiguous; 0 where no row of this process reached it."""
    if weight.grad is None:
        dtype = getattr(weight, "grad_dtype", None) or weight.dtype
        weight.grad = torch.zeros(weight.shape, dtype=dtype, device=weight.device)
    elif not weight.grad.is_contiguous():
        weight.grad = weight.grad.contiguous()
    return weight.grad


@torch.no_grad()
def copy_weights(modules: Iterable[nn.Module], world: World | None = None) -> None:
    """Give every process the weights of rank 0: whatever made them, all begin alike to the bit."""
    world = world or find_world()
    if world.size > 1:
        for module in modules:
            for tensor in (*module.parameters(), *module.buffers()):
                world.copy_from_first(tensor.data)


def check_replicas(modules: Iterable[nn.Module], world: World | None = None) -> None:
    """Raise RunError where the processes do not hold the same weights, to the bit: then the gradients that
    they sum belong to different policies."""
    world = world or find_world()
    if world.size == 1:
        return
    marks = [_digest(module.named_parameters()) for module in modules]
    for rank, found in enumerate(world.gather(marks)):
        if found != marks and rank != world.rank:
            raise RunError(
                f"The weights of rank {rank} are not those of rank {world.rank}: the processes have left "
                "each other. See that all have the same versions and the same hardware; the newest "
                "checkpoint is of before."
            )


def _digest(weights: Iterable[tuple[str, nn.Parameter]]) -> str:
    found = hashlib.blake2b(digest_size=16)
    for name, weight in weights:
        if weight.requires_grad and not is_in_shards(weight):
            found.update(name.encode())
            found.update(weight.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def gather_tensors(parts: Sequence[Part], world: World | None = None) -> list[Part]:
    """The parts of all processes in the order of their ranks, in the main memory; this one's own where it is
    alone."""
    world = world or find_world()
    if world.size == 1:
        return list(parts)
    return [part for share in world.gather([move_to_host(part) for part in parts]) for part in share]


def move_to_host(part: Any) -> Any:
    """A dataclass with its tensors in the main memory, without their histories."""
    if isinstance(part, Tensor):
        return part.detach().cpu()
    if is_dataclass(part) and not isinstance(part, type):
        return replace(
            part, **{field.name: move_to_host(getattr(part, field.name)) for field in fields(part)}
        )
    return part
