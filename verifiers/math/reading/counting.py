"""Binomial coefficients and permutations in other spellings: `5C3`, `C_5^3`, `5P2`."""

from __future__ import annotations

import re

_N, _K = (rf"(?:\{{ ?(?P<{name}>[0-9]{{1,4}}) ?\}}|(?P<{name}_bare>[0-9]{{1,4}}))" for name in "nk")
_NOT_LONGER = r"(?![\w.^{]| ?\)? ?_| ?\(?(?:in )?base)"
_INDEXED = re.compile(
    rf"(?:\{{ ?\}} ?|(?<![\w)}}\]])(?<![\w)}}\]] ))(?P<mark>[_^]) ?{_N} ?(?P<kind>[CP]) ?_ ?{_K}"
)
_PLAIN = re.compile(r"(?<![\w.\\}])(?P<n>[0-9]{1,4}) ?(?P<kind>[CP]) ?(?P<k>[0-9]{1,4})" + _NOT_LONGER)
_CALLED = re.compile(r"(?<![A-Za-z\\])(?P<kind>[CP]) ?\( ?(?P<n>[0-9]{1,4}) ?, ?(?P<k>[0-9]{1,4}) ?\)")
_STACKED = re.compile(rf"(?<![A-Za-z\\])(?P<kind>[CA]) ?_ ?{_N} ?\^ ?{_K}(?![\d(])")
_LETTER = re.compile(r"(?<!\\)(?<![A-Za-z])[A-Za-z]")
_ARITHMETIC = re.compile(r"[-+*/^!]|\\(?:cdot|times|div|frac)(?![a-z])")


def spell_counts(text: str) -> str:
    """A normalised text with `5C3`, `{}_5C_3`, `C_5^3` as binomials, and
    `5P2`, `A_5^2` as quotients of factorials.

    `C_5^3` is one in a text without letters alone, and `C(5, 3)` in arithmetic alone:
    else they are a power and a point.
    """
    if "C" not in text and "P" not in text and "A" not in text:
        return text
    text = _PLAIN.sub(_spell_count, _INDEXED.sub(_spell_count, text))
    if "_" in text and not _LETTER.search(_STACKED.sub(" ", text)):
        text = _STACKED.sub(_spell_count, text)
    if "(" in text and _ARITHMETIC.search(_CALLED.sub(" ", text)):
        text = _CALLED.sub(_spell_count, text)
    return text


def _spell_count(match: re.Match[str]) -> str:
    said = match.groupdict()
    n, k = (int(said[name] or said[f"{name}_bare"]) for name in "nk")
    if k > n or (match["kind"] == "P" and said.get("mark") == "^"):  # {}^3P_2 is a term of spectroscopy
        return match[0]
    return rf" \binom{{{n}}}{{{k}}} " if match["kind"] == "C" else rf" \frac{{{n}!}}{{{n - k}!}} "


__all__ = ["spell_counts"]
