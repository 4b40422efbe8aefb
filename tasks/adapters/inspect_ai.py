"""A rubric for Inspect: a scorer, and a task as an `inspect_ai.Task`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ...verifiers import Score
from .datasets import write_prompt
from .rows import RowScorer, Scored, as_task, import_tool


def inspect_scorer(
    scored: Scored, *, allow_weak_sandbox: bool = False, say: Callable[[str], None] = print
) -> Any:
    """A rubric as a scorer of `inspect_ai`, for `Task(..., scorer=inspect_scorer("gcd"))`.

    Its values are `passed` (0 or 1) and `reward`; a sample on which the rubric abstains is not scored. A
    sample names its problem by its id (as `inspect_task` writes it), or its target is the reference, and its
    metadata is the problem's.
    Raises UserError where inspect_ai is not installed, or the sandbox is too weak.
    """
    tool = import_tool("inspect_ai.scorer")
    scorer = RowScorer(scored, allow_weak_sandbox, say)

    async def score(state: Any, target: Any) -> Any:
        row = {**(state.metadata or {}), "id": state.sample_id, "reference": target.text}
        row["prompt"] = state.input_text
        found = await asyncio.to_thread(scorer.score, state.output.completion, row)
        if found.abstained:
            return tool.Score.unscored(explanation=_explain(found))
        verdict = found.correctness
        values = {"passed": float(found.passed), "reward": found.reward}
        return tool.Score(
            value=values, answer=verdict.answer if verdict else None, explanation=_explain(found)
        )

    measures = [tool.mean(), tool.stderr()]
    registered = tool.scorer(metrics={"passed": measures, "reward": measures}, name=scorer.task.name)
    return registered(lambda: score)()


def inspect_task(
    task: Any,
    split: str = "test",
    count: int | None = None,
    *,
    seed: int = 0,
    allow_weak_sandbox: bool = False,
    say: Callable[[str], None] = print,
) -> Any:
    """A task as an `inspect_ai.Task`: `inspect_ai.eval(inspect_task("gcd", count=100), model=...)`.

    count: problems; None for all of a data set's split.  seed: of a procedural task's stream.
    Raises UserError where inspect_ai is not installed, or the sandbox is too weak.
    """
    tool, chosen = import_tool("inspect_ai"), as_task(task)
    samples = import_tool("inspect_ai.dataset")
    problems = chosen.problems(split, count, seed)
    rows = [
        samples.Sample(
            id=problem.id,
            input=write_prompt(problem, chosen.instruction, chat=False),
            target=str(problem.reference),
            metadata=dict(problem.metadata),
        )
        for problem in problems
    ]
    scorer = inspect_scorer(chosen, allow_weak_sandbox=allow_weak_sandbox, say=say)
    return tool.Task(dataset=samples.MemoryDataset(rows), scorer=scorer, name=chosen.name)


def _explain(score: Score) -> str:
    return "\n".join(f"{name}: {part.status} {part.reason}".strip() for name, part in score.parts.items())
