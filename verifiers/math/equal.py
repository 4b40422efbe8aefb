"""The front of the pipeline: equal strings and plain numbers; all else is left to `pipeline`,
imported at its first use."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from numbers import Number

from ..forks import NO_FORK
from ..rationals import parse_rational
from ..types import Verdict, correct, wrong
from .types import CACHED_CHARS, Explanation, Judgement, Reference, Tolerance

CACHED_VERDICTS = 65_536


def math_equal(
    reference: Reference | Number,
    answer: str | Number,
    *,
    tolerance: float | None = None,
    absolute: float | None = None,
    any_brackets: bool = False,
    accept: str = "all",
    significant_figures: int | None = None,
    base_optional: bool = False,
) -> Verdict:
    """Whether `answer` says the same as `reference`, by the rules of docs/math.md. Never raises on any text.

    tolerance: numbers may be off by this share of the reference (0.04 is 4 per cent); None is exact.
    absolute: numbers may be off by this much; None is exact.
    any_brackets: (1, 2), [1, 2] and the bare list 1, 2 are one ordered thing.
    significant_figures: a reference that is one number is met by what rounds to it at the figures it is
        written with, or at this many where it has fewer; None is exact.
    base_optional: `2516` answers `2516_8`: a numeral may leave out the base that the reference names.
    answer: a text; a number, here and in the reference, stands for its text.
    reference: a text, or several: each one required, in any order (accept="all"),
        or any one of them (accept="any").
    Verdicts: correct, wrong (with a reason, also for what could not be shown equal),
        no_answer (empty, or too long to be one).

    >>> import palaestra as pal
    >>> pal.verify("x^2 - 1", "(x+1)(x-1)").correct, pal.verify("1/3", "0.33").correct
    (True, False)
    >>> pal.verify("1/3", "0.33", tolerance=0.02).correct
    True
    """
    reference, answer = _as_reference(reference), _as_text(answer)
    plain = not (tolerance or absolute) and significant_figures is None
    if plain and reference == answer and answer.strip() and len(answer) < 64 and answer.isdigit():
        return correct(answer, "equal strings")
    settings = Tolerance(
        _share(tolerance), _share(absolute), any_brackets, _figures(significant_figures), base_optional
    )
    if accept not in ("all", "any"):
        raise ValueError(f"accept={accept!r} is not known; it is 'all' or 'any'.")
    if accept == "any" and not isinstance(reference, str):
        verdicts = [_judge(each, answer, settings).verdict for each in reference]
        return next((verdict for verdict in verdicts if verdict.correct), verdicts[-1])
    return _judge(reference, answer, settings).verdict


def explain(
    reference: Reference | Number,
    answer: str | Number,
    *,
    tolerance: float | None = None,
    absolute: float | None = None,
    significant_figures: int | None = None,
    base_optional: bool = False,
) -> Explanation:
    """`math_equal` with its grounds."""
    reference, answer = _as_reference(reference), _as_text(answer)
    figures = _figures(significant_figures)
    settings = Tolerance(
        _share(tolerance), _share(absolute), significant_figures=figures, base_optional=base_optional
    )
    judgement = _judge(reference, answer, settings)
    with NO_FORK:
        from .pipeline import show_text

    return Explanation(judgement.verdict, show_text(reference), show_text(answer), judgement.stage)


def _as_text(value: object) -> str:
    """A text, or the text of a number."""
    if isinstance(value, str):
        return value
    if isinstance(value, Number) and not isinstance(value, bool):
        return str(value)
    raise TypeError(
        f"Texts and numbers are compared, and {value!r:.80} is a {type(value).__name__}: give its text."
    )


def _as_reference(value: object) -> Reference:
    if isinstance(value, (tuple, list)):
        return tuple(map(_as_text, value))
    return _as_text(value)


@lru_cache(maxsize=256)
def _share(value: float | None) -> Fraction:
    if value is not None and not 0 <= value < float("inf"):
        raise ValueError(f"The tolerance {value} is no finite number of 0 or more.")
    return Fraction(str(value)) if value else Fraction(0)


def _figures(count: int | None) -> int:
    if count is not None and not 1 <= count <= 50:
        raise ValueError(
            f"{count} significant figures can't be asked for; it is 1 to 50, or None for exact numbers."
        )
    return count or 0


def _judge(reference: Reference, answer: str, tolerance: Tolerance) -> Judgement:
    return (_judge_cached if len(answer) <= CACHED_CHARS else _judge_uncached)(reference, answer, tolerance)


@lru_cache(maxsize=CACHED_VERDICTS)
def _judge_cached(reference: Reference, answer: str, tolerance: Tolerance) -> Judgement:
    return _judge_uncached(reference, answer, tolerance)


def _judge_uncached(reference: Reference, answer: str, tolerance: Tolerance) -> Judgement:
    x = parse_rational(reference) if isinstance(reference, str) else None
    y = parse_rational(answer) if x is not None else None
    if x is not None and y is not None:
        same = x == y or tolerance.at(str(reference), x).holds(x, y)
        return Judgement(correct(answer) if same else wrong(answer, "Another number."), "exact")
    with NO_FORK:
        # brings the parser along: only answers that aren't plain numbers pay for it
        from .pipeline import judge

    return judge(reference, answer, tolerance)


__all__ = ["Explanation", "Judgement", "Reference", "explain", "math_equal"]
