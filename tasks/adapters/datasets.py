"""A task's problems as a `datasets.Dataset`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..core import registry
from ..core.chats import add_instruction, read_messages
from ..core.problem import Problem
from ..core.task import Task

if TYPE_CHECKING:
    import datasets  # slow to import


def as_dataset(
    task: Task | str,
    split: str = "train",
    count: int | None = None,
    *,
    seed: int = 0,
    level: int | None = None,
    chat: bool = True,
) -> datasets.Dataset:
    """A task's problems as a table, for TRL and whatever else trains or samples on one.

    prompt: chat messages, or with chat=False a text; the task's instruction stands at its end.
    id: of the problem, by which the adapters find it again, whatever became of the other columns.
    reference: the expected answer, as JSON where some are no texts.  metadata: as JSON.
    count: rows; None for all of a data set's split.  seed, level: of a procedural task's stream.

    >>> import palaestra as pal
    >>> rows = pal.as_dataset("gcd", count=2, level=1)
    >>> rows[0]["id"], rows[0]["metadata"], rows[0]["prompt"][0]["role"]
    ('gcd/train/0/1/0', '{"level": 1}', 'user')
    >>> print(pal.as_dataset("gcd", count=1, chat=False)[0]["prompt"])  # doctest: +ELLIPSIS
    What is the greatest common divisor of ... and ...?
    <BLANKLINE>
    Give your final answer as <answer>...</answer>.
    """
    from datasets import Dataset

    chosen = registry.get(task) if isinstance(task, str) else task
    problems = chosen.problems(split, count, seed, level)
    plain = all(isinstance(problem.reference, str) for problem in problems)
    return Dataset.from_dict(
        {
            "id": [problem.id for problem in problems],
            "prompt": [write_prompt(problem, chosen.instruction, chat) for problem in problems],
            "reference": [p.reference if plain else _write_json(p.reference) for p in problems],
            "metadata": [_write_json(dict(problem.metadata)) for problem in problems],
        }
    )


def write_prompt(problem: Problem, instruction: str, chat: bool) -> Any:
    """A problem as a model is asked it: messages, or a text."""
    if chat:
        messages = read_messages(problem.prompt, problem.name)
        return add_instruction(messages, instruction, "\n\n", problem.name)
    return f"{problem.text}\n\n{instruction}" if instruction else problem.text


def _write_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
