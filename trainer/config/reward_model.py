"""The settings of `palaestra reward-model`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from .objective import PreferenceConfig
from .settings import Count, Flag, Range, Settings
from .shared import MeasurementConfig, ModelConfig, OptimizerConfig, OutputConfig, PromptConfig, RunConfig


@dataclass(frozen=True)
class ComparisonConfig(Settings):
    """What is learned from."""

    files: Annotated[tuple[str, ...], Flag("data")] = ()
    """Files of comparisons: columns prompt, chosen, rejected (texts, chats, or transcripts without a prompt),
    or prompt with answers, best first. JSONL, JSON, Parquet, also gzipped. Must be given."""
    eval_data: tuple[str, ...] = ()
    """Files of held-out comparisons; none: a share of the prompts in --data."""
    eval_share: Annotated[float, Range(0, 1, open_low=True, open_high=True)] = 0.1
    """Share of the prompts that is held out when --eval-data is not given."""
    task: str = ""
    """Task whose instruction stands after each prompt, as in the rollouts that will be judged."""
    batch_size: Count = 32
    """Prompts in a step, with all of their answers."""
    max_tokens: Annotated[int, Range(2)] = 1024
    """Tokens that a prompt with an answer may have; comparisons with a longer one are left out and
    counted."""


@dataclass(frozen=True)
class RewardModelConfig(RunConfig):
    """Fit a reward model to comparisons of answers (Bradley-Terry).

    >>> import palaestra as pal
    >>> pal.RewardModelConfig.of(data=["pairs.jsonl"], steps=50).comparisons.files
    ('pairs.jsonl',)
    """

    essential: ClassVar[tuple[str, ...]] = (
        "data", "eval_data", "eval_share", "task", "model", "steps", "seed", "batch_size", "max_tokens",
        "learning_rate", "loss.margin", "loss.centre_coef", "eval_every", "save_every", "out", "log",
    )  # fmt: skip

    steps: Count = 500
    comparisons: ComparisonConfig = field(default_factory=ComparisonConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    loss: PreferenceConfig = field(default_factory=PreferenceConfig)
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(warmup_steps=20, schedule="cosine", final_learning_rate=0.0)
    )
    evaluation: MeasurementConfig = field(default_factory=lambda: MeasurementConfig(eval_every=100))
    output: OutputConfig = field(default_factory=lambda: OutputConfig(save_every=100, keep=2))
