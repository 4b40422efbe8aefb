"""Whether the prompts of a data set fit into their budget of tokens: counted before the model is loaded, by
its tokenizer alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from ...tasks.core.errors import UserError
from ...tasks.core.problem import Problem
from ...tasks.core.task import Task
from ...tasks.data.table import Table, name_places
from ..config.shared import ModelConfig, PromptConfig
from .embedded import make_character_tokenizer
from .pretrained import explain_failures
from .prompts import PromptFormat

MOST = 2000  # prompts of a split that are counted, evenly spread


def check_prompts(
    model: ModelConfig,
    task: Task,
    splits: Sequence[str],
    budget: int,
    say: Callable[[str], None],
    prompt: PromptConfig | None = None,
    flag: str = "--max-prompt-tokens",
) -> None:
    """Say how long the prompts of data of one's own are, and how many of them are over the budget, in tokens.

    Raises UserError where all of a split are, and for a prompt that can't be made. Other tasks are passed by.
    """
    tables = [(member, member.source) for member in task.members if isinstance(member.source, Table)]
    if not tables:
        return
    format_ = PromptFormat.of(load_tokenizer(model), prompt, lambda _line: None)
    for member, table in tables:
        for split in splits:
            if split in member.splits:
                _check_split(format_, member, table, split, budget, say, flag)


def load_tokenizer(model: ModelConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of a model, which is not loaded itself."""
    if model.source == "embedded":
        return make_character_tokenizer()
    with explain_failures(model.source, "a causal language model", model.trust_remote_code):
        found = AutoTokenizer.from_pretrained(model.source, trust_remote_code=model.trust_remote_code)
    if found is None:
        raise UserError(f"{model.source} has no tokenizer.")
    return found


def _check_split(
    prompts: PromptFormat,
    task: Task,
    table: Table,
    split: str,
    budget: int,
    say: Callable[[str], None],
    flag: str,
) -> None:
    part = table.part(split)
    counted = part.problems[:: -(-len(part.problems) // MOST) or 1]
    lengths = [_count(prompts, task, problem, part.places[problem.id]) for problem in counted]
    if not lengths:
        return
    over = [problem for problem, length in zip(counted, lengths, strict=True) if length > budget]
    middle = sorted(lengths)[len(lengths) // 2]
    say(f"Tokens of a {split} prompt: {middle} in the middle, {max(lengths)} at most.")
    if len(over) == len(counted):
        raise UserError(
            f"Every {split} prompt is over the budget of {budget} tokens (the shortest has {min(lengths)}): "
            f"raise {flag}."
        )
    if over:
        of = f"{len(counted)} that were counted" if len(counted) < len(part.problems) else str(len(counted))
        say(
            f"Warning: {len(over)} of {of} {split} prompts are over {budget} tokens and will be left out: "
            f"{name_places([part.places[problem.id] for problem in over])}. {flag} raises the budget."
        )


def _count(prompts: PromptFormat, task: Task, problem: Problem, where: str) -> int:
    try:
        return len(prompts.encode(replace(problem, id=""), task.instruction))
    except UserError as failure:
        raise UserError(f"{where}: {failure}") from failure
