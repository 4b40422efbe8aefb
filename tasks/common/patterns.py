"""Regular expressions as trees: written out, drawn from, and matched in time that no pattern can blow up.

Python's own engine goes back over a text again and again; matching here keeps the set of positions that a
part may end at, as bits, so that its work is at most parts times positions, squared where repeats are nested.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

LETTERS = "abcdefgh"
REPEATS: dict[str, tuple[int, int | None]] = {  # the least and the most of each, None for no bound
    "*": (0, None),
    "+": (1, None),
    "?": (0, 1),
    "{2}": (2, 2),
    "{1,3}": (1, 3),
}
MANY = 3  # repetitions that are drawn at most where a pattern sets no bound


@dataclass(frozen=True)
class Letters:
    """One letter of a set, of the LETTERS alone: `[^ab]` is one of the six others."""

    among: str
    text: str


@dataclass(frozen=True)
class Repeat:
    """most: None for no bound."""

    part: Node
    least: int
    most: int | None
    sign: str


@dataclass(frozen=True)
class Row:
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Either:
    parts: tuple[Node, ...]


Node = Letters | Repeat | Row | Either


def write(node: Node) -> str:
    """In the syntax that Python's `re` and most others share."""
    match node:
        case Letters(text=text):
            return text
        case Repeat(part=part, sign=sign):
            return write(part) + sign
        case Row(parts=parts):
            return "".join(map(write, parts))
        case Either(parts=parts):
            return f"({'|'.join(map(write, parts))})"


def matches(node: Node, text: str) -> bool:
    """Whether the whole text fits."""
    places: dict[str, int] = {}
    for place, letter in enumerate(text):
        places[letter] = places.get(letter, 0) | 1 << place
    return bool(_find_ends(node, places, 1) >> len(text))


def _find_ends(node: Node, places: dict[str, int], starts: int) -> int:
    """Where a part may end that begins at one of some positions: both as bits, bit 0 before the first letter.

    places: where each letter of the text stands, as bits.
    """
    match node:
        case Letters(among=among):
            here = 0
            for letter in among:
                here |= places.get(letter, 0)
            return (starts & here) << 1
        case Row(parts=parts):
            for part in parts:
                starts = _find_ends(part, places, starts) if starts else 0
            return starts
        case Either(parts=parts):
            ends = 0
            for part in parts:
                ends |= _find_ends(part, places, starts)
            return ends
        case Repeat(part=part, least=least, most=most):
            for _ in range(least):
                starts = _find_ends(part, places, starts)
            found, fresh, count = starts, starts, least
            while fresh and (most is None or count < most):
                fresh = _find_ends(part, places, fresh) & ~found
                found |= fresh
                count += 1
            return found


def draw_text(rng: random.Random, node: Node) -> str:
    """A text that fits."""
    match node:
        case Letters(among=among):
            return rng.choice(among)
        case Row(parts=parts):
            return "".join(draw_text(rng, part) for part in parts)
        case Either(parts=parts):
            return draw_text(rng, rng.choice(parts))
        case Repeat(part=part, least=least, most=most):
            count = rng.randint(least, least + MANY if most is None else most)
            return "".join(draw_text(rng, part) for _ in range(count))


def count_parts(node: Node) -> int:
    match node:
        case Letters():
            return 1
        case Repeat(part=part):
            return 1 + count_parts(part)
        case Row(parts=parts) | Either(parts=parts):
            return 1 + sum(map(count_parts, parts))


def draw_pattern(rng: random.Random, parts: int, depth: int) -> Row:
    """A sequence of so many parts, with groups in groups down to a depth (0 for none)."""
    return Row(tuple(_draw_part(rng, depth) for _ in range(parts)))


def _draw_part(rng: random.Random, depth: int) -> Node:
    part: Node
    if depth and rng.random() < 0.45:
        part = Either(
            tuple(draw_pattern(rng, rng.randint(1, 2), depth - 1) for _ in range(rng.randint(2, 3)))
        )
    else:
        part = _draw_letters(rng)
    if rng.random() < 0.5:
        return part
    sign = rng.choice(list(REPEATS))
    return Repeat(part, *REPEATS[sign], sign)


def _draw_letters(rng: random.Random) -> Letters:
    if rng.random() < 0.6:
        letter = rng.choice(LETTERS)
        return _make_letters(letter)
    chosen = "".join(sorted(rng.sample(LETTERS, rng.randint(2, 3))))
    return _make_letters(f"[{'^' * (rng.random() < 0.3)}{chosen}]")


@lru_cache(maxsize=256)
def parse(text: str) -> Node:
    """The tree of a pattern that `write` wrote. Raises ValueError for another one."""
    node, place = _parse_row(text, 0)
    if place < len(text):
        raise ValueError(f"The pattern {text} is not understood from place {place}.")
    return node


def _parse_row(text: str, place: int) -> tuple[Node, int]:
    parts: list[Node] = []
    while place < len(text) and text[place] not in "|)":
        part, place = _parse_part(text, place)
        sign = next((sign for sign in REPEATS if text.startswith(sign, place)), "")
        parts.append(Repeat(part, *REPEATS[sign], sign) if sign else part)
        place += len(sign)
    return Row(tuple(parts)), place


def _parse_part(text: str, place: int) -> tuple[Node, int]:
    if text[place] == "(":
        parts = []
        while text[place] in "(|":
            part, place = _parse_row(text, place + 1)
            parts.append(part)
        return Either(tuple(parts)), place + 1
    end = text.index("]", place) + 1 if text[place] == "[" else place + 1
    return _make_letters(text[place:end]), end


def _make_letters(text: str) -> Letters:
    inside = text.strip("[]")
    if inside.startswith("^"):
        return Letters("".join(letter for letter in LETTERS if letter not in inside), text)
    return Letters(inside, text)
