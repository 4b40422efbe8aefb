"""The memory of a run: the bill before it starts (`fit.py` chooses sizes by it).

All amounts are bytes; the printed bill is in MiB.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from ..config.engine import EngineConfig
from ..config.train import TrainConfig
from . import lora
from .captures import CudaRecorder
from .compact_adamw import CHUNK, CHUNK_BYTES, SCALED_BYTES
from .dense import kernels
from .dense.family import PADDING, find_misfit
from .fixed import ROUND_UP
from .folding import count_folded_bytes
from .head import count_chunk_tokens
from .kept import estimate_kept_bytes
from .measure import Passes
from .modes import DecodingMode
from .policy import Policy
from .probe import choose_mode


@dataclass(frozen=True)
class _HeadCopies:
    """Tables of the size of a chunk's logits that are alive at once: in its forward pass, until the backward
    pass, in it."""

    forward: int
    kept: int
    backward: int


_HEAD, _HEAD_WITH_ENTROPY = _HeadCopies(2, 1, 2), _HeadCopies(2, 1, 3)
_DRAW_COPIES, _NUCLEUS_COPIES = (
    5,
    10,
)  # tables of a step's logits, in float32, when tokens are drawn; by top-p
ASLEEP = 2**31  # that a sleeping server keeps of a GPU, at most: CUDA's own, and captured graphs
_COLUMN_BYTES = (
    32  # of a token of a completion: log-probabilities, mask, advantages, and what an algorithm adds
)


@dataclass(frozen=True)
class HeldModel:
    """A model that a run keeps in memory beside the policy.

    weights: bytes.  trained: bytes of the gradients of those that learn, 4 for each; each brings two moments
    of AdamW, too.  loaded: it is in memory already, as the policy is.  passes: bytes of a token in its
    forward and backward pass beside the policy's, as a share of these; 0 where the update makes no pass of
    its own.
    scoring: bytes of its largest forward pass over finished completions.  positions: tokens of a prompt and
    its completion that it can read; None where it sets no bound.
    """

    name: str
    weights: int
    trained: int = 0
    loaded: bool = False
    passes: float = 0.0
    scoring: int = 0
    positions: int | None = None


@dataclass(frozen=True)
class Bill:
    """Bytes that a run needs.

    fixed: held all the time, by name.  phases: held beside it, by name, one phase at a time.  gradients:
    bytes of them, a part of the phases that have them.  fast_path, keep_sampler: the settings, "no"
    where "auto" found no room.  served: of a phase, the part that a server takes which sleeps in others.
    """

    fixed: Mapping[str, int]
    phases: Mapping[str, int]
    gradients: int
    rows: int
    tokens: int
    available: int
    fast_path: Literal["auto", "yes", "no"] = "auto"
    keep_sampler: Literal["auto", "yes", "no"] = "auto"
    served: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.fixed.values()) + max(self.phases.values())

    def find_slack(self, loaded: int, share: float) -> float:
        """Bytes that are left in the phase that has the least; below 0: that are missing there. loaded: bytes
        that are there already.  share: of what is free that a phase may take; what a server takes is settled,
        and counts on neither side."""
        fixed = sum(self.fixed.values()) - loaded
        served = {name: self.served.get(name, 0) for name in self.phases}
        return min(
            share * (self.available - served[name]) - (fixed + size - served[name])
            for name, size in self.phases.items()
        )

    def __str__(self) -> str:
        def listed(parts: Mapping[str, int]) -> str:
            return ", ".join(f"{name} {size / 2**20:,.0f}" for name, size in parts.items() if size)

        gradients = f"with gradients of {self.gradients / 2**20:,.0f}"
        return (
            f"Memory (MiB): {listed(self.fixed)}; beside them, one at a time: {listed(self.phases)} (the "
            f"update {gradients}); "
            f"at most {self.total / 2**20:,.0f} at once of {self.available / 2**20:,.0f} free."
        )


def available_memory(device: torch.device) -> int:
    """Bytes that the device can still give this process; on a CPU within the container's limit, if there is
    one."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        line = next(line for line in meminfo.read_text().splitlines() if line.startswith("MemAvailable:"))
        free = int(line.split()[1]) * 1024
    else:
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.is_file() and used.is_file() and limit.read_text().strip() != "max":
        free = min(free, int(limit.read_text()) - int(used.read_text()))
    return max(0, free)


def count_server_bytes(device: torch.device, engine: EngineConfig) -> int:
    """Bytes of a GPU that the server of a run's own will take once it is started. One that runs already has
    taken its own."""
    if device.type != "cuda" or engine.kind == "local" or engine.url:
        return 0
    return int(engine.memory * torch.cuda.mem_get_info(device)[1])


def sleeps_between_steps(device: torch.device, config: TrainConfig) -> bool:
    """Whether a server that the run starts on its GPU gives its memory back during updates. Sampling ahead
    goes on during them."""
    served = device.type == "cuda" and config.engine.kind != "local" and not config.engine.url
    return served and config.rollouts.keep_sampler == "no" and not config.rollouts.staleness


def count_sampler_copies(staleness: int) -> int:
    """Copies of the weights that sampling ahead of the updates needs: one to sample from, and where it may be
    more than a step ahead one of the newest."""
    return min(staleness, 2)


def weight_bytes(model: Any) -> int:
    """Bytes of the weights of a model."""
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())


def bill(
    policy: Policy,
    config: TrainConfig,
    held: Sequence[HeldModel],
    rows: int,
    tokens: int,
    available: int,
    passes: Passes,
    server: int = 0,
) -> Bill:
    """What a run with `rows` in the sampler and `tokens` in a micro-batch needs, at its settings' full
    lengths. server: bytes of the same memory that a server takes while it samples, and gives back for the
    rest.

    A reference's forward pass and that for the values before an update are no phases of their own: each is
    the first half of what the update does with the same micro-batches.
    """
    learns = [parameter for parameter in policy.model.parameters() if parameter.requires_grad]
    gradients = 4 * sum(weight.numel() for weight in learns) + sum(model.trained for model in held)
    fixed = {"weights": weight_bytes(policy.model), **{model.name: model.weights for model in held}}
    fixed["optimizer"] = int(2 * gradients * (SCALED_BYTES / 4 if config.optimizer.moments == "8bit" else 1))
    if config.output.background_saving == "yes" and policy.device.type == "cpu":
        learned = sum(model.weights for model in held if model.trained)
        fixed["copy for checkpoints"] = fixed["weights"] + fixed["optimizer"] + learned
    kept = kept_sampling_bytes(policy, config, rows, passes)
    if kept:
        fixed["sampler"] = kept
    sampling, phases = sampling_bytes(policy, config, rows, passes), dict[str, int]()
    if copies := count_sampler_copies(config.rollouts.staleness):
        fixed["weights to sample from"] = copies * fixed["weights"]
        if sampling:
            fixed["sampling beside the update"] = sampling
    if sampling:
        phases[f"sampling {min(rows, most_rows(config))} rows"] = max(0, sampling - kept)
    # Freed before an update, it is still there while reward models score what was sampled.
    beside = kept_sampling_bytes(policy, config.but(keep_sampler="yes"), rows, passes) - kept
    phases |= {f"scoring by {model.name}": model.scoring + beside for model in held if model.scoring}
    update = gradients + update_bytes(policy, config, held, tokens, passes) + batch_bytes(policy, config)
    phases[f"update of {tokens} tokens"] = update
    if config.optimizer.moments == "8bit" or any(weight.dtype is not torch.float32 for weight in learns):
        largest = max(weight.numel() for weight in learns)
        phases["optimizer step"] = gradients + CHUNK_BYTES * min(largest, CHUNK) // CHUNK
    if lora.has_adapters(policy.model):
        phases["saving merged weights"] = fixed["weights"]
        if policy.device.type == "cuda":  # they come together in the main memory, weight by weight
            plain = lora.list_plain(policy.model)
            largest = max(plain[name].numel() for name in lora.find_adapted(policy.model))
            phases["saving merged weights"] = 12 * largest
    served = dict[str, int]()
    if server:
        awake = [name for name in phases if name.startswith("scoring")]  # it sleeps once that is done
        # Merged weights are handed to it one by one, as they are saved.
        phases["the server that samples"] = phases.get("saving merged weights", 0)
        awake += ["the server that samples"]
        served = {name: server if name in awake else min(server, ASLEEP) for name in phases}
        phases = {name: size + served[name] for name, size in phases.items()}
    return Bill(fixed, phases, gradients, rows, tokens, available, served=served)


def update_bytes(
    policy: Policy, config: TrainConfig, held: Sequence[HeldModel], tokens: int, passes: Passes
) -> int:
    """Bytes of the forward and backward pass of a micro-batch, beside the gradients."""
    weight, kept = policy.model.get_input_embeddings().weight, passes.update.at_mark(tokens)
    loss = config.objective.loss  # an adaptive bonus is there in some steps
    copies = _HEAD_WITH_ENTROPY if loss.entropy_coef or loss.entropy_target else _HEAD
    chunk = 4 * weight.shape[0] * min(tokens, count_chunk_tokens(*weight.shape))
    rounded = 0.0 if policy.dtype is torch.float32 else 2.5  # the products' own type is half a table
    forward = kept + copies.forward * chunk
    backward = kept + int(max(copies.backward, rounded) * chunk)
    backward += 2 * _size(weight) if weight.requires_grad else 0
    # A critic's forward pass follows while all that the policy's keeps is there,
    # and its backward pass comes first.
    values = sum(int(model.passes * passes.plain.peak(tokens)) for model in held)
    return max(forward, backward, passes.update.peak(tokens), kept + copies.kept * chunk + values)


def batch_bytes(policy: Policy, config: TrainConfig) -> int:
    """Bytes of a step's completions as tensors, twice: the rows that an update learns from are copied out.

    What their tokens were drawn among is there once more, as the completions have it in the main memory.
    """
    rollouts = config.rollouts
    rows = rollouts.prompts_per_step * rollouts.group_size
    tokens = 8 * (rollouts.max_prompt_tokens + rollouts.max_new_tokens)
    columns = _COLUMN_BYTES * rollouts.max_new_tokens
    copies = 2 if policy.device.type == "cuda" else 3
    return 2 * rows * (tokens + columns) + copies * estimate_kept_bytes(
        rollouts, policy.model.get_input_embeddings().weight.shape[0]
    )


def sampling_bytes(policy: Policy, config: TrainConfig, rows: int, passes: Passes) -> int:
    """Bytes of the sampler at its worst: prompts are prefilled in one pass, then their completions decoded
    together. 0 where a server samples, in memory of its own.

    The worst is often the greedy evaluation, where every row has a prompt of its own. The probe of the fast
    path fuses a copy in the type of the weights, too, which may be wider than that of the run.
    """
    if config.engine.kind != "local":
        return 0
    model = policy.model
    prompt, new = config.rollouts.max_prompt_tokens, config.rollouts.max_new_tokens
    dense = not find_misfit(model)
    fast = dense and config.rollouts.fast_path != "no"
    rewrites = passes.waits and config.prompt.trajectories == "branching"
    shares = fast and kernels.supports(policy.device, policy.dtype, model.model.layers[0].self_attn.head_dim)
    shares = shares and not rewrites  # a row reads a past of its own then
    fused = _copied_bytes(policy, config)
    embeddings = model.get_input_embeddings().weight
    vocabulary = embeddings.shape[0]
    tables = _NUCLEUS_COPIES if config.rollouts.top_p < 1 else _DRAW_COPIES
    recorded = 0 if policy.device.type == "cuda" else estimate_kept_bytes(config.rollouts, vocabulary)
    mode = ("static" if policy.device.type == "cuda" else "configured") if dense else _find_mode(policy).cache
    uncached, worst = mode == "none", 0
    # Rows in tables leave them as copies while they wait; a cache that grows has shrunk by as much.
    copied = passes.waits and (fast or mode == "static")
    if fast:
        worst = fused_bytes(model, max(policy.dtype.itemsize, embeddings.element_size()))
    for prompts, samples in _workloads(config):
        together = min(rows, prompts * samples)  # prompts is 0 where there is no preflight
        begun = max(1, min(prompts, together // samples))
        prefill = _prefill_bytes(passes, begun, prompt)
        shared, own = (begun * prompt, new) if shares else (0, prompt + new)
        cache = passes.cache.count(together, shared + together * own)
        growth = passes.cache.count_growth(together, shared + together * own)
        waiting = passes.cache.count(together, together * (prompt + new)) if copied else 0
        if uncached:  # the whole texts go through the model at every step
            prefill = passes.prefill.peak(together * (prompt + new))
        elif rewrites:  # and all rows' at a turn before which their pasts were rewritten
            prefill = _prefill_bytes(passes, together, prompt + new)
        drawing = 4 * together * (tables * vocabulary + 6 * new) + recorded
        step = passes.prefill.peak(together)
        # What waits, for a place or for its world, is read while others hold their caches.
        if prompts * samples > rows or passes.waits:
            step = max(step, prefill)
        worst = max(worst, fused + prefill, fused + step + cache + growth + waiting + drawing)
    return worst


def _prefill_bytes(passes: Passes, rows: int, tokens: int) -> int:
    """Bytes of the pass of so many rows of so many tokens each, with its mask, of 1 byte and of 4."""
    return passes.prefill.peak(rows * tokens) + 5 * rows * tokens**2


def kept_sampling_bytes(policy: Policy, config: TrainConfig, rows: int, passes: Passes) -> int:
    """Bytes that the sampler keeps between its calls, since recorded steps go on reading them: on a GPU its
    copy of the weights, and a cache for all rows at their full length where steps are recorded at all.
    Elsewhere, and where a server samples, 0."""
    local = config.engine.kind == "local"
    if not local or policy.device.type != "cuda" or config.rollouts.keep_sampler == "no":
        return 0
    if find_misfit(policy.model) and _find_mode(policy).cache != "static":
        return _copied_bytes(policy, config)
    together = min(rows, most_rows(config))
    longest = config.rollouts.max_prompt_tokens + config.rollouts.max_new_tokens
    positions = -(-longest // ROUND_UP) * ROUND_UP
    return _copied_bytes(policy, config) + passes.cache.count(together, together * positions)


def _copied_bytes(policy: Policy, config: TrainConfig) -> int:
    """Bytes of the weights that are sampled with, beside the model's own."""
    if config.rollouts.fast_path == "no":
        return 0
    if not find_misfit(policy.model):
        return fused_bytes(policy.model, policy.dtype.itemsize)
    folds = _find_mode(policy).folds
    if folds == "nothing":
        return 0
    return count_folded_bytes(policy.model, policy.dtype, adapters=folds == "adapters")


def _find_mode(policy: Policy) -> DecodingMode:
    """How the local engine will decode a model that is not of the dense family."""
    return choose_mode(policy, CudaRecorder() if policy.device.type == "cuda" else None)


def fused_bytes(model: Any, width: int) -> int:
    """Bytes of the weights that the fast path puts together before each round of sampling, at `width` bytes a
    number."""
    inner, config = model.model.layers, model.config
    inputs = 2 * config.hidden_size + inner[0].self_attn.o_proj.in_features + config.intermediate_size
    numbers = (
        sum(weight.numel() for weight in lora.list_plain(inner).values()) + len(inner) * inputs * PADDING
    )
    head = model.lm_head.weight  # which is not copied where it has that type
    return width * (numbers if head.element_size() == width else numbers + head.numel())


def _workloads(config: TrainConfig) -> list[tuple[int, int]]:
    """(prompts, completions of each) that a run hands to the sampler at once: steps, preflight, both
    evaluations."""
    group, problems = config.rollouts.group_size, config.evaluation.eval_problems
    found = [(config.rollouts.prompts_per_step, group), (config.guards.preflight_problems, group)]
    return [*found, (problems, 1), (problems, config.evaluation.eval_samples)]


def most_rows(config: TrainConfig) -> int:
    """The most completions that a run samples at once."""
    return max(prompts * samples for prompts, samples in _workloads(config))


def _size(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()
