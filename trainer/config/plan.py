"""The settings of `palaestra plan`: those of `palaestra train` that decide what a run takes, and the
machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from .presets import ObjectiveConfig
from .settings import Amount, Auto, Count, Flag, Name, Natural, Range, Settings
from .shared import LoraConfig, OptimizerConfig
from .train import RolloutConfig, TrainConfig

Part = Annotated[float, Range(0, 1, open_low=True)]


@dataclass(frozen=True)
class PlannedModelConfig(LoraConfig):
    """Which model, and what of it learns."""

    source: Annotated[Name, Flag("model")] = "Qwen/Qwen2.5-0.5B"
    """A public model by its hub id (nothing is fetched: its shape is in a table), or the path of a
    config.json or of the folder with it."""
    weights: Literal["float32", "bfloat16"] = "float32"
    """Type that the weights are held in, as of `palaestra train`."""
    gradient_checkpointing: bool = False
    """Recompute each layer in the backward pass, as of `palaestra train`."""


@dataclass(frozen=True)
class HardwareConfig(Settings):
    """The machine, and what share of what it is sold for is taken."""

    gpu: Name = "h100"
    """Card, of a table from the makers' data sheets: a100, h100, h200, b200, l40s, l4, rtx4090, ...; here
    measures this machine's bandwidth and arithmetic."""
    gpus: Count = 1
    """Cards that train, each with its share of the step's problems."""
    shard: Literal["none", "fsdp"] = "none"
    """What several cards hold: none, each the whole model; fsdp, each its share of weights, gradients and
    moments, gathered layer by layer, beside one whole copy of the weights to sample with."""
    engine: Literal["local", "vllm"] = "local"
    """What samples: the trainer's own sampler, or vLLM on the same cards or on cards of its own."""
    engine_memory: Part = 0.4
    """vllm on the cards that train: share of their memory that the server takes, in (0, 1]."""
    sampler_gpus: Natural = 0
    """Cards of vLLM's own; 0: it shares those that train."""
    mean_tokens: Count | Auto = "auto"
    """Tokens of a completion in the mean; auto takes max_new_tokens, which is the dearest."""
    verify_seconds: Amount = 0.0
    """Seconds from a step's last token to its last verdict; programs and judges take some."""
    bandwidth_share: Part = 0.5
    """Share of the memory's bandwidth that decoding reaches, in (0, 1]."""
    peak_share: Part = 0.4
    """Share of the arithmetic that updates and prefills reach (MFU), in (0, 1]."""
    link_share: Part = 0.6
    """Share of the links that collectives reach, in (0, 1]."""


@dataclass(frozen=True)
class PlanConfig(Settings):
    """What a GRPO run will take: memory by part, floating-point operations, bytes moved, seconds a step,
    tokens a day. Nothing is loaded or fetched; the options of `palaestra train` mean the same here.

    >>> PlanConfig.of(model="Qwen/Qwen2.5-7B", gpus=8, lora_rank=64).hardware.gpus
    8
    """

    essential: ClassVar[tuple[str, ...]] = (
        "model", "lora_rank", "weights", "moments", "gradient_checkpointing", "gpu", "gpus", "shard",
        "engine", "sampler_gpus", "prompts_per_step", "group_size", "max_new_tokens", "max_prompt_tokens",
        "mean_tokens", "loss.kl_coef", "bandwidth_share", "peak_share", "json",
    )  # fmt: skip

    model: PlannedModelConfig = field(default_factory=PlannedModelConfig)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)
    rollouts: RolloutConfig = field(default_factory=RolloutConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    json: bool = False
    """Print the plan as JSON: amounts in bytes, operations and seconds."""

    def as_training(self, dtype: Literal["float32", "bfloat16"] = "bfloat16") -> TrainConfig:
        """The settings of the run that is planned: products in bfloat16 on a card, in float32 on a CPU."""
        base = TrainConfig.of(
            lora_rank=self.model.lora_rank, lora_alpha=self.model.lora_alpha, weights=self.model.weights,
            lora_targets=self.model.lora_targets, dtype=dtype,
            gradient_checkpointing=self.model.gradient_checkpointing, preflight_problems=0,
            processes=self.hardware.gpus, shard=self.hardware.shard, engine=self.hardware.engine,
        )  # fmt: skip
        return base.but(rollouts=self.rollouts, objective=self.objective, optimizer=self.optimizer)
