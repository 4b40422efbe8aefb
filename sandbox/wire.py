"""What crosses the sandbox's boundary: frames of JSON, the check of a claim, the comparison of two values.

`plain.py` says how a value becomes a tree. Everything here that sees a claim takes time and memory linear in
its bytes: it is bounded in depth and nodes while it is read, and its parts are compared by their texts, never
by building them.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal

from .plain import (
    CONTAINERS,
    MAX_DECIMAL,
    MAX_DEPTH,
    MAX_FRACTION,
    MAX_NODES,
    SMALL,
    TYPES,
    Malformed,
    Unencodable,
    build_moment,
    decode,
    encode,
    is_dtype,
    weigh,
)

__all__ = [
    "Compare",
    "Malformed",
    "Unencodable",
    "check",
    "decode",
    "dumps",
    "encode",
    "loads",
    "same",
    "same_value",
]
Compare = Literal["exact", "json"]
_INT = re.compile(r"-?0x[1-9a-f][0-9a-f]*")
_PART = re.compile(r"-?0x(?:0|[1-9a-f][0-9a-f]*)")
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_DECIMAL = re.compile(r"(-?)([0-9]+)(?:\.([0-9]*))?(?:E([+-][0-9]{1,20}))?")
_MAX_FLOAT = 30  # characters of float.hex()
_MAX_DIGITS = 25  # of an integer in a frame; those beyond 64 bits are written as text
_LONG_NUMBER = rb"[0-9]{%d}" % _MAX_DIGITS
# A text is skipped whole, also one that never ends, so that nothing is read twice.
_TOKEN = re.compile(rb'(?s)"(?:[^"\\]+|\\.)*\\?(?:"|\Z)|([\[{]+)|([\]}]+)|(' + _LONG_NUMBER + rb")")
_MAX_FRAME_DEPTH = 2 * MAX_DEPTH + 20  # a dict's pairs are lists of their own
_DIGEST_FROM = 64  # characters of a canonical text
_MAX_JSON_KEY = 300  # characters of a number
_ORDERED = frozenset("ltQV")
_UNENDED = itertools.count()


def check(tree: Any) -> None:
    """Raise Malformed unless `tree` is one that `encode` writes for some value.

    Linear; level by level, no recursion.
    """
    level, nodes = [tree], 0
    for _ in range(MAX_DEPTH + 1):
        nodes += len(level)
        if nodes > MAX_NODES:
            raise Malformed(f"A value has more than {MAX_NODES:,} parts.")
        children: list[Any] = []
        for node in level:
            kind = type(node)
            if kind is str or node is None or kind is bool:
                continue
            if kind is int:
                if not -SMALL <= node < SMALL:
                    raise Malformed("An integer beyond 64 bits is not written in hexadecimal.")
                continue
            if kind is not list or not node or type(node[0]) is not str:
                raise Malformed("A value is not in the encoding.")
            children += _list_children(node)
        if not children:
            return
        level = children
    raise Malformed(f"A value is nested more than {MAX_DEPTH} levels deep.")


def _list_children(node: list[Any]) -> Iterable[Any]:
    tag = node[0]
    if tag in CONTAINERS or tag in ("K", "V"):
        return node[1:]
    if tag in ("d", "T"):
        if any(type(pair) is not list or len(pair) != 2 for pair in node[1:]):
            raise Malformed("A dict holds something that is not a pair.")
        return itertools.chain.from_iterable(node[1:])
    if tag == "I" and len(node) > 1 and type(node[1]) is bool:
        return node[2:]
    if tag == "a" and len(node) == 3 and is_dtype(node[2]):
        return node[1:2]
    if tag == "N" and _is_named(node):
        return node[1][1:]
    if not _is_leaf(tag, node[1:]):
        raise Malformed("A number, a text or bytes are not in the encoding.")
    return ()


def _is_named(node: list[Any]) -> bool:
    plain = node[1] if len(node) > 2 else None
    return (
        type(plain) is list
        and plain[:1] == ["t"]
        and len(plain) == len(node) - 2
        and all(type(name) is str and len(name) <= 100 and name.isidentifier() for name in node[2:])
    )


def _is_leaf(tag: str, items: list[Any]) -> bool:
    if tag == "r":
        return len(items) == 3 and None not in (parts := list(map(_read_integer, items))) and parts[2] != 0
    if tag == "e":
        try:
            build_moment(items)
        except (ValueError, TypeError, OverflowError):
            return False
        return True
    if not all(type(item) is str for item in items) or len(items) != (2 if tag in ("c", "q") else 1):
        return False
    match tag:
        case "i":
            return bool(_INT.fullmatch(items[0])) and not -SMALL <= int(items[0], 16) < SMALL
        case "f" | "c":
            return all(map(_is_float, items))
        case "b" | "B":
            return bool(_HEX.fullmatch(items[0]))
        case "q":
            return (
                all(len(item) <= MAX_FRACTION and _PART.fullmatch(item) for item in items)
                and int(items[1], 16) > 0
            )
        case "y":
            return items[0] in TYPES
        case "m":
            text = items[0]
            return text in ("NaN", "Infinity", "-Infinity") or _is_decimal(text)
    return False


def _read_integer(item: Any) -> int | None:
    if type(item) is int:
        return item
    is_big = type(item) is list and len(item) == 2 and item[0] == "i" and type(item[1]) is str
    return int(item[1], 16) if is_big and len(item[1]) < 100 and _INT.fullmatch(item[1]) else None


def _is_float(text: str) -> bool:
    try:
        return len(text) <= _MAX_FLOAT and float.fromhex(text).hex() == text
    except (ValueError, OverflowError):
        return False


def _is_decimal(text: str) -> bool:
    try:
        return len(text) <= MAX_DECIMAL and _DECIMAL.fullmatch(text) is not None and Decimal(text).is_finite()
    except ArithmeticError:  # an exponent that no Decimal has
        return False


@dataclass(frozen=True, slots=True)
class _Rules:
    """tolerance: relative or absolute difference of floats; None for none.

    loose: numbers by their value, an int like a float, and any ordered sequence like any other.
    key: turns a dict's key into a text; equal texts are equal keys.
    """

    tolerance: float | None
    loose: bool
    key: Callable[[Any], str]

    def loosen(self) -> _Rules:
        return self if self.loose else _Rules(self.tolerance, True, self.key)


def same(expected: Any, claimed: Any, tolerance: float | None = None, compare: Compare = "exact") -> bool:
    """Whether two trees are the same value. NaN equals NaN; -0.0 equals 0.0; Decimals are equal by value.

    tolerance: when given, a float matches an int or float within this relative or absolute difference.
    compare: `exact` is by type and value; with `json`, values that JSON can't tell apart are the same: a
    tuple (deque, iterator) is a list, 2 is 2.0, and a dict's key 2 is "2". What NumPy made is compared so in
    either case. The order of a dict or set does not matter; their keys are compared without tolerance.
    """
    loose = compare == "json"
    return _same(expected, claimed, _Rules(tolerance, loose, _write_json_key if loose else _write_key))


def same_value(expected: Any, value: Any, tolerance: float | None = None, compare: Compare = "exact") -> bool:
    """`same` for two values; False when either is no plain data."""
    try:
        return same(encode(expected), encode(value), tolerance, compare)
    except Unencodable:
        return False


def _same(a: Any, b: Any, rules: _Rules) -> bool:
    if type(a) is list and a[0] in "aN":
        return _same(a[1], b, rules if a[0] == "N" else rules.loosen())
    if type(b) is list and b[0] in "aN":
        return _same(a, b[1], rules if b[0] == "N" else rules.loosen())
    if type(a) is not list or type(b) is not list or a[0] in "fi" or b[0] in "fi":
        return _same_scalar(a, b, rules)
    tag, other = a[0], b[0]
    mine, theirs = _list_items(a), _list_items(b)
    if mine is not None or theirs is not None:
        if mine is None or theirs is None or len(mine) != len(theirs) or not (rules.loose or tag == other):
            return False
        return all(_same(x, y, rules) for x, y in zip(mine, theirs, strict=True))
    if tag != other and {tag, other} != {"s", "K"}:
        return False
    if tag in "szK":
        return len(a) == len(b) and sorted(map(_write_key, a[1:])) == sorted(map(_write_key, b[1:]))
    if tag in "dT":
        return len(a) == len(b) and _same_pairs(a[1:], b[1:], rules)
    return tag != "I" and _write_leaf(tag, a[1:]) == _write_leaf(tag, b[1:])


def _list_items(tree: list[Any]) -> list[Any] | None:
    """The items of a sequence or of an iterator that has ended; None for everything else."""
    if tree[0] in _ORDERED:
        return tree[1:]
    return tree[2:] if tree[0] == "I" and tree[1] else None


def _same_pairs(a: list[Any], b: list[Any], rules: _Rules) -> bool:
    ours, theirs = (
        sorted(((rules.key(key), item) for key, item in pairs), key=lambda pair: pair[0]) for pairs in (a, b)
    )
    return all(x[0] == y[0] for x, y in zip(ours, theirs, strict=True)) and all(
        _same(x[1], y[1], rules) for x, y in zip(ours, theirs, strict=True)
    )


def _same_scalar(a: Any, b: Any, rules: _Rules) -> bool:
    if a == b and type(a) is type(b):
        return True
    mine, theirs = _read_number(a), _read_number(b)
    if mine is None or theirs is None:
        return False
    if type(mine) is type(theirs) is int or rules.tolerance is None:
        return mine == theirs and (rules.loose or type(mine) is type(theirs))
    try:
        return math.isclose(mine, theirs, rel_tol=rules.tolerance, abs_tol=rules.tolerance)
    except OverflowError:  # an int that no float can hold
        return mine == theirs


def _read_number(tree: Any) -> int | float | None:
    """An int or float tree as a number; None for everything else, booleans included."""
    if type(tree) is int:
        return tree
    return decode(tree) if type(tree) is list and tree[0] in "fi" else None


def _write_key(tree: Any) -> str:
    """A text that two trees share exactly when they are the same value by type.

    Parts are put together with their lengths and shortened to a digest of 256 bits, so that it takes time
    linear in the tree.
    """
    if type(tree) is not list:
        return f'"{tree}' if type(tree) is str else f"={tree}"  # no tag begins so
    tag = tree[0]
    if tag in "aN":
        return _write_key(tree[1])
    if tag in "szK":
        parts = sorted(map(_write_key, tree[1:]))
    elif tag in CONTAINERS or tag == "V":
        parts = list(map(_write_key, tree[1:]))
    elif tag in "dT":
        parts = [
            part
            for pair in sorted((_write_key(key), _write_key(item)) for key, item in tree[1:])
            for part in pair
        ]
    elif tag == "I":  # one that has not ended is like no other, itself included
        parts = ["ended" if tree[1] else str(next(_UNENDED)), *map(_write_key, tree[2:])]
    else:
        parts = [_write_leaf(tag, tree[1:])]
    text = tag + "".join(f"{len(part)}:{part}" for part in parts)
    if len(text) < _DIGEST_FROM:
        return text
    import hashlib  # with OpenSSL, which no process inside the sandbox needs for this module

    return "#" + hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()


def _write_json_key(tree: Any) -> str:
    """As `_write_key`, but what JSON would write as one key is one key."""
    if type(tree) is list and tree[0] == "a":
        return _write_json_key(tree[1])
    if tree is None or type(tree) is bool:
        return f'"{json.dumps(tree)}'
    number = _read_number(tree) if weigh(tree, _MAX_JSON_KEY) <= _MAX_JSON_KEY else None
    return _write_key(tree) if number is None else f'"{number!r}'


def _write_leaf(tag: str, items: list[Any]) -> str:
    """A text that two numbers, texts, bytes or dates of one kind share exactly when they are equal."""
    if tag in "fc":
        return " ".join("0x0.0p+0" if item == "-0x0.0p+0" else item for item in items)
    if tag == "m":
        return _write_decimal(items[0])
    if tag == "r":
        numbers = decode(["r", *items])
        return (
            f"{_count_numbers(numbers)} {numbers.start if numbers else 0} "
            f"{numbers.step if numbers[1:] else 0}"
        )
    if tag == "e":
        return _write_moment(build_moment(items))
    return " ".join(items)


def _count_numbers(numbers: range) -> int:
    """`len`, which has no answer beyond 63 bits."""
    step = numbers.step
    return max(0, (numbers.stop - numbers.start + step - (1 if step > 0 else -1)) // step)


def _write_decimal(text: str) -> str:
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return text
    sign, whole, decimals, exponent = match[1], match[2], match[3] or "", int(match[4] or 0)
    digits = (whole + decimals).lstrip("0")
    short = digits.rstrip("0")
    return f"{sign}{short}E{exponent - len(decimals) + len(digits) - len(short)}" if short else "0"


def _write_moment(value: Any) -> str:
    """Those with an offset from UTC are equal when they name one instant."""
    if not isinstance(value, datetime | time) or value.tzinfo is None:
        return f"{type(value).__name__} {value!r}"
    days = value.toordinal() if isinstance(value, datetime) else 0
    offset = value.utcoffset() or timedelta()
    seconds = 60 * (60 * (24 * days + value.hour) + value.minute) + value.second
    return f"{type(value).__name__} {timedelta(seconds=seconds, microseconds=value.microsecond) - offset!r}"


def dumps(message: Any) -> bytes:
    """A message as one frame: four bytes of length, big-endian, then JSON in ASCII."""
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    return len(body).to_bytes(4, "big") + body


def loads(body: bytes) -> dict[str, Any]:
    """The message in a frame's body.

    Raises Malformed for anything but one JSON object without bare floats.
    """
    _check_bounds(body)
    try:
        message = json.loads(body.decode("ascii"), parse_float=_refuse, parse_constant=_refuse)
    except (ValueError, RecursionError) as failure:
        raise Malformed("A message is not JSON.") from failure
    if type(message) is not dict:
        raise Malformed("A message is not an object.")
    return message


def _check_bounds(body: bytes) -> None:
    """Refuse nesting and numbers that would be dear to read, whatever the interpreter's own limits."""
    if body.count(b"[") + body.count(b"{") <= _MAX_FRAME_DEPTH and re.search(_LONG_NUMBER, body) is None:
        return
    depth = 0
    for token in _TOKEN.finditer(body):
        if token.lastindex == 1:
            depth += token.end() - token.start()
        elif token.lastindex == 2:
            depth -= token.end() - token.start()
        elif token.lastindex == 3:
            raise Malformed("A message holds an integer of too many digits.")
        if depth > _MAX_FRAME_DEPTH:
            raise Malformed("A message is nested too deep.")


def _refuse(text: str) -> None:
    raise Malformed(f"A message holds the bare number {text[:40]!r}.")
