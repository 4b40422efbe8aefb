"""A task's problems as rows of plain data, for those who sample somewhere else and come back to score."""

from __future__ import annotations

from typing import Any

from . import registry
from .chats import add_instruction, read_messages
from .problem import Problem
from .task import Task

PROCEDURAL_PROBLEMS = 500  # of a split without an end, where no number is asked for


def export_rows(
    task: Task | str,
    split: str = "test",
    count: int | None = None,
    *,
    seed: int = 0,
    level: int | None = None,
) -> list[dict[str, Any]]:
    """The first problems of a split as rows: those that `palaestra eval` takes by default.

    id: by which `palaestra score` finds the problem again.  prompt: as the task has it, as one text.
    prompt_with_instruction: the same with the task's words about the form of an answer.  messages: that as a
    chat, for an engine that applies a template.  reference, metadata: plain data, not for the model's eyes.

    task: a task, its name, or the path of its file.  count: rows; None takes a data set's whole split, 500 of
    a procedural task.  seed, level: of a procedural task's stream.
    Raises UnknownTask, TaskError for a split or level that is not there, DataError for data that can't be
    read.

    >>> import palaestra as pal
    >>> row = pal.export_rows("gcd", count=1, level=1)[0]
    >>> row["id"], row["messages"][0]["role"]
    ('gcd/test/0/1/0', 'user')
    >>> print(row["prompt_with_instruction"])  # doctest: +ELLIPSIS
    What is the greatest common divisor of ... and ...?
    <BLANKLINE>
    Give your final answer as <answer>...</answer>.
    """
    chosen = registry.get(task) if isinstance(task, str) else task
    if count is None and chosen.source.size(split) is None:
        count = PROCEDURAL_PROBLEMS
    return [_write_row(chosen, problem) for problem in chosen.problems(split, count, seed, level)]


def _write_row(task: Task, problem: Problem) -> dict[str, Any]:
    messages = read_messages(problem.prompt, problem.name)
    asked = add_instruction(messages, task.find_member(problem.id).instruction, "\n\n", problem.name)
    return {
        "id": problem.id,
        "prompt": problem.text,
        "prompt_with_instruction": "\n".join(message["content"] for message in asked),
        "messages": asked,
        "reference": problem.reference,
        "metadata": dict(problem.metadata),
    }
