"""How long a completion is, between bounds."""

from __future__ import annotations

from typing import Literal

from ..criterion import Criterion
from ..extract import after_thinking
from ..types import Completion, ProblemLike, Verdict, correct, no_answer, partial, wrong

Unit = Literal["characters", "words"]
Part = Literal["all", "answer"]


def length(
    most: int | None = None,
    least: int = 0,
    name: str = "length",
    weight: float = 0.1,
    *,
    unit: Unit = "words",
    part: Part = "all",
    ramp: int = 0,
    gate: bool = False,
) -> Criterion:
    """The completion has `least` to `most` words or characters; no tokenizer is asked.

    most, least: bounds in `unit`, both included; most=None: no upper one.
    unit: words are what white space separates: a model may learn to leave it out, so bound characters where
        that matters.
    part: `all` of the completion, or the `answer`, what follows the last think block.
    ramp: units beyond a bound over which the value falls from 1 to 0 in a straight line; 0 falls at once.
    Raises ValueError for bounds that nothing can keep.
    """
    if least < 0 or ramp < 0 or (most is not None and most < least) or (most is None and not least):
        raise ValueError(
            f"length(most={most}, least={least}, ramp={ramp}): give a bound, 0 <= least <= most, and a ramp "
            "of 0 or more."
        )
    if unit not in ("characters", "words") or part not in ("all", "answer"):
        raise ValueError(f"unit={unit!r}, part={part!r}: units are characters or words, parts all or answer.")

    def check(completion: Completion, _problem: ProblemLike) -> Verdict:
        text = completion.text if part == "all" else after_thinking(completion.text)
        if text is None:
            return no_answer("The think block never ends.")
        size = len(text) if unit == "characters" else len(text.split())
        if not text.strip():
            return no_answer("Nothing is said.")
        beyond = max(least - size, size - most if most is not None else 0)
        if beyond <= 0:
            return correct()
        said = f"{size:,} {unit}, {beyond:,} too {'few' if size < least else 'many'}."
        return partial(1 - beyond / (ramp + 1), reason=said) if beyond <= ramp else wrong(reason=said)

    return Criterion(name, check, weight, gate, form=True)
