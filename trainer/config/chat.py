"""The settings of `palaestra chat`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from .evaluation import EndpointConfig, EvalConfig, SamplingConfig, SubjectConfig
from .shared import CommandConfig, ModelConfig, PromptConfig, ScoredTaskConfig


@dataclass(frozen=True)
class ChatConfig(CommandConfig):
    """Type a problem, see a model's completions and their verdicts. A line `PROBLEM => REFERENCE` is scored,
    by the task's rubric, or without --task or --data by the rules of docs/math.md; /help lists what
    else there is."""

    essential: ClassVar[tuple[str, ...]] = (
        "task", "option", "data", "level", "model", "samples", "temperature", "top_p", "max_new_tokens",
        "checkpoint", "endpoint", "seed",
    )  # fmt: skip

    task: ScoredTaskConfig = field(default_factory=ScoredTaskConfig)
    model: ModelConfig = field(default_factory=lambda: ModelConfig(source=""))
    prompt: PromptConfig = field(default_factory=PromptConfig)
    sampling: SamplingConfig = field(default_factory=lambda: SamplingConfig(samples=2, temperature=0.7))
    subject: SubjectConfig = field(default_factory=SubjectConfig)
    endpoint: EndpointConfig = field(default_factory=EndpointConfig)

    def as_evaluation(self) -> EvalConfig:
        """The settings by which an evaluation opens the same model."""
        return EvalConfig(
            self.seed, self.task, self.model, self.prompt,
            sampling=self.sampling, subject=self.subject, endpoint=self.endpoint,
        )  # fmt: skip
