"""The bill of a training run for public models by their shapes alone: no weights are fetched or made.

    python benchmarks/memory.py                          # every model, part by part; 4 GiB of memory, minutes
    python benchmarks/memory.py qwen2.5-7b --card 79.6   # one, for a card of so many GiB

The model itself is on the meta device. Its passes are measured on a CPU with 2 and with 3 of its layers and a
small vocabulary, in bfloat16 as on a GPU, and continued along a straight line to all of its layers: the
tensors are those that a GPU would allocate, but for what attention keeps inside of its operation. Nothing
here was measured on a GPU. The tables of docs/recipes.md and docs/gpu.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model import lora
from palaestra.trainer.model.live_bytes import Profile
from palaestra.trainer.model.measure import CacheProfile, Passes, measure_passes
from palaestra.trainer.model.memory import Bill, HeldModel, plan, weight_bytes
from palaestra.trainer.model.policy import Policy
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, Qwen2Config

GIB = 2**30
FEW = (2, 3)  # layers of the models that are measured
TOKENS = (4096, 16384)  # of the micro-batches between which a pass is taken as linear
VOCABULARY = 512  # of the models that are measured; the head is billed apart
CARD = 79.6  # GiB that an H100 of "80 GB" reports
CONTEXT = 0.6  # GiB of it that CUDA takes for itself, about


@dataclass(frozen=True)
class Learns:
    """weights: the type they are held in.  rank: of adapters, 0 where all weights learn."""

    weights: str
    rank: int


@dataclass(frozen=True, eq=False)
class Shape:
    """A public model by its config.json. parameters: as its authors count them, to check the shape by."""

    config: PretrainedConfig
    parameters: int


def qwen(hidden: int, inner: int, layers: int, heads: int, kv_heads: int, **more: object) -> PretrainedConfig:
    settings = {"vocab_size": 151936, "tie_word_embeddings": True, **more}
    return Qwen2Config(
        hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv_heads,
        max_position_embeddings=32768, eos_token_id=151645, pad_token_id=151643, bos_token_id=None,
        **settings,
    )  # fmt: skip


LARGE = {"vocab_size": 152064, "tie_word_embeddings": False}
SHAPES = {
    "smollm2-135m": Shape(
        LlamaConfig(
            vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
            num_attention_heads=9, num_key_value_heads=3, tie_word_embeddings=True,
            max_position_embeddings=8192, eos_token_id=2, pad_token_id=2,
        ),
        134_515_008,
    ),
    "qwen2.5-0.5b": Shape(qwen(896, 4864, 24, 14, 2), 494_032_768),
    "qwen2.5-1.5b": Shape(qwen(1536, 8960, 28, 12, 2), 1_543_714_304),
    "qwen2.5-7b": Shape(qwen(3584, 18944, 28, 28, 4, **LARGE), 7_615_616_512),
    "qwen2.5-32b": Shape(qwen(5120, 27648, 64, 40, 8, **LARGE), 32_763_876_352),
}  # fmt: skip
SETTINGS = TrainConfig.of(
    task="gsm8k", max_prompt_tokens=512, max_new_tokens=1024, prompts_per_step=32, group_size=8,
    dtype="bfloat16",
)  # fmt: skip
SMALL = {"weights": "bfloat16", "moments": "8bit", "gradient_checkpointing": True}
ARMS: dict[str, dict[str, object]] = {
    "all weights": {},
    "all weights, KL to a reference": {"loss.kl_coef": 0.04},
    "all weights, gradient checkpointing": {"gradient_checkpointing": True},
    "all weights in bfloat16, moments in 8 bits, gradient checkpointing": SMALL,
    "the same, KL to a reference": {**SMALL, "loss.kl_coef": 0.04},
    "LoRA of rank 64": {"lora_rank": 64},
    "LoRA of rank 64, weights in bfloat16, moments in 8 bits, gradient checkpointing": {
        "lora_rank": 64, **SMALL,
    },
}  # fmt: skip


def make(config: PretrainedConfig, arm: TrainConfig, device: str) -> Policy:
    """A policy of this shape, with the settings' adapters. device: "cpu", or "cuda" for one whose weights are
    on the meta device and which is billed as on a GPU."""
    with torch.device("meta" if device == "cuda" else "cpu"):
        model = AutoModelForCausalLM.from_config(
            config, attn_implementation="sdpa", dtype=getattr(torch, arm.model.weights)
        )
    if arm.model.lora_rank:
        lora.add_adapters(model, arm.model, 0)
    return Policy(model.eval(), None, torch.device(device), torch.bfloat16, "shape")


def continue_lines(few: Profile, more: Profile, layers: int) -> Profile:
    """The pass of a model of so many layers, from those of models with `FEW` of them: the bytes that are kept
    and the peak, each linear in tokens and in layers."""

    def at_layers(read: str) -> tuple[float, float]:
        """Bytes at 0 tokens, and of a token."""
        ends = []
        for tokens in TOKENS:
            low, high = (getattr(profile, read)(tokens) for profile in (few, more))
            ends.append(low + (high - low) * (layers - FEW[0]) / (FEW[1] - FEW[0]))
        slope = (ends[1] - ends[0]) / (TOKENS[1] - TOKENS[0])
        return ends[0] - slope * TOKENS[0], slope

    kept, peak = at_layers("at_mark"), at_layers("peak")
    return Profile(np.array([kept[0], peak[0]]), np.array([kept[1], peak[1]]), 0)


@cache
def foretell(shape: Shape, learns: Learns, recomputes: bool) -> Passes:
    """The passes of a model, from those of models with few of its layers. recomputes: its layers, in the
    backward pass."""
    measured, config = [], shape.config
    arm = SETTINGS.but(weights=learns.weights, lora_rank=learns.rank, gradient_checkpointing=recomputes)
    for layers in FEW:
        values = config.to_dict()
        for computed in ("layer_types", "transformers_version"):
            values.pop(computed, None)
        ends = {"eos_token_id": 1, "pad_token_id": 2, "bos_token_id": None}
        cut = type(config)(**{**values, "num_hidden_layers": layers, "vocab_size": VOCABULARY, **ends})
        measured.append(measure_passes(make(cut, arm, "cpu"), arm))
    few, more = measured
    layers, cache = config.num_hidden_layers, few.cache
    per_layer = len(cache.row_N) // FEW[0]
    return Passes(
        *(
            continue_lines(getattr(few, name), getattr(more, name), layers)
            for name in ("update", "plain", "prefill")
        ),
        CacheProfile(*(np.tile(part[:per_layer], layers) for part in (cache.row_N, cache.position_N))),
    )


def weigh(shape: Shape, settings: Mapping[str, object], card: float = 0.0) -> Bill:
    """The bill of one run. card: GiB of the card that its sizes are to fit, 0 for one of 1000.

    Raises UserError where it does not fit.
    """
    arm = SETTINGS.but(**settings)
    policy = make(shape.config, arm, "cuda")
    counted = sum(weight.numel() for name, weight in policy.model.named_parameters() if ".lora_" not in name)
    if counted != shape.parameters:
        raise SystemExit(
            f"{counted:,} parameters where {shape.parameters:,} are expected: the shape is wrong."
        )
    held = []
    if arm.objective.loss.kl_coef and not arm.model.lora_rank:
        held.append(HeldModel("reference", weight_bytes(policy.model)))
    learns, recomputes = Learns(arm.model.weights, arm.model.lora_rank), arm.model.gradient_checkpointing
    free = int((card - CONTEXT) * GIB) - weight_bytes(policy.model) if card else 1000 * GIB
    if not card:
        arm = arm.but(rows=256, tokens_per_microbatch=16384)
    bill = plan(policy, arm, held, available=free, measure=lambda *_: foretell(shape, learns, recomputes))
    return replace(bill, available=free)


def describe(bill: Bill) -> str:
    """Cells of a table, in GiB: each part that is held, the gradients, each phase beside them, the most."""
    held = ", ".join(f"{name} {size / GIB:.1f}" for name, size in bill.fixed.items() if size)
    phases = ", ".join(f"{name} {size / GIB:.1f}" for name, size in bill.phases.items())
    path = ", the model's own forward pass" if bill.fast_path == "no" else ""
    return f"{held} | {bill.gradients / GIB:.1f} | {phases}{path} | {bill.total / GIB:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", help=f"of {', '.join(SHAPES)}; all where none is given")
    parser.add_argument(
        "--card", type=float, default=0.0, help="GiB that the sizes are to fit; 0: 256 rows, 16384 tokens"
    )
    parser.add_argument("--arm", default="", help="only what learns so, by its first words")
    options = parser.parse_args()
    print("| model | what learns | held | gradients | beside it, one at a time | at most |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in options.models or SHAPES:
        for arm, settings in ARMS.items():
            if not arm.startswith(options.arm):
                continue
            try:
                cells = describe(weigh(SHAPES[name], settings, options.card))
            except UserError:
                cells = "does not fit | | |"
            print(f"| {name} | {arm} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
