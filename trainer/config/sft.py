"""The settings of `palaestra sft`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from .settings import Count, Range, Settings
from .shared import (
    HeldOutConfig,
    ModelConfig,
    OptimizerConfig,
    OutputConfig,
    PromptConfig,
    RunConfig,
    TrainedTaskConfig,
)


@dataclass(frozen=True)
class ImitationConfig(Settings):
    """What is imitated."""

    pairs: tuple[str, ...] = ()
    """In place of a task: files (or hub ids) of rows with prompt and completion, or with
    messages (a chat)."""
    eval_share: Annotated[float, Range(0, 1, open_high=True)] = 0.05
    """Share of the prompts in --pairs that is held out."""
    demonstrations: Count = 20000
    """Different demonstrations to draw from; a dataset with fewer gives all it has."""
    batch_size: Count = 32
    """Demonstrations in a step."""
    max_tokens: Count = 1024
    """Tokens that a prompt with its completion may have; longer ones are left out and counted."""


@dataclass(frozen=True)
class SFTConfig(RunConfig):
    """Imitate a task's demonstrations, or pairs and chats from files (loss on completion tokens only).

    >>> import palaestra as pal
    >>> pal.SFTConfig.of(task="gcd", steps=100, batch_size=16).imitation.batch_size
    16
    """

    essential: ClassVar[tuple[str, ...]] = (
        "task", "option", "data", "prompt", "answer", "verify",
        "level", "model", "pairs", "steps", "seed", "demonstrations", "batch_size",
        "max_tokens", "learning_rate", "schedule", "eval_every", "save_every", "out", "log",
    )  # fmt: skip

    steps: Count = 1200
    task: TrainedTaskConfig = field(default_factory=TrainedTaskConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    imitation: ImitationConfig = field(default_factory=ImitationConfig)
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(warmup_steps=50, schedule="cosine", final_learning_rate=0.0)
    )
    evaluation: HeldOutConfig = field(default_factory=lambda: HeldOutConfig(eval_every=200))
    output: OutputConfig = field(default_factory=lambda: OutputConfig(save_every=200, keep=2))
