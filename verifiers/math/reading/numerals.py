"""Numbers spelled out, alone and with a unit: `forty-two`, `two thirds of a cup`, `an hour and a half`."""

from __future__ import annotations

from fractions import Fraction

from ..values import Num, Quantity, Unit, Unreadable
from .lexer import tokens_of
from .unit_phrases import known_phrase, unit_of
from .vocabulary import NUMBER_WORDS, ORDINALS, PARTS

_ARTICLES = frozenset(("a", "an", "the"))
_LONGEST = 9  # words of a number before a unit, at most
_SCALES = (("million", 10**6), ("thousand", 10**3), ("hundred", 100))
_MOST_WORDS = 20  # of a whole number


def number_in_words(folded: str) -> Fraction | None:
    """`seven`, `forty-two`, `two thirds`, `one and a half`."""
    if folded in NUMBER_WORDS:
        return Fraction(NUMBER_WORDS[folded])
    if folded in ORDINALS:
        return Fraction(ORDINALS[folded])
    tens, _, ones = folded.partition("-")
    if tens in NUMBER_WORDS and 0 < NUMBER_WORDS.get(ones, 0) < 10 and 20 <= NUMBER_WORDS[tens] < 100:
        return Fraction(NUMBER_WORDS[tens] + NUMBER_WORDS[ones])
    if (several := _whole(folded)) is not None:
        return Fraction(several)
    whole, joined, rest = folded.partition(" and ")
    if joined:
        added = number_in_words(rest) if rest.startswith(("a ", "one ", "two ", "three ")) else None
        count = NUMBER_WORDS.get(whole, _whole(whole))
        return Fraction(count) + added if added is not None and count is not None and 0 < added < 1 else None
    count, _, part = folded.replace("-", " ").partition(" ")
    amount = 1 if count == "a" else NUMBER_WORDS.get(count, 0)
    size = PARTS.get(part.removesuffix("s"), 0) if part else 2 if folded == "half" else 0
    return Fraction(amount or 1, size) if size and (amount or folded == "half") else None


def _whole(folded: str) -> int | None:
    """`one hundred and five`, `two thousand`, `minus seven`: a whole number of
    several words, below a thousand millions."""
    words = folded.replace("-", " ").replace("million,", "million").replace("thousand,", "thousand").split()
    sign = -1 if words[:1] in (["minus"], ["negative"]) else 1
    words = words[1:] if sign < 0 else words
    if len(words) == sign == 1 and words[0] not in ("thousand", "million"):
        return None
    number = _below(words, 0, first=True) if 0 < len(words) <= _MOST_WORDS else None
    return sign * number if number is not None else None


def _below(words: list[str], scale: int, first: bool = False) -> int | None:
    """The number that all of the words say, its parts in falling order; the
    scales before the given one are used up.

    first: whether the number begins here, so that "hundred" alone is one.
    """
    for index, (name, size) in enumerate(_SCALES[scale:], scale):
        if words.count(name) != 1:
            continue
        at = words.index(name)
        head, rest = words[:at], words[at + 1 :]
        count = 1 if head == ["a"] or (first and not head) else _below(head, 2 if size > 100 else 3)
        joined = rest[:1] == ["and"]
        rest = rest[joined:]
        below = _below(rest, index + 1) if rest else 0
        if count is None or not 0 < count < min(1000, 10 * size) or below is None or (rest and not below):
            return None
        return None if joined and not 0 < below < 100 else size * count + below
    return _small(words)


def _small(words: list[str]) -> int | None:
    """`seven`, `forty two`."""
    values = [NUMBER_WORDS.get(word, -1) for word in words]
    match values:
        case [value] if 0 <= value < 100:
            return value
        case [tens, ones] if 20 <= tens < 100 and 0 < ones < 10:
            return tens + ones
    return None


def amount_in_words(folded: str) -> Quantity | Num | None:
    """A number in words with a unit behind it; None for anything else.
    Ordinals count nothing (`second quadrant`)."""
    words = folded.split()
    if len(words) > _LONGEST + 8:
        return None
    if (amount := _and_a_half(words)) is not None:
        return amount
    for count in range(min(_LONGEST, len(words) - 1), 0, -1):
        number = number_in_words(" ".join(words[:count]))
        if number is None or (count == 1 and words[0] in ORDINALS):
            continue
        rest = words[count:]
        if " ".join(rest) in ("percent", "per cent"):
            return Num(number / 100)
        joined = rest[0] == "of"
        rest = rest[joined:]
        joined = joined or (bool(rest) and rest[0] in _ARTICLES)
        if rest and rest[0] in _ARTICLES:
            rest = rest[1:]
        unit = _unit(" ".join(rest), known=number.denominator != 1 or joined)
        return Quantity(Num(number), unit) if unit is not None else None
    return None


def _and_a_half(words: list[str]) -> Quantity | None:
    """`an hour and a half`; the article in front may have been left out."""
    if len(words) < 4 or "and" not in words:
        return None
    cut = words.index("and")
    number = (
        number_in_words(" ".join(words[cut + 1 :])) if words[cut + 1 : cut + 2] in (["a"], ["one"]) else None
    )
    if number is None or number >= 1:
        return None
    head = words[1:cut] if words[0] in ("a", "an", "one") else words[:cut]
    unit = _unit(" ".join(head), known=True)
    return Quantity(Num(1 + number), unit) if unit is not None else None


def _unit(text: str, known: bool) -> Unit | None:
    try:
        tokens = tokens_of(f" {text}")
    except Unreadable:
        return None
    return (known_phrase if known else unit_of)(tokens) if tokens else None


__all__ = ["amount_in_words", "number_in_words"]
