"""Prompts as a model reads them, for a person: template, special tokens and all. Loads no weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...tasks import Problem, Task
from ..config.shared import PromptConfig
from .policy import load_tokenizer, read_end_ids
from .prompts import PromptFormat


@dataclass(frozen=True)
class RenderedPrompt:
    """problem: its id.  text: every token of the prompt, special ones too.  tokens: how many there are.
    special: the special and added tokens among them, each once, with how often it is there."""

    problem: str
    text: str
    tokens: int
    special: tuple[str, ...]
    reference: object

    def __str__(self) -> str:
        special = " ".join(self.special) or "none"
        return (
            f"{self.problem}: {self.tokens} tokens, special or added: {special}\n{self.text}\n"
            f"reference: {self.reference}"
        )


def render_prompts(
    task: Task,
    problems: Sequence[Problem],
    source: str,
    config: PromptConfig,
    *,
    trust_remote_code: bool = False,
) -> Iterator[RenderedPrompt]:
    """The prompts of the problems as training and evaluation make them for this model.

    source: hub id or folder of the model, of which the tokenizer alone is loaded.
    Raises UserError where there is none, and for a prompt that can't be made.
    """
    tokenizer = load_tokenizer(source, trust_remote_code=trust_remote_code)
    prompts = PromptFormat.of(tokenizer, config, end_ids=read_end_ids(source))
    for problem in problems:
        ids = prompts.encode(problem, task.find_member(problem.id).instruction)
        yield RenderedPrompt(
            problem.id, prompts.decode(ids), len(ids), _list_special(prompts, ids), problem.reference
        )


def _list_special(prompts: PromptFormat, ids: Sequence[int]) -> tuple[str, ...]:
    """The tokens that stand for no text: special ones, and whatever the tokenizer had added to its words."""
    added = prompts.tokenizer.added_tokens_decoder
    counts: dict[int, int] = {}
    for index in ids:
        if index in added:
            counts[index] = counts.get(index, 0) + 1
    return tuple(
        added[index].content + (f" x{count}" if count > 1 else "") for index, count in counts.items()
    )
