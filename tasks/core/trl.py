"""A task for TRL's trainers: its rubric as a function for `reward_funcs`, its problems as rows of a data set.

TRL need not be installed: what it passes is lists, and what it takes back is a list of floats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...verifiers import Completion
from . import registry
from .chats import Message, add_instruction, read_messages
from .errors import TaskError
from .isolation import isolate
from .lookup import ProblemsById
from .problem import Problem
from .task import Task

TRLReward = Callable[..., list[float | None]]


def trl_reward(
    task: Task | str, *, allow_weak_sandbox: bool = False, say: Callable[[str], None] = print
) -> TRLReward:
    """A task's rubric as `reward(prompts, completions, **columns)`, for `reward_funcs` of TRL's GRPOTrainer
    or RLOOTrainer.

    task: a task, its name, or the path of its file.  allow_weak_sandbox, say: for a task that runs programs;
        the sandbox's layers are checked and said now.
    The columns of the data set say which problem a row is: `id` (as `trl_rows` writes it), or `reference`,
    and with it `metadata` where the rubric reads some. Completions are texts, or lists of messages, whose
    assistant turns count. Rewards are the rubric's; None, TRL's word for "no reward from this function",
    where the rubric abstained. A learned criterion has no reward model there: its rubric always abstains.
    Raises UserError where the sandbox is too weak, TaskError for rows that name no problem.

    >>> import palaestra as pal
    >>> reward = pal.trl_reward("gcd")
    >>> said = [[{"role": "assistant", "content": text}] for text in ("<answer>6</answer>", "6")]
    >>> reward(prompts=["gcd of 12 and 18?"] * 2, completions=said, reference=["6", "6"])
    [1.0, 0.0]
    """
    chosen = registry.get(task) if isinstance(task, str) else task
    isolate(chosen, allow_weak_sandbox, say, "allow_weak_sandbox=True")
    by_id = ProblemsById(chosen)

    def reward(
        prompts: Sequence[Any], completions: Sequence[str | Sequence[Message]], **columns: Any
    ) -> list[float | None]:
        rewards: list[float | None] = []
        known = [name for name in _COLUMNS if name in columns]
        for index, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
            problem = _find_problem(by_id, prompt, {name: columns[name][index] for name in known})
            score = chosen.score(Completion(_text_of(completion)), problem)
            rewards.append(None if score.abstained else score.reward)
        return rewards

    reward.__name__ = chosen.name  # by which TRL names its metrics
    return reward


def trl_rows(
    task: Task | str,
    split: str = "train",
    count: int | None = None,
    *,
    seed: int = 0,
    level: int | None = None,
) -> list[dict[str, Any]]:
    """A task's problems as rows of a data set for TRL: `datasets.Dataset.from_list(trl_rows(...))`.

    prompt: chat messages, the task's instruction at the end of the user's last.  id: of the problem, by which
    `trl_reward` finds it again; its reference stays out of the table.
    count: rows; None for all of a data set's split.  seed, level: of a procedural task's stream.

    >>> import palaestra as pal
    >>> rows = pal.trl_rows("gcd", count=2, level=1)
    >>> rows[0]["id"], rows[0]["prompt"][0]["role"]
    ('gcd/train/0/1/0', 'user')
    >>> print(rows[0]["prompt"][0]["content"])  # doctest: +ELLIPSIS
    What is the greatest common divisor of ... and ...?
    <BLANKLINE>
    Give your final answer as <answer>...</answer>.
    """
    chosen = registry.get(task) if isinstance(task, str) else task
    return [
        {"prompt": _messages_of(problem, chosen.instruction), "id": problem.id}
        for problem in chosen.problems(split, count, seed, level)
    ]


_COLUMNS = ("id", "reference", "metadata")


def _find_problem(by_id: ProblemsById, prompt: Any, row: Mapping[str, Any]) -> Problem:
    """The row's own problem where it brings a reference, else the task's problem of that id."""
    if "reference" in row:
        return Problem(prompt, row["reference"], row.get("metadata") or {}, str(row.get("id", "")))
    if "id" not in row:
        raise TaskError(
            "The data set has neither a column id nor a column reference; make its rows with "
            "palaestra.trl_rows."
        )
    return by_id.get(str(row["id"]))


def _messages_of(problem: Problem, instruction: str) -> list[Message]:
    messages = read_messages(problem.prompt, problem.name)
    return add_instruction(messages, instruction, "\n\n", problem.name)


def _text_of(completion: str | Sequence[Message]) -> str:
    """What the model wrote; calls of tools and what they gave back are left out."""
    if isinstance(completion, str):
        return completion
    own = [
        message.get("content") for message in completion if message.get("role", "assistant") == "assistant"
    ]
    return "\n".join(text for text in own if isinstance(text, str))
