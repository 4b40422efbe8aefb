"""Plain data: the values that cross the sandbox's boundary, as trees of JSON types and back.

Arguments go into a program and its results come out as trees, so that reading bytes from an untrusted process
needs nothing but `json.loads` and type checks: no pickle, no repr, no code. In the parent a tree is only ever
decoded to objects of builtin and standard types.

    None, bool, str     themselves                       list                  ["l", ...]
    int                 itself; ["i", hex] over 64 bits  tuple                 ["t", ...]
    float               ["f", float.hex()]               dict                  ["d", [k, v], ...]
    complex             ["c", hex, hex]                  set                   ["s", ...]
    Fraction            ["q", hex, hex]                  frozenset             ["z", ...]
    Decimal             ["m", text]                      deque                 ["Q", ...]
    date, datetime,                                      range                 ["r", start, stop, step]
    time, timedelta     ["e", kind, number, ...]         iterator              ["I", whether it ended, ...]
    bytes               ["b", hex]                       keys of a dict        ["K", ...]
    bytearray           ["B", hex]                       values of a dict      ["V", ...]
    builtin type        ["y", name]                      items of a dict       ["T", [k, v], ...]
    NumPy array, number ["a", list or number, dtype]     namedtuple            ["N", tuple, name, field, ...]
    object that tests make of a program's class          ["o", name, tuple, dict, dict of assigned attributes]

What a type is, is decided by the type itself: no method of a program's class is asked. A subclass that leaves
the comparison of its base alone (IntEnum, namedtuple, defaultdict) is the base's value, read by the base's
own methods; one with an `__eq__` of its own (an int that equals everything) is refused. What equals a builtin
of the same contents is that builtin (Counter, OrderedDict, ChainMap, UserList, memoryview); a re.Match is the
tuple of the texts it matched, and an iterator is what it yields, up to MAX_ITEMS.
"""

from __future__ import annotations

import functools
import itertools
import re
import sys
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, UserString, deque, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

MAX_DEPTH = 100
MAX_NODES = 2_000_000
MAX_ITEMS = 10_000  # of an iterator
MAX_ITEMS_WEIGHT = 1 << 18  # nodes and characters of an iterator's items
MAX_SAME_HASH = 256  # nodes of all keys with one hash
MAX_FRACTION = 4_096  # hexadecimal digits of a numerator or denominator
MAX_DECIMAL = 10_000  # characters
SMALL = 2**63
# NumPy types whose elements Python has, too: not np.longdouble.
_DTYPE = r"[<>|=](?:b1|[iu][1248]|f[248]|c8|c16|[USO][0-9]{0,6})"
SEQUENCES = {list: "l", tuple: "t", set: "s", frozenset: "z", deque: "Q"}
CONTAINERS = {tag: kind for kind, tag in SEQUENCES.items()}
_DICTS = frozenset([dict, Counter, OrderedDict])
_VIEWS = {
    tag: (type(getattr({}, name)()), type(getattr(OrderedDict(), name)()))
    for tag, name in (("K", "keys"), ("V", "values"), ("T", "items"))
}
TYPES = {
    kind.__name__: kind for kind in (bool, bytes, complex, dict, float, frozenset, int, list, set, str, tuple)
}


class Unencodable(ValueError):
    """A value has a type that the encoding does not carry, or is too deep or too large."""


class Malformed(ValueError):
    """Bytes or a tree that no encoder of ours would have written."""


class Made:
    """An object of a class of the program, as tests make one: by a call, and by assigning attributes."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.__dict__["made"] = (arguments, keywords)


def encode(value: Any) -> Any:
    """The tree of a value.

    Raises Unencodable for other types, and beyond MAX_DEPTH levels or MAX_NODES nodes.
    A part that is shared is written each time it occurs; the count of nodes bounds what comes of it.
    """
    return _Encoder().encode(value, 0)


class _Encoder:
    def __init__(self) -> None:
        self.left = MAX_NODES

    def encode(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if kind is int:
            return value if -SMALL <= value < SMALL else ["i", hex(value)]
        if kind is float:
            return ["f", value.hex()]
        if depth >= MAX_DEPTH:
            raise Unencodable(f"The value is nested more than {MAX_DEPTH} levels deep.")
        if kind in SEQUENCES:
            return self.encode_items(SEQUENCES[kind], value, depth)
        if kind in _DICTS:
            return self.encode_pairs("d", dict.items(value), depth)
        writer = _WRITERS.get(kind)
        return writer(self, value, depth) if writer else self.encode_derived(value, kind, depth)

    def encode_items(self, tag: str, values: Any, depth: int) -> list[Any]:
        self.spend(len(values))
        return [tag, *[self.encode(item, depth + 1) for item in values]]

    def encode_pairs(self, tag: str, pairs: Any, depth: int) -> list[Any]:
        self.spend(2 * len(pairs))
        return [tag, *[[self.encode(key, depth + 1), self.encode(item, depth + 1)] for key, item in pairs]]

    def spend(self, nodes: int) -> None:
        self.left -= nodes
        if self.left < 0:
            raise Unencodable(f"The value has more than {MAX_NODES:,} parts.")

    def encode_derived(self, value: Any, kind: type, depth: int) -> Any:
        """A value whose type is not one of those above, but made from one."""
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic):
            return self.encode_array(value, depth)
        if kind is type and TYPES.get(value.__name__) is value:
            return ["y", value.__name__]
        if issubclass(kind, Made):
            arguments, keywords = value.made
            rest = {name: item for name, item in vars(value).items() if name != "made"}
            return [
                "o",
                kind.__name__,
                *[self.encode(part, depth + 1) for part in (arguments, keywords, rest)],
            ]
        base = _find_base(kind)
        if base is not None:
            plain = self.encode(_READERS[base](value), depth + 1)
            fields = getattr(kind, "_fields", None) if base is tuple else None
            named = (
                type(fields) is tuple
                and len(fields) == len(plain) - 1
                and all(map(_is_name, (kind.__name__, *fields)))
            )
            return ["N", plain, kind.__name__, *fields] if named else plain
        if hasattr(kind, "__next__") and hasattr(kind, "__iter__"):
            return self.encode_iterator(value, depth)
        raise Unencodable(f"A value of type {kind.__name__[:80]} is not plain data.")

    def encode_array(self, value: Any, depth: int) -> list[Any]:
        dtype = value.dtype.str
        if not is_dtype(dtype):
            raise Unencodable(f"A NumPy array of {dtype[:80]} is not plain data.")
        self.spend(value.size + functools.reduce(lambda rows, size: rows * max(size, 1), value.shape, 1))
        plain = value.tolist()
        if type(plain).__module__ == type(value).__module__:
            raise Unencodable(f"A NumPy number of type {type(value).__name__[:80]} is not plain data.")
        return ["a", self.encode(plain, depth + 1), dtype]

    def encode_iterator(self, values: Iterator[Any], depth: int) -> list[Any]:
        trees: list[Any] = []
        weight = 0
        for item in values:
            if len(trees) == MAX_ITEMS or weight > MAX_ITEMS_WEIGHT:
                return ["I", False, *trees]
            trees.append(self.encode(item, depth + 1))
            weight += weigh(trees[-1], MAX_ITEMS_WEIGHT)
        self.spend(len(trees))
        return ["I", True, *trees]


def _find_base(kind: type) -> type | None:
    """The type whose data and comparison a subclass has unchanged.

    None where it compares in a way of its own.
    """
    for step in kind.__mro__:
        if step in _READERS:
            return step
        if "__eq__" in vars(step):
            return None
    return None


def _is_name(text: Any) -> bool:
    return type(text) is str and text.isidentifier() and len(text) <= 100


def is_dtype(text: Any) -> bool:
    """Whether a NumPy type is one of booleans, integers, floats, complex numbers, texts, bytes or objects."""
    return type(text) is str and re.fullmatch(_DTYPE, text) is not None


def weigh(tree: Any, most: int) -> int:
    """Nodes and characters of a tree; counting stops beyond `most`, so that a large one costs no more."""
    stack, weight = [tree], 0
    while stack and weight <= most:
        node = stack.pop()
        weight += 1
        if type(node) is list:
            weight += len(node)
            stack.extend(node if len(node) <= most else ())
        elif type(node) is str:
            weight += len(node)
    return weight


def _encode_moment(kind: str, value: Any) -> list[Any]:
    """A date, datetime or time as its kind and numbers.

    The last is an offset from UTC in microseconds or None.
    """
    names = {"date": ("year", "month", "day"), "time": ("hour", "minute", "second", "microsecond")}
    parts = names["date"] + names["time"] if kind == "datetime" else names[kind]
    tree = ["e", kind, *[getattr(value, part) for part in parts]]
    if kind != "date":
        offset = value.utcoffset()
        tree.append(None if offset is None else offset // timedelta(microseconds=1))
    return tree


def build_moment(items: list[Any]) -> date | time | timedelta:
    """The value of a tree's items.

    Raises ValueError, TypeError or OverflowError for what is no such value.
    """
    kind, *numbers = items
    lengths = {"date": 3, "datetime": 8, "time": 5, "timedelta": 3}
    if type(kind) is not str or len(numbers) != lengths.get(kind):
        raise ValueError("It is no date or time.")
    offset = numbers.pop() if kind in ("datetime", "time") else None
    if any(type(number) is not int for number in numbers) or type(offset) not in (int, type(None)):
        raise TypeError("It is no date or time.")
    zone = {} if offset is None else {"tzinfo": timezone(timedelta(microseconds=offset))}
    kinds: dict[str, Callable[..., Any]] = {
        "date": date,
        "datetime": datetime,
        "time": time,
        "timedelta": timedelta,
    }
    return kinds[kind](*numbers, **zone)


def _encode_decimal(_encoder: _Encoder, value: Decimal, _depth: int) -> list[str]:
    text = "NaN" if value.is_qnan() else str(value)
    if value.is_snan():
        raise Unencodable("A signalling NaN is not plain data.")
    if len(text) > MAX_DECIMAL:
        raise Unencodable(f"A Decimal has more than {MAX_DECIMAL:,} characters.")
    return ["m", text]


def _encode_fraction(_encoder: _Encoder, value: Fraction, _depth: int) -> list[str]:
    parts = [hex(value.numerator), hex(value.denominator)]
    if max(map(len, parts)) > MAX_FRACTION:
        raise Unencodable(f"A Fraction has a part of more than {MAX_FRACTION:,} hexadecimal digits.")
    return ["q", *parts]


_WRITERS: dict[type, Callable[[_Encoder, Any, int], Any]] = {
    bytes: lambda _, value, _depth: ["b", value.hex()],
    bytearray: lambda _, value, _depth: ["B", value.hex()],
    complex: lambda _, value, _depth: ["c", value.real.hex(), value.imag.hex()],
    range: lambda encoder, value, depth: [
        "r",
        *[encoder.encode(part, depth) for part in (value.start, value.stop, value.step)],
    ],
    Fraction: _encode_fraction,
    Decimal: _encode_decimal,
    re.Match: lambda encoder, value, depth: encoder.encode_items("t", (value[0], *value.groups()), depth),
    date: lambda _, value, _depth: _encode_moment("date", value),
    datetime: lambda _, value, _depth: _encode_moment("datetime", value),
    time: lambda _, value, _depth: _encode_moment("time", value),
    timedelta: lambda _, value, _depth: ["e", "timedelta", value.days, value.seconds, value.microseconds],
    memoryview: lambda _, value, _depth: ["b", value.hex()],
    **dict.fromkeys(
        (UserDict, UserList, UserString), lambda encoder, value, depth: encoder.encode(value.data, depth)
    ),
    **dict.fromkeys(
        (ChainMap, MappingProxyType), lambda encoder, value, depth: encoder.encode(dict(value), depth)
    ),
    **dict.fromkeys(_VIEWS["K"], lambda encoder, value, depth: encoder.encode_items("K", value, depth)),
    **dict.fromkeys(_VIEWS["V"], lambda encoder, value, depth: encoder.encode_items("V", value, depth)),
    **dict.fromkeys(_VIEWS["T"], lambda encoder, value, depth: encoder.encode_pairs("T", value, depth)),
}
# They read an object of a subclass by methods that the subclass can't have replaced.
_READERS: dict[type, Callable[[Any], Any]] = {
    int: int.__index__,
    float: float.__float__,
    complex: complex.__pos__,
    str: str.__str__,
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
    bytearray: lambda value: bytearray.__getitem__(value, slice(None)),
    list: lambda value: [*list.__iter__(value)],
    tuple: lambda value: (*tuple.__iter__(value),),
    set: lambda value: {*set.__iter__(value)},
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
    deque: lambda value: deque(deque.__iter__(value)),
    dict: lambda value: dict(dict.items(value)),
}


@dataclass(frozen=True, slots=True)
class Inside:
    """What decoding makes of a tree inside: arrays by NumPy, namedtuples, objects of the program's classes.

    numpy: the module, None where it is not loaded.  find: a class of the program by its name.
    refuse: makes the exception that an iterator raises where more items were than are carried.
    """

    numpy: Any = None
    find: Callable[[str], Callable[..., Any]] | None = None
    refuse: Callable[[str], Exception] = Malformed


def decode(tree: Any, inside: Inside | None = None) -> Any:
    """The value of a tree that `wire.check` has passed: without `inside` builtins, an array as lists.

    Raises Malformed for sets and dicts made to be slow to build.
    """
    if type(tree) is not list:
        return tree
    tag = tree[0]
    if tag in CONTAINERS:
        items = [decode(item, inside) for item in tree[1:]]
        return (
            items if tag == "l" else CONTAINERS[tag](_check_hashes(items, tree[1:]) if tag in "sz" else items)
        )
    if tag in "dKVT":
        return _decode_dict(tag, tree, inside)
    if tag == "N":
        items = decode(tree[1], inside)
        return _make_namedtuple(tree[2], tuple(tree[3:]))(*items) if inside else items
    if tag == "a":
        return _make_array(decode(tree[1], inside), tree[2], inside)
    if tag == "I":
        items = [decode(item, inside) for item in tree[2:]]
        return iter(items) if tree[1] else _break_off(items, inside.refuse if inside else Malformed)
    if tag == "o":
        return _make_object(tree, inside)
    return _decode_leaf(tag, tree[1:])


def _decode_dict(tag: str, tree: list[Any], inside: Inside | None) -> Any:
    if tag == "V":
        return dict(enumerate(decode(item, inside) for item in tree[1:])).values()
    if tag == "K":
        return dict.fromkeys(_check_hashes([decode(item, inside) for item in tree[1:]], tree[1:])).keys()
    keys = _check_hashes([decode(key, inside) for key, _ in tree[1:]], [key for key, _ in tree[1:]])
    decoded = dict(zip(keys, (decode(item, inside) for _, item in tree[1:]), strict=True))
    return decoded if tag == "d" else decoded.items()


def _decode_leaf(tag: str, items: list[Any]) -> Any:
    match tag:
        case "i":
            return int(items[0], 16)
        case "f":
            return float.fromhex(items[0])
        case "b":
            return bytes.fromhex(items[0])
        case "B":
            return bytearray.fromhex(items[0])
        case "c":
            return complex(float.fromhex(items[0]), float.fromhex(items[1]))
        case "q":
            return Fraction(int(items[0], 16), int(items[1], 16))
        case "r":
            return range(*map(decode, items))
        case "y":
            return TYPES[items[0]]
        case "e":
            return build_moment(items)
        case _:
            return Decimal(items[0])


def _check_hashes(keys: list[Any], trees: list[Any]) -> list[Any]:
    """The keys, unless so much has one hash that building a set of them would take more than linear time."""
    try:
        hashes = sorted(zip(map(hash, keys), range(len(keys)), strict=True))
    except TypeError as failure:
        raise Malformed("A set or dict holds a key that can't be hashed.") from failure
    weight = 0
    for (mine, i), (following, j) in itertools.pairwise(hashes):
        if mine != following:
            weight = 0
            continue
        weight += weigh(trees[j], MAX_SAME_HASH) + (0 if weight else weigh(trees[i], MAX_SAME_HASH))
        if weight > MAX_SAME_HASH:
            raise Malformed("Too many keys of a set or dict have the same hash.")
    return keys


@functools.lru_cache(64)
def _make_namedtuple(name: str, fields: tuple[str, ...]) -> Callable[..., Any]:
    return namedtuple(name, fields, rename=True)


def _make_array(items: Any, dtype: str, inside: Inside | None) -> Any:
    if inside is None or inside.numpy is None:
        return items
    return inside.numpy.array(items, dtype[1] if dtype[1] in "USO" else dtype)[()]


def _break_off(items: list[Any], refuse: Callable[[str], Exception]) -> Iterator[Any]:
    yield from items
    raise refuse(f"An iterator gave more than {len(items):,} items.")


def _make_object(tree: list[Any], inside: Inside | None) -> Any:
    if inside is None or inside.find is None:
        raise Malformed("An object of a program's class has no value here.")
    arguments, keywords, attributes = (decode(part, inside) for part in tree[2:])
    instance = inside.find(tree[1])(*arguments, **keywords)
    for name, value in attributes.items():
        setattr(instance, name, value)
    return instance
