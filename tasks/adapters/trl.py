"""A rubric for TRL's trainers: a function for `reward_funcs`.

TRL need not be installed: what it passes is lists, and what it takes back is a list of floats.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, overload

from .rows import RowScorer, Scored, read_text

TRLReward = Callable[..., list[float | None]]
AsyncTRLReward = Callable[..., Awaitable[list[float | None]]]


@overload
def trl_reward(
    scored: Scored,
    *,
    asynchronous: Literal[False] = False,
    allow_weak_sandbox: bool = False,
    say: Callable[[str], None] = print,
) -> TRLReward: ...
@overload
def trl_reward(
    scored: Scored,
    *,
    asynchronous: Literal[True],
    allow_weak_sandbox: bool = False,
    say: Callable[[str], None] = print,
) -> AsyncTRLReward: ...
def trl_reward(
    scored: Scored,
    *,
    asynchronous: bool = False,
    allow_weak_sandbox: bool = False,
    say: Callable[[str], None] = print,
) -> TRLReward | AsyncTRLReward:
    """A rubric as `reward(prompts, completions, **columns)`, for `reward_funcs` of TRL's GRPOTrainer or
    RLOOTrainer.

    scored: a task, its name, the path of its file, or a rubric.
    asynchronous: a coroutine function, whose completions are scored at once, in threads: for rubrics that
        wait for programs or for a judge.
    allow_weak_sandbox, say: for a rubric that runs programs; the sandbox's layers are checked and said now.
    The columns of the data set say which problem a row is: `id` (as `as_dataset` writes it), or `reference`
    or `answer`; then the others are what the rubric reads of it. Completions are texts, or lists of messages,
    whose assistant turns count. Rewards are the rubric's; None, TRL's word for "no reward from this
    function", where the rubric abstained. A learned criterion has no reward model there: its rubric always
    abstains.
    Raises UserError where the sandbox is too weak, TaskError for rows that name no problem.

    >>> import palaestra as pal
    >>> reward = pal.trl_reward("gcd")
    >>> said = [[{"role": "assistant", "content": text}] for text in ("<answer>6</answer>", "6")]
    >>> reward(prompts=["gcd of 12 and 18?"] * 2, completions=said, reference=["6", "6"])
    [1.0, 0.0]
    """
    scorer = RowScorer(scored, allow_weak_sandbox, say)

    def score(
        index: int, prompts: Sequence[Any], completions: Sequence[Any], columns: dict[str, Any]
    ) -> float | None:
        row = {name: values[index] for name, values in columns.items() if _is_column(values, len(prompts))}
        ids = row.pop("completion_ids", ())
        found = scorer.score(read_text(completions[index]), {**row, "prompt": prompts[index]}, ids)
        return None if found.abstained else found.reward

    def reward(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
        return [score(index, prompts, completions, columns) for index in range(len(completions))]

    async def reward_at_once(
        prompts: Sequence[Any], completions: Sequence[Any], **columns: Any
    ) -> list[float | None]:
        return await asyncio.gather(
            *(
                asyncio.to_thread(score, index, prompts, completions, columns)
                for index in range(len(completions))
            )
        )

    chosen = reward_at_once if asynchronous else reward
    chosen.__name__ = scorer.task.name  # by which TRL names its metrics
    return chosen


def _is_column(values: Any, size: int) -> bool:
    """Whether it is a column of the data set: TRL passes its own state and hooks beside them."""
    return isinstance(values, Sequence) and not isinstance(values, str) and len(values) == size
