"""Text into tokens, in one pass. Number literals become exact rationals here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from ...rationals import MAX_DIGITS
from ..values import Unreadable

MAX_TOKENS = 1_000
MAX_EXPONENT = 2_000

Kind = Literal["number", "word", "command", "mark", "currency"]


@dataclass(frozen=True, slots=True)
class Token:
    """kind, its text, its value (numbers), and whether white space stands before it."""

    kind: Kind
    text: str
    spaced: bool
    value: Fraction | None = None


# 7 711; a fraction after it makes a mixed number
_SPACED = r"(?!0)\d{1,3}(?:(?:\ \d{3})+|(?:~\d{3})+)(?!\d|\ ?/)"
_GROUPED = rf"\d{{1,3}}(?:(?:\{{,\}}\d{{3}})+|(?:\\,\d{{3}})+)(?!\d)|{_SPACED}"
_COMMAS = r"\d{1,3}(?:,\d{3})+(?!\d)|"
_DECIMALS = r"\d{3}(?:\\,\d{3})+(?!\d)|\d{3}(?:\ \d{3})+(?!\d|\ ?/)|\d+"
_REPEATED = r"\(\d+\)(?=$|[\s,)%\]\\}])"


def _pattern(grouped: str) -> re.Pattern[str]:
    return re.compile(
        rf"""
        (?P<space>\s+ | ~ | \\,)
        | (?P<lone>\d+\.(?=\\(?:overline|bar|dot)|\(\d))
        | (?P<number>(?:(?P<whole>{grouped} | \d+)(?P<point>\.(?P<part>{_DECIMALS}))? | \.(?P<bare>\d+))
            (?:(?P<period>\\overline\s*\{{\s*\d+\s*\}} | \\bar\s*\{{?\s*\d+\s*\}}? | \\dot\s*\{{?\s*\d\s*\}}?
                | (?(point){_REPEATED}|(?(bare){_REPEATED}|(?!)))) )?
            (?P<dots>\.\.\. | \\ldots | \\dots | \\cdots)?
            (?:[eE](?P<power>[+-]?\d{{1,9}})(?![A-Za-z0-9.]) | \ ?[eE]\ ?\{{(?P<braced>[+-]?\d{{1,9}})\}})?)
        | (?P<word>[A-Za-z]+)
        | \\(?P<command>[A-Za-z]+)\*?
        | (?P<currency>[\x01€£¥¢₹])
        | (?P<mark>\*\* | <= | >= | != | <> | == | \\[{{}}|%&\\] | -> | [-+*/^_=<>(){{}}\[\]|,;:!%'"&.?\#@])
        """,
        re.VERBOSE,
    )


_TOKEN = _pattern(_COMMAS + _GROUPED)
_TOKEN_INSIDE = _pattern(_GROUPED)  # inside brackets a comma parts the items
_OPENING = {"(", "[", "\\{"}
_CLOSING = {")", "]", "\\}"}


def tokens_of(text: str) -> list[Token]:
    """All tokens of a normalised text. Raises Unreadable for an unknown character or more than MAX_TOKENS."""
    tokens: list[Token] = []
    position, depth, spaced = 0, int(_lists(text)), False
    while position < len(text):
        match = (_TOKEN_INSIDE if depth else _TOKEN).match(text, position)
        if match is None or len(tokens) >= MAX_TOKENS:
            raise Unreadable(f"unknown character {text[position]!r}" if match is None else "too many tokens")
        kind = _PLAIN.get(match.lastgroup or "", "number")
        position = match.end()
        if kind == "space":
            spaced = True
            continue
        if kind == "number":
            if match["lone"]:
                repeating = _LONE.match(text, match.start())
                if repeating is None:
                    raise Unreadable("a decimal point without decimals")
                position = repeating.end()
                tokens.append(
                    Token("number", repeating[0], spaced, _periodic(repeating[1], "", repeating[2]))
                )
            else:
                literal, position = _literal(match, bool(tokens) and tokens[-1].text in _BEFORE_ONE_NUMBER)
                tokens.append(Token("number", text[match.start() : position], spaced, literal))
        else:
            symbol = match[kind]
            depth += (symbol in _OPENING or (symbol == "{" and _opens_a_set(tokens))) - (
                symbol in _CLOSING and depth > 0
            )
            tokens.append(Token(kind, symbol, spaced))
        spaced = False
    return tokens


def _lists(text: str) -> bool:
    """Whether a comma parts two numbers that can't be groups of one, so that
    none does: `27,54,108,135` is four."""
    return text[:1].isdigit() and text.count(",") > 1 and _UNGROUPED.match(text) is not None


_UNGROUPED = re.compile(r"\d+(?:,\d+)*,\d{1,2}(?:,|$)")
_PLAIN: dict[str, Kind | Literal["space"]] = {
    "space": "space",
    "word": "word",
    "command": "command",
    "mark": "mark",
    "currency": "currency",
}
_LONE = re.compile(r"(\d+)\.(?:\\(?:overline|bar|dot)\s*\{?|\()\s*(\d+)\s*[})]?")


def _opens_a_set(before: list[Token]) -> bool:
    """Whether a plain brace here holds a list rather than a LaTeX argument."""
    return not before or (before[-1].kind == "mark" and before[-1].text in {"=", ",", "(", "[", "\\{"})


# what stands behind a space is no part of it
_BEFORE_ONE_NUMBER = frozenset(("^", "_", "frac", "dfrac", "tfrac", "sqrt"))


def _literal(match: re.Match[str], single: bool) -> tuple[Fraction, int]:
    """The value of a number literal, and where it ends."""
    whole, end = match["whole"] or "0", match.end()
    if match.end() - match.start() > MAX_DIGITS:
        raise Unreadable("a number of too many digits")
    if single and (" " in whole or "~" in whole):
        whole = re.split(r"\D", whole, maxsplit=1)[0]
        return Fraction(int(whole)), match.start() + len(whole)
    if not whole.isdigit():
        whole = re.sub(r"\D", "", whole)
    decimals = match["part"] or match["bare"] or ""
    if not decimals.isdigit():
        decimals = re.sub(r"\D", "", decimals)
    if match["period"]:
        value = _periodic(whole, decimals, re.sub(r"\D", "", match["period"]))
    elif match["dots"]:
        value = _continued(whole, decimals)
    else:
        value = Fraction(int(whole + decimals), 10 ** len(decimals)) if decimals else Fraction(int(whole))
    if match["power"] or match["braced"]:
        power = int(match["power"] or match["braced"])
        if abs(power) > MAX_EXPONENT:
            raise Unreadable("an exponent out of range")
        value *= Fraction(10) ** power
    return value, end


def _periodic(whole: str, decimals: str, period: str) -> Fraction:
    shift = 10 ** len(decimals)
    return Fraction(int(whole + decimals), shift) + Fraction(int(period), shift * (10 ** len(period) - 1))


def _continued(whole: str, decimals: str) -> Fraction:
    """`0.333...`: a block that the decimals end with three times over (two
    times, from two digits) repeats for ever."""
    for size in range(1, len(decimals) // 2 + 1):
        block = decimals[-size:]
        times = 3 if size == 1 else 2
        if decimals.endswith(block * times):
            head = decimals
            while head.endswith(block):
                head = head[:-size]
            return _periodic(whole, head, block)
    raise Unreadable("an ellipsis that doesn't say how the number goes on")
