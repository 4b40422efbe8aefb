"""What sampling, an update and the memory of a run are made of, counted on any machine, without a clock.

    python benchmarks/counts.py    # the embedded model's shape; its head at a vocabulary of 151,936, too

Counted are torch's operations, on a CPU, in bfloat16 as on a GPU but without capture: what a decode step
calls, how often a weight is cast to another type, floating-point operations of matrix products and attention
by torch's counter, tokens that go through the layers, products of the head. tests/test_counts.py holds bounds
on them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import palaestra as pal
import torch
from palaestra.trainer.algorithms.base import Learner
from palaestra.trainer.algorithms.batch import Batch
from palaestra.trainer.algorithms.grpo import GRPO
from palaestra.trainer.algorithms.update import add_gradient
from palaestra.trainer.config.shared import LoraConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model import lora
from palaestra.trainer.model.captures import Tape
from palaestra.trainer.model.fit import plan
from palaestra.trainer.model.logprobs import compute_logprobs
from palaestra.trainer.model.memory import Bill
from palaestra.trainer.model.optim import adamw
from palaestra.trainer.model.policy import Policy, load_policy
from palaestra.trainer.model.sequences import Sequences
from palaestra.trainer.objective.losses import count_denominators
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen3Config, Qwen3ForCausalLM

STEPS = (4, 12)  # tokens of the completions that are sampled: a step is the difference
RANK = 8
MIB = 2**20


@dataclass
class WeightUses(TorchDispatchMode):
    """While it is entered, counts torch's operations in this thread, and what is done with a model's weights.

    operations: by name; what compiled kernels do is not seen.  casts: by weight, how often it is copied into
    another type.  rows: by weight, the rows of each product x W^T.
    """

    model: Any
    operations: Counter[str] = field(default_factory=Counter)
    casts: Counter[str] = field(default_factory=Counter)
    rows: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self._names = {weight.data_ptr(): name for name, weight in self.model.named_parameters()}
        self._kept: list[Tensor] = []  # casts: their addresses must not be given again

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result, packet = func(*args, **(kwargs or {})), func._overloadpacket
        self.operations[str(packet)] += 1
        if packet is torch.ops.aten._to_copy:
            self._see_cast(args[0], result)
        elif packet is torch.ops.aten.copy_:
            self._see_cast(args[1], args[0])
        elif packet in (torch.ops.aten.mm, torch.ops.aten.addmm):
            name = self._names.get(args[-1].data_ptr())
            if name and args[-1].stride(0) == 1:  # transposed: the model has (output, input)
                self.rows.setdefault(name, []).append(result.shape[0])
        return result

    def _see_cast(self, source: Tensor, target: Tensor) -> None:
        name = self._names.get(source.data_ptr())
        if name and target.dtype is not source.dtype:
            self.casts[name] += 1
            self._names[target.data_ptr()] = name
            self._kept.append(target)


def make_policy(
    dtype: str = "bfloat16", rank: int = 0, vocabulary: int = 0, weights: str = "float32"
) -> Policy:
    """The embedded model. rank: of adapters, 0 for none.  vocabulary: of another head, 0 for its own."""
    policy = load_policy("embedded", "cpu", dtype, weights=weights)
    if vocabulary:
        values = policy.model.config.to_dict()
        values.pop("layer_types", None)
        torch.manual_seed(0)
        policy = replace(policy, model=Qwen3ForCausalLM(Qwen3Config(**{**values, "vocab_size": vocabulary})))
    if rank:
        lora.add_adapters(policy.model, LoraConfig(lora_rank=rank), 0)
    return policy


@dataclass(frozen=True)
class SamplingCounts:
    """Of one decode step of 8 rows: operations, casts of weights, flops.  loaded: casts of weights at each
    call of the sampler.  captures: of decode steps in two calls, None on the general path."""

    operations: float
    casts: float
    flops: float
    loaded: float
    captures: int | None = None

    def __str__(self) -> str:
        captures = "" if self.captures is None else f", {self.captures} captures in two calls"
        return (
            f"{self.operations:.0f} operations and {self.casts:.1f} casts of weights a step, "
            f"{self.flops / 8e6:.3f} MFLOP a token, {self.loaded:.0f} casts a call{captures}"
        )


def count_sampling(policy: Policy, fast: bool = True) -> SamplingCounts:
    """Two prompts of 4 completions each, none of which ends early."""
    requests = [pal.Request([5 + place, 6, 7, 8], 4, stream=place) for place in range(2)]
    engine = pal.LocalEngine(policy, 8, fast=fast)
    engine.end_ids = []
    engine.sample(requests, pal.Sampling(max_new_tokens=2))  # what is tried once and remembered

    found = []
    for tokens in STEPS:
        with FlopCounterMode(display=False) as counter, WeightUses(policy.model) as uses:
            engine.sample(requests, pal.Sampling(max_new_tokens=tokens))
        found.append((uses.operations.total(), sum(uses.casts.values()), counter.get_total_flops()))
    steps = STEPS[1] - STEPS[0]
    operations, casts, flops = ((many - few) / steps for few, many in zip(*found, strict=True))
    return SamplingCounts(
        operations,
        casts,
        flops,
        found[0][1] - STEPS[0] * casts,
        _count_captures(policy, requests) if fast else None,
    )


def _count_captures(policy: Policy, requests: list[pal.Request]) -> int:
    """By an engine that records its steps on a tape, as a GPU would capture them."""
    engine = pal.LocalEngine(policy, 8, record=Tape)
    before = engine.captures
    for _ in range(2):
        engine.sample(requests, pal.Sampling(max_new_tokens=STEPS[1]))
    return engine.captures - before


@dataclass(frozen=True)
class UpdateCounts:
    """Of one update: tokens that go through the layers; distinct beginnings of rows; flops forward and
    backward; casts of weights; products of the head, forward and backward."""

    tokens: int
    distinct: int
    flops: int
    casts: int
    head_casts: int
    head_products: int

    def __str__(self) -> str:
        return (
            f"{self.tokens} tokens computed of {self.distinct} distinct, {self.flops / 1e9:.2f} GFLOP, "
            f"{self.casts} casts of weights ({self.head_casts} of the head), {self.head_products} products"
        )


def make_batch(prompts: int, group: int, prompt: int, completion: int) -> Batch:
    """Prompts that begin differently; completions that begin alike in pairs."""
    beginnings = [[10 + number, *range(20, 19 + prompt)] for number in range(prompts) for _ in range(group)]
    rows = [
        [(7 * place + (row // 2 if place < 4 else row)) % 90 for place in range(completion)]
        for row in range(prompts * group)
    ]
    sequences = Sequences.of(beginnings, rows)
    mask_BT, zeros_B = sequences.mask_BT, torch.zeros(prompts * group)
    advantages_BT = torch.linspace(-1, 1, prompts * group)[:, None] * mask_BT
    return Batch(
        sequences, group, -4 * mask_BT.float(), zeros_B, zeros_B.bool(), zeros_B.bool(),
        advantages_BT=advantages_BT, mask_BT=mask_BT,
    )  # fmt: skip


def count_update(policy: Policy, batch: Batch, tokens: int) -> UpdateCounts:
    """The gradient of one optimizer step in micro-batches of at most `tokens`."""
    config, model = TrainConfig(), policy.model
    learner = Learner(policy, adamw(model, config.optimizer, policy.parameters), GRPO(policy, config))
    denominators = count_denominators(batch.mask_BT, 256)

    def run() -> None:
        add_gradient(learner, batch, denominators, tokens)
        model.zero_grad(set_to_none=True)

    with policy.autocast():  # what is tried once and remembered
        compute_logprobs(model, Sequences.of([[1, 2]], [[3]]))
    with FlopCounterMode(display=False) as counter, WeightUses(model) as uses:
        run()
    layer = next(name for name in uses.rows if ".layers.0.mlp.down_proj" in name and ".lora_" not in name)
    head = next(name for name, weight in model.named_parameters() if weight is model.lm_head.weight)
    ids, sequences = batch.sequences.ids_BS.tolist(), batch.sequences
    ends = (sequences.prompt_lengths_B + sequences.lengths_B - 1).tolist()
    distinct = {tuple(row[:end]) for row, total in zip(ids, ends, strict=True) for end in range(1, total + 1)}
    casts = sum(uses.casts.values())
    return UpdateCounts(
        sum(uses.rows[layer]),
        len(distinct),
        counter.get_total_flops(),
        casts,
        uses.casts[head],
        len(uses.rows[head]),
    )


def count_bytes(**settings: object) -> Bill:
    """The memory plan of a run of the embedded model."""
    config = TrainConfig.of(
        max_prompt_tokens=128,
        max_new_tokens=128,
        rows=64,
        tokens_per_microbatch=2048,
        dtype="bfloat16",
        **settings,
    )
    rank = config.model.lora_rank
    return plan(make_policy("bfloat16", rank, weights=config.model.weights), config, available=2**40)


def main() -> None:
    torch.set_num_threads(1)
    for dtype in ("float32", "bfloat16"):
        for rank in (0, RANK):
            what = f"{dtype}, {f'LoRA of rank {rank}' if rank else 'all weights'}"
            print(f"sampling, {what}: {count_sampling(make_policy(dtype, rank))}", flush=True)
            print(f"  the model's own forward pass: {count_sampling(make_policy(dtype, rank), fast=False)}")
            print(f"update, {what}: {count_update(make_policy(dtype, rank), make_batch(4, 8, 30, 20), 512)}")
    wide = make_policy("bfloat16", vocabulary=151_936)
    print(f"update at a vocabulary of 151,936: {count_update(wide, make_batch(2, 4, 4, 36), 2048)}")
    for settings in ({}, {"weights": "bfloat16", "moments": "8bit"}, {"lora_rank": RANK}):
        bill = count_bytes(**settings)
        held = {name: round(size / MIB, 2) for name, size in {**bill.fixed, **bill.phases}.items()}
        print(f"MiB, {settings or 'all weights'}: {held}, gradients {bill.gradients / MIB:.2f}")


if __name__ == "__main__":
    main()
