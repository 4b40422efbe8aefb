"""What a check of two answers is given and gives back; how far a number may be off.
The light half needs nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from ..regexes import compile_once
from ..types import Verdict

_LITERAL = r"(?<![\^_\d.{])(?<!\^\{-)(?<!\^-)(\d[\d,]*(?:\.\d+)?|\.\d+)(?!\d|\s*\^)"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Numbers are equal within `relative` times the reference's size, or within `absolute`.

    significant_figures: 0, or at how many figures, at least,
        a number is compared with a reference that is one number.
    base_optional: a numeral may leave out the base that the reference names.
    """

    relative: Fraction = Fraction(0)
    absolute: Fraction = Fraction(0)
    any_brackets: bool = False
    significant_figures: int = 0
    base_optional: bool = False

    def holds(self, expected: Fraction, value: Fraction) -> bool:
        return abs(expected - value) <= max(self.absolute, self.relative * abs(expected))

    def at(self, text: str, value: Fraction | None) -> Tolerance:
        """The tolerance for a reference of this text and value: half a unit
        of its last figure, as a share of it."""
        if not self.significant_figures or not value:
            return self
        figures = max(self.significant_figures, figures_written(text))
        share = Fraction(10) ** (_magnitude(abs(value)) - figures + 1) / 2 / abs(value)
        return replace(self, relative=max(self.relative, share))


def figures_written(text: str) -> int:
    """The most figures that a number in a text is written with, leading zeros
    aside; exponents and subscripts don't count."""
    digits = [re.sub(r"[,.]", "", literal).lstrip("0") for literal in compile_once(_LITERAL).findall(text)]
    return max(map(len, digits), default=0)


def _magnitude(value: Fraction) -> int:
    """The largest n with 10^n <= value."""
    guess = len(str(value.numerator)) - len(str(value.denominator))
    return guess if Fraction(10) ** guess <= value else guess - 1


EXACT = Tolerance()


Reference = str | tuple[str, ...]


# of an answer whose verdict is kept: long ones, each of its own, would fill the memory of a long run
CACHED_CHARS = 256


class Explanation(NamedTuple):
    """What `palaestra verify` prints: the verdict, both values as they were read, the stage that decided."""

    verdict: Verdict
    reference: str
    answer: str
    stage: str


class Judgement(NamedTuple):
    verdict: Verdict
    stage: str
