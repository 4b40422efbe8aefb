"""Standard output compared with the expected one."""

from __future__ import annotations

import math
import re

_NUMBER = re.compile(rb"[+-]?(?:[0-9]+(\.[0-9]*)?|(\.[0-9]+))([eE][+-]?[0-9]{1,6})?")
_MAX_WORD = 400  # bytes of a word that is read as a number


def same_text(expected: str, printed: str, tolerance: float | None = None) -> bool:
    """The same words line by line; white space at line ends and empty lines at the end do not count.

    White space is that of ASCII, lines end with a line feed. Linear in the length of both.

    tolerance: when given, two words that are both decimal numbers, in the digits and signs that programs
    print, match within this relative or absolute difference. Two integers match only when they are equal.
    """
    if expected == printed:
        return True
    ours, theirs = (
        text.encode("utf-8", "surrogatepass").rstrip().split(b"\n") for text in (expected, printed)
    )
    return len(ours) == len(theirs) and all(
        _same_line(a, b, tolerance) for a, b in zip(ours, theirs, strict=True)
    )


def _same_line(expected: bytes, printed: bytes, tolerance: float | None) -> bool:
    ours, theirs = expected.split(), printed.split()
    if ours == theirs or tolerance is None or len(ours) != len(theirs):
        return ours == theirs
    return all(_same_word(a, b, tolerance) for a, b in zip(ours, theirs, strict=True))


def _same_word(expected: bytes, printed: bytes, tolerance: float) -> bool:
    if expected == printed:
        return True
    if max(len(expected), len(printed)) > _MAX_WORD:
        return False
    mine, theirs = _NUMBER.fullmatch(expected), _NUMBER.fullmatch(printed)
    if mine is None or theirs is None:
        return False
    if mine.lastindex is None and theirs.lastindex is None:
        return int(expected) == int(printed)
    a, b = float(expected), float(printed)
    # Beyond the range of floats two numbers can't be told apart, and are not taken for equal.
    return math.isfinite(a) and math.isfinite(b) and math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
