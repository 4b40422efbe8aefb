"""The memory of a run: the bill before it starts, sizes chosen to fit, and one retreat when it does not fit after all.

All amounts are bytes; the printed bill is in MiB.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ...tasks.core.errors import UserError
from ..config.settings import resolve
from ..config.train import TrainConfig
from .logprobs import CHUNK_ELEMENTS, compute_logprobs
from .policy import Policy
from .sequences import TOKENS, Sequences

MOST_TOKENS = {"cpu": TOKENS, "cuda": 32768}  # in a micro-batch; on a CPU larger ones are no faster, only larger
MOST_ROWS = {"cpu": 256, "cuda": 1024}
SHARE = 0.8  # of the free memory that a plan may use
_PROBE = (2, 24, 40)  # rows, tokens of a prompt, tokens of a completion


@dataclass(frozen=True)
class HeldModel:
    """A model that a run keeps in memory beside the policy.

    weights: bytes.  trained: bytes of the weights that learn; each brings a gradient and two moments of AdamW.
    loaded: it is in memory already, as the policy is.
    """

    name: str
    weights: int
    trained: int = 0
    loaded: bool = False


@dataclass(frozen=True)
class Bill:
    """Bytes that a run needs.

    fixed: held all the time, by name.  cache: keys and values of `rows` completions at full length, with the fused
    weights of the sampler.  update: activations of a micro-batch of `tokens` tokens and its chunk of logits. Cache and
    update are never held together.
    """

    fixed: Mapping[str, int]
    cache: int
    update: int
    rows: int
    tokens: int
    available: int

    @property
    def total(self) -> int:
        return sum(self.fixed.values()) + max(self.cache, self.update)

    def __str__(self) -> str:
        parts = {**self.fixed, f"sampling {self.rows} rows": self.cache, f"update of {self.tokens} tokens": self.update}
        listed = ", ".join(f"{name} {size / 2**20:,.0f}" for name, size in parts.items() if size)
        return f"Memory (MiB): {listed}; at most {self.total / 2**20:,.0f} at once of {self.available / 2**20:,.0f} free."


def available_memory(device: torch.device) -> int:
    """Bytes that the device can still give this process; on a CPU within the container's limit, if there is one."""
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


def activation_bytes(policy: Policy) -> int:
    """Bytes per token that the forward pass keeps for the backward pass, measured on a few tokens; logits included."""
    rows, prompt, completion = _PROBE
    size = policy.model.get_input_embeddings().weight.shape[0]
    sequences = Sequences.of(
        [[(row + place) % size for place in range(prompt)] for row in range(rows)],
        [[(3 * place) % size for place in range(completion)] for _ in range(rows)],
        policy.device,
    )
    own = {parameter.untyped_storage().data_ptr() for parameter in policy.model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    training = policy.model.training
    policy.model.train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), policy.autocast():
        out = compute_logprobs(policy.model, sequences)
    del out
    policy.model.train(training)
    return sum(kept.values()) // (rows * (prompt + completion))


def cache_bytes(model: Any, positions: int, width: int) -> int:
    """Bytes of one row's keys and values over `positions`, at `width` bytes a number."""
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    heads = getattr(config, "num_attention_heads", 1)
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    return 2 * config.num_hidden_layers * key_heads * size * positions * width


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
    per_token: int,
) -> Bill:
    """What a run with `rows` in the sampler and `tokens` in a micro-batch needs. per_token: see `activation_bytes`."""
    parameters = list(policy.model.parameters())
    weights = weight_bytes(policy.model)
    trained = sum(p.numel() * p.element_size() for p in parameters if p.requires_grad)
    number = torch.finfo(policy.dtype).bits // 8
    trained += sum(model.trained for model in held)
    others = {model.name: model.weights for model in held}
    fixed = {"weights": weights, **others, "gradients": trained, "optimizer": 2 * trained}
    cache = rows * cache_bytes(policy.model, config.rollouts.max_prompt_tokens + config.rollouts.max_new_tokens, number)
    fused = sum(p.numel() for p in parameters) * number
    vocabulary = policy.model.get_input_embeddings().weight.shape[0]
    chunk = 3 * 4 * min(CHUNK_ELEMENTS, tokens * vocabulary)  # logits, their gradient, log-probabilities
    return Bill(fixed, cache + fused, tokens * per_token + chunk, rows, tokens, available)


def plan(policy: Policy, config: TrainConfig, held: Sequence[HeldModel] = (), available: int | None = None) -> Bill:
    """Rows and tokens that fit, where the settings leave them open (auto); the settings' own where they don't.

    Weights are there already, so only the rest must fit into what is free. Raises UserError when not even one row of one
    full-length sequence does.
    """
    free = available_memory(policy.device) if available is None else available
    per_token = activation_bytes(policy)
    longest = config.rollouts.max_prompt_tokens + config.rollouts.max_new_tokens
    kind = policy.device.type
    loaded = sum(model.weights for model in held if model.loaded)

    def fits(rows: int, tokens: int) -> bool:
        found = bill(policy, config, held, rows, tokens, free, per_token)
        return found.total - found.fixed["weights"] - loaded <= SHARE * free

    asked, rows_asked = config.optimizer.tokens_per_microbatch, config.rollouts.rows
    tokens = resolve(asked, MOST_TOKENS.get(kind, TOKENS))
    while asked == "auto" and tokens > 256 and not fits(1, tokens):
        tokens //= 2
    rows = resolve(rows_asked, MOST_ROWS.get(kind, 256))
    while rows_asked == "auto" and rows > 1 and not fits(rows, tokens):
        rows //= 2
    found = bill(policy, config, held, rows, tokens, free, per_token)
    if not fits(1, min(tokens, longest)):
        raise UserError(
            f"This model does not fit: {found} Take a smaller model, or lower --max-prompt-tokens "
            f"({config.rollouts.max_prompt_tokens}) and --max-new-tokens ({config.rollouts.max_new_tokens})."
        )
    return found


def fit_sizes(
    policy: Policy, config: TrainConfig, held: Sequence[HeldModel] = (), say: Callable[[str], None] = print
) -> TrainConfig:
    """The settings with `rows` and `tokens_per_microbatch` filled in by the plan, whose bill is said."""
    found = plan(policy, config, held)
    say(str(found))
    return config.but(rows=found.rows, tokens_per_microbatch=found.tokens)
