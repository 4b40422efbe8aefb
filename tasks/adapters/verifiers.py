"""A rubric for environments of the library `verifiers`: a `verifiers.Rubric`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ..core.errors import UserError
from .rows import RowScorer, Scored, import_tool, read_text


def verifiers_rubric(
    scored: Scored, *, allow_weak_sandbox: bool = False, say: Callable[[str], None] = print
) -> Any:
    """A rubric as a `verifiers.Rubric` (verifiers below 0.2, whose environments have one).

    Its reward is the rubric's; `passed` and `abstained` are metrics beside it. Where the rubric abstains the
    reward is 0, since there is no word for it there: look at `abstained`.
    A row names its problem by `id` (as `as_dataset` writes it), or brings `answer`.

        rubric = pal.adapters.verifiers_rubric("gcd")
        env = verifiers.SingleTurnEnv(dataset=pal.as_dataset("gcd", count=100), rubric=rubric)

    Raises UserError where verifiers is not installed or has no rubrics, or the sandbox is too weak.
    """
    tool = import_tool("verifiers", "'verifiers<0.2'")  # by its name: a folder here is called so, too
    if not hasattr(tool, "SingleTurnEnv"):
        raise UserError(
            "This verifiers has no environments with rubrics. Install: pip install 'verifiers<0.2'"
        )
    scorer = RowScorer(scored, allow_weak_sandbox, say)

    async def reward(completion: Any, answer: Any, state: Any) -> float:
        row = {"answer": answer, **_read_row(state)}
        found = await asyncio.to_thread(scorer.score, read_text(completion), row)
        state["passed"], state["abstained"] = float(found.passed), float(found.abstained)
        return found.reward

    async def passed(state: Any) -> float:
        return state["passed"]

    async def abstained(state: Any) -> float:
        return state["abstained"]

    reward.__name__ = scorer.task.name
    return tool.Rubric(funcs=[reward, passed, abstained], weights=[1.0, 0.0, 0.0])


def _read_row(state: Any) -> dict[str, Any]:
    row = state.get("input")
    info = state.get("info")
    found = {**(info if isinstance(info, Mapping) else {}), **(row if isinstance(row, Mapping) else {})}
    return {name: value for name, value in found.items() if value is not None}
