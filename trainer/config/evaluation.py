"""The settings of `palaestra eval`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from .settings import Amount, Auto, Count, Natural, Settings, Share, TopP
from .shared import CommandConfig, FolderConfig, ModelConfig, PromptConfig, ScoredTaskConfig


@dataclass(frozen=True)
class ProblemConfig(Settings):
    """Which of the task's problems, and how their answers are read."""

    split: str = "test"
    """Split to evaluate on."""
    problems: Count | Auto = "auto"
    """Problems; auto takes the whole split of a dataset, 500 of a procedural task."""
    extraction: Literal["strict", "lenient"] = "strict"
    """Which answers are read: strict as in training, in the task's own form; lenient, for models that were
    told no form, any mark and then plain prose too ("The answer is 42"). The report names it; compare only
    like with like."""


@dataclass(frozen=True)
class SamplingConfig(Settings):
    """How completions are sampled."""

    samples: Count = 1
    """Completions of each problem; pass@k is given for k up to it."""
    temperature: Amount = 0.0
    """Sampling temperature; 0 is greedy (then one sample is enough)."""
    top_p: TopP = 1.0
    """Nucleus sampling: the fewest tokens whose probability reaches this."""
    top_k: Natural = 0
    """Sample among the k most likely tokens; 0 for all."""
    min_p: Share = 0.0
    """Sample among the tokens at least this times as likely as the most likely; 0 for all."""
    max_new_tokens: Count = 512
    """Tokens after which a completion is cut."""
    max_prompt_tokens: Count = 3072
    """Tokens that a prompt may have; a longer one counts as not passed and is reported."""
    stop: tuple[str, ...] = ()
    """Texts that end a completion."""
    rows: Count | Auto = "auto"
    """Completions decoded at once; auto takes 256."""


@dataclass(frozen=True)
class CompareConfig(Settings):
    """What the completions are compared with."""

    reward_model: tuple[str, ...] = ()
    """Folder or hub id of a reward model: for the task's learned criterion (name=FOLDER where it has
    several), or, for a task without one, to be reported beside the pass-rate."""
    baseline: str = ""
    """Folder of an earlier evaluation of the same problems: how often its completions are
    beaten is reported."""


@dataclass(frozen=True)
class EvalConfig(CommandConfig):
    """Measure a model's pass-rate, or what a reward model thinks of it, on a task's held-out problems.

    >>> import palaestra as pal
    >>> config = pal.EvalConfig.of(task="gsm8k", model="runs/gsm8k-0/model", samples=8, temperature=0.7)
    >>> config.sampling.samples, config.held_out.split
    (8, 'test')
    """

    essential: ClassVar[tuple[str, ...]] = (
        "task", "option", "data", "prompt", "answer", "verify",
        "level", "model", "split", "problems", "extraction", "samples",
        "temperature", "top_p", "max_new_tokens", "stop", "reward_model", "baseline", "out", "seed",
    )  # fmt: skip

    task: ScoredTaskConfig = field(default_factory=ScoredTaskConfig)
    model: ModelConfig = field(default_factory=lambda: ModelConfig(source=""))
    prompt: PromptConfig = field(default_factory=PromptConfig)
    held_out: ProblemConfig = field(default_factory=ProblemConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    compare: CompareConfig = field(default_factory=CompareConfig)
    output: FolderConfig = field(default_factory=FolderConfig)
