"""The bill of a training run for public models by their shapes alone: no weights are fetched or filled.

    python benchmarks/memory.py              # every model; 13 GiB of memory, minutes
    python benchmarks/memory.py qwen2.5-0.5b

The passes are measured on a CPU in the arithmetic of a GPU (weights in float32, products in bfloat16), which
allocates the same tensors but for what attention keeps inside of its operation. The table of docs/recipes.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import torch
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model import lora
from palaestra.trainer.model.memory import HeldModel, plan, weight_bytes
from palaestra.trainer.model.policy import Policy
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, Qwen2Config

GIB = 2**30


@dataclass(frozen=True)
class Shape:
    """A public model by its config.json. parameters: as its authors count them, to check the shape by."""

    config: PretrainedConfig
    parameters: int


def qwen(hidden: int, inner: int, layers: int, heads: int, kv_heads: int) -> PretrainedConfig:
    return Qwen2Config(
        vocab_size=151936, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv_heads, tie_word_embeddings=True,
        max_position_embeddings=32768, eos_token_id=151645, pad_token_id=151643, bos_token_id=None,
    )  # fmt: skip


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
}  # fmt: skip
SETTINGS = TrainConfig.of(
    task="gsm8k", max_prompt_tokens=512, max_new_tokens=1024, prompts_per_step=32, group_size=8, rows=256,
    tokens_per_microbatch=16384,
)  # fmt: skip
ARMS = {
    "all weights": {},
    "all weights, KL to a reference": {"loss.kl_coef": 0.04},
    "all weights, gradient checkpointing": {"gradient_checkpointing": True},
    "LoRA of rank 64": {"lora_rank": 64},
}


def make(shape: Shape) -> Policy:
    """The model with weights that were never written to: pages that are only read take no memory."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(shape.config, attn_implementation="sdpa")
    model.to_empty(device="cpu").tie_weights()
    for module in model.modules():  # what is computed at the start is no weight
        if hasattr(module, "inv_freq"):
            module.inv_freq.fill_(1.0)
    counted = sum(parameter.numel() for parameter in model.parameters())
    if counted != shape.parameters:
        raise SystemExit(
            f"{counted:,} parameters where {shape.parameters:,} are expected: the shape is wrong."
        )
    return Policy(model.eval(), None, torch.device("cpu"), torch.bfloat16, "shape")


def weigh(shape: Shape, settings: dict) -> str:
    """The bill of one run, in GiB."""
    policy, config = make(shape), SETTINGS.but(**settings)
    held = []
    if config.objective.loss.kl_coef and not config.model.lora_rank:
        held.append(HeldModel("reference", weight_bytes(policy.model)))
    if config.model.lora_rank:
        lora.add_adapters(policy.model, config.model, 0)
        policy = replace(policy, adapted=True)
    found = plan(policy, config, held, available=1000 * GIB)
    fixed = sum(found.fixed.values()) / GIB
    phases = " | ".join(f"{size / GIB:.1f}" for name, size in found.phases.items() if "saving" not in name)
    return f"{fixed:.1f} | {phases} | {found.total / GIB:.1f}"


def main(names: list[str]) -> None:
    print(
        "| model | what learns | held | sampling | update | at most |\n| --- | --- | --- | --- | --- | --- |"
    )
    for name in names or SHAPES:
        for arm, settings in ARMS.items():
            print(f"| {name} | {arm} | {weigh(SHAPES[name], settings)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
