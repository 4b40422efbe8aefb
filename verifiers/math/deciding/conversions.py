"""One value as another type, for a comparison with it: a ratio as a clock time,
text and products as letters of choices."""

from __future__ import annotations

from ..values import Clock, Product, Ratio, Sequence, Sym, Value, Words
from .exact import constant

_LETTERS = frozenset("ABCDEFGH")
MAX_LETTERS = 8


def ratio_clock(ratio: Ratio) -> Clock | None:
    """`15 : 30`, read as a ratio, as a time of day."""
    numbers = [constant(part) for part in ratio.parts]
    if len(numbers) > 3 or any(number is None or number.denominator != 1 for number in numbers):
        return None
    hours, minutes, *rest = (int(number) for number in numbers if number is not None)
    if not (0 <= hours < 24 and 0 <= minutes < 60):
        return None
    return Clock(3600 * hours + 60 * minutes + (rest[0] if rest else 0))


def letters_of(value: Value) -> frozenset[str] | None:
    """The letters of `ABD` and of `A, B, D`, none twice; None for any other value."""
    match value:
        case Words(text) if 2 <= len(text) <= MAX_LETTERS:
            letters = frozenset(text.upper())
            return letters if letters <= _LETTERS and sorted(letters) == list(text.upper()) else None
        case Product(items) | Sequence("answers" | "set", items) if 2 <= len(items) <= MAX_LETTERS:
            names = [
                item.factors[0] if isinstance(item, Product) and len(item.factors) == 1 else item
                for item in items
            ]
            letters = frozenset(name.name for name in names if isinstance(name, Sym))
            return letters if len(letters) == len(items) and letters <= _LETTERS else None
    return None
