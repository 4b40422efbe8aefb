"""What criteria on a final answer share: extraction by sources, then a judgement;
what a prompt must say of the form."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..criterion import Check, Criterion
from ..extract import MARKED, Source, add_lenient, extract
from ..types import Completion, ProblemLike, Verdict


def answer_criterion(
    name: str,
    judge: Callable[[Any, str], Verdict],
    *,
    weight: float = 1.0,
    sources: tuple[Source, ...] = MARKED,
    render: Callable[[Any], str] = lambda reference: f"<answer>{reference}</answer>",
    loosen: Callable[[str], str] = str,
    rewrite: Callable[[str], Iterable[str]] | None = None,
    several: bool = False,
) -> Criterion:
    """A criterion that extracts the final answer by `sources` and lets `judge(reference, answer)` decide.

    loosen: what a lenient evaluation makes of the extracted answer before it is judged; nothing by default.
    rewrite: other texts of an answer that mean the same and are read, for `palaestra task check`.
    several: whether a problem may have several right answers.
    """
    check, lenient_check = _extract_then(judge, sources), _extract_then(judge, add_lenient(sources), loosen)
    hint = HINTS.get(sources[0], "")
    return Criterion(
        name,
        check,
        weight,
        render=render,
        instruction=hint,
        lenient=lenient_check,
        rewrite=rewrite,
        several=several,
    )


TAG_HINT = "Give your final answer as <answer>...</answer>."
BOX_HINT = "Put your final answer within \\boxed{}."
HINTS: dict[Source, str] = {"tag": TAG_HINT, "boxed": BOX_HINT}


def _extract_then(
    judge: Callable[[Any, str], Verdict], sources: tuple[Source, ...], loosen: Callable[[str], str] = str
) -> Check:
    def check(completion: Completion, problem: ProblemLike) -> Verdict:
        extraction = extract(completion.text, sources)
        if extraction.failure is not None:
            return extraction.failure
        assert extraction.answer is not None
        return judge(problem.reference, loosen(extraction.answer))

    return check
