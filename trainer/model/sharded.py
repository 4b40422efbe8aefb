"""The policy in shards over the processes of a run: FSDP2 by decoder block (`fully_shard`, Zhao et al. 2023,
arXiv:2304.11277; per parameter since torch 2.6).

Each process keeps its share of every weight, gradient and moment; a block's weights are put together for its
passes. All processes take as many passes as each other, or they would wait forever: who has fewer
micro-batches than another takes passes of a row that counts for nothing. Sampling and saving need whole
weights, which a copy beside the shards has.

Shapes: B rows.
"""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from ...tasks.core.errors import UserError
from ..distributed.world import find_world
from .dense.packed import can_pack
from .logprobs import SHARDED_PASS, compute_logprobs, has_plain_head
from .memory import Bill, weight_bytes
from .policy import Policy
from .rounding import bound_rounding
from .sequences import Sequences, split_into_microbatches
from .shares import divide_rows


@dataclass(frozen=True)
class WholeCopy:
    """The policy with whole weights beside its shards, for the sampler and for checkpoints.

    sharded: the model whose weights it takes over.
    """

    policy: Policy
    sharded: Any

    @torch.no_grad()
    def refresh(self) -> Policy:
        """Take over the weights of now. Called by all processes together."""
        reshard(self.sharded)
        weights = dict(self.sharded.named_parameters())
        with find_world().phase("sync"):
            for name, mine in self.policy.model.named_parameters():
                if mine.requires_grad:  # the others stay as they were
                    mine.copy_(gather_whole(weights[name]))
        return self.policy


def gather_whole(tensor: Tensor) -> Tensor:
    """A tensor that may be in shards, whole. Called by all processes together."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def shard(policy: Policy) -> WholeCopy:
    """Shard the policy's model in place, one decoder block a unit; returns the whole copy of before.

    Raises UserError for a model that has no list of blocks, or whose sharded pass is not its own.
    """
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    whole = WholeCopy(replace(policy, model=copy.deepcopy(policy.model)), policy.model)
    model, training = policy.model, policy.model.training
    has_plain_head(model)  # found on whole weights, and remembered
    for block in find_blocks(model):
        fully_shard(block)
    fully_shard(model)

    def run_inside(self: Any, sequences: Sequences, temperature: float, options: Mapping[str, Any]) -> Any:
        out = compute_logprobs(self, sequences, temperature, inside=True, **options)
        return out.logprobs_BT, out.entropy_BT, out.values_BT

    setattr(model, SHARDED_PASS, MethodType(run_inside, model))
    register_fsdp_forward_method(model, SHARDED_PASS)
    for module in _list_units(model):
        module.set_gradient_divide_factor(1.0)  # gradients are shares of one mean: summed, not averaged
        module.set_force_sum_reduction_for_comms(True)
        module.unshard()  # while what learns is marked so: adapters may be off in its first pass
        module.reshard()
    _check(policy, whole.policy)
    model.train(training)
    return whole


def bill_shard(whole: Bill, policy: Policy, shards: int) -> Bill:
    """The bill of one process of so many, from that of a process with whole weights.

    The policy's weights, gradients and moments are divided; a critic, a reference and what samples are not.
    Beside them is the whole copy, and while the policy is cut, all of it once more. A pass puts two blocks
    together at a time (one that is used, one that is fetched), and all that is outside of blocks.
    """
    blocks = [list(block.parameters()) for block in find_blocks(policy.model)]
    inside = {id(weight) for block in blocks for weight in block}
    outside = [weight for weight in policy.model.parameters() if id(weight) not in inside]
    largest = max(blocks, key=_count_bytes)
    together = 2 * _count_bytes(largest) + _count_bytes(outside)
    together += 4 * sum(weight.numel() for weight in [*largest, *outside] if weight.requires_grad)
    gradients = 4 * sum(weight.numel() for weight in policy.model.parameters() if weight.requires_grad)
    weights, spared = weight_bytes(policy.model), gradients - -(-gradients // shards)
    moments = whole.fixed["optimizer"]
    moments -= moments * spared // max(1, whole.gradients)
    fixed = {**whole.fixed, "weights": -(-weights // shards), "optimizer": moments}
    fixed["whole copy to sample from"] = weights
    phases = dict(whole.phases)
    for name, size in whole.phases.items():
        if name.startswith("update"):
            phases[name] = size - spared + together
        elif name == "optimizer step":
            phases[name] = size - spared
    phases["cutting the policy"] = max(0, weights - moments)
    return replace(whole, fixed=fixed, phases=phases, gradients=whole.gradients - spared)


def _count_bytes(weights: Sequence[Tensor]) -> int:
    return sum(weight.numel() * weight.element_size() for weight in weights)


def find_blocks(model: Any) -> list[nn.Module]:
    """The decoder blocks: the longest list of modules. Raises UserError where there is none."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) > 1]
    if not lists:
        raise UserError(
            f"--shard fsdp cuts a model between its decoder blocks, and {type(model).__name__} has no list "
            "of them: leave out --shard."
        )
    return list(max(lists, key=lambda found: sum(weight.numel() for weight in found.parameters())))


def _list_units(model: nn.Module) -> list[Any]:
    from torch.distributed.fsdp import FSDPModule

    return [module for module in model.modules() if isinstance(module, FSDPModule)]


def is_sharded(model: Any) -> bool:
    """Whether a model is in shards."""
    return hasattr(model, SHARDED_PASS)


def reshard(model: Any) -> None:
    """Give back what passes without a gradient have put together."""
    if is_sharded(model):
        for module in _list_units(model):
            module.reshard()


@torch.no_grad()
def _check(policy: Policy, whole: Policy) -> None:
    """Raise UserError where the sharded pass is not that of the whole model, on a probe."""
    size = policy.model.get_input_embeddings().weight.shape[0]
    rows = [[(7 * place + 5 * row) % size for place in range(9 + row)] for row in range(2)]
    sequences = Sequences.of([row[:4] for row in rows], [row[4:] for row in rows], policy.device)
    found = []
    for each in (policy, whole):
        each.model.eval()
        with each.autocast():
            found.append(compute_logprobs(each.model, sequences).logprobs_BT)
    reshard(policy.model)
    gap = float((found[0] - found[1]).abs().max())
    bound = bound_rounding(found[1]) if policy.dtype is torch.float32 else 0.1
    if not gap <= bound:
        raise UserError(
            f"--shard fsdp: in shards {type(policy.model).__name__} gives log-probabilities that are "
            f"{gap:.2g} nats off (the bound is {bound:.2g}): leave out --shard."
        )


def count_missing(policy: Policy, sequences: Sequences, tokens: int) -> int:
    """Passes of nothing that this process takes behind those of its rows, so that all take as many; 0 for
    a model that is not in shards."""
    if not is_sharded(policy.model):
        return 0
    world = find_world()
    with policy.autocast():
        packed = can_pack(policy.model)
    counts = [
        sum(1 for _ in split_into_microbatches(sequences.select(rows_B), tokens, packed))
        for rows_B in divide_rows(sequences, world.size)
    ]
    return max(counts) - counts[world.rank]


def take_first(sequences: Sequences) -> Sequences:
    """A row for a pass of nothing."""
    return sequences.select(torch.zeros(1, dtype=torch.long, device=sequences.ids_BS.device))


def save_moments(model: Any, optimizer: torch.optim.Optimizer, folder: Path) -> None:
    """Write the optimizer's state by torch's DCP: every process its share, by all together. It loads in any
    number of them."""
    from torch.distributed import checkpoint

    reshard(model)
    with _expect_one_process():
        checkpoint.save(
            {"optimizer": _get_state(model, optimizer)}, checkpoint_id=folder, no_dist=find_world().size == 1
        )


def load_moments(model: Any, optimizer: torch.optim.Optimizer, folder: Path) -> None:
    """Take up what `save_moments` wrote, in any number of processes. Weight decay and betas stay the
    optimizer's own."""
    from torch.distributed import checkpoint
    from torch.distributed.checkpoint.state_dict import set_optimizer_state_dict

    own = [{name: group[name] for name in ("weight_decay", "betas")} for group in optimizer.param_groups]
    state = {"optimizer": _get_state(model, optimizer)}
    with _expect_one_process():
        checkpoint.load(state, checkpoint_id=folder, no_dist=find_world().size == 1)
    set_optimizer_state_dict(model, optimizer, state["optimizer"])
    for group, kept in zip(optimizer.param_groups, own, strict=True):
        group.update(kept)


@contextlib.contextmanager
def _expect_one_process() -> Iterator[None]:
    """Around what torch warns of where there is one process, and there may be."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
        yield


def _get_state(model: Any, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The optimizer's state by the names of the weights. Before its first step torch makes one by a step with
    gradients of 0, and that one does not count: AdamW divides by what its number of steps says."""
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

    fresh = not optimizer.state
    if fresh:
        optimizer.zero_grad()  # what no step has used up: with gradients torch makes none
    found: dict[str, Any] = dict(get_optimizer_state_dict(model, optimizer))
    if fresh:
        for moments in (*optimizer.state.values(), *found["state"].values()):
            moments["step"] = torch.zeros_like(moments["step"])
    return found
