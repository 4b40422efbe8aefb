# ruff: noqa: E501
"""The encoding: exact types, limits, comparison."""

import datetime
import enum
import json
import math
import sys
import tracemalloc
from collections import (
    ChainMap,
    Counter,
    OrderedDict,
    UserDict,
    UserList,
    UserString,
    defaultdict,
    deque,
    namedtuple,
)
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from palaestra.sandbox import plain, same_text, same_value, wire

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers() | st.fractions()
    | st.decimals(allow_nan=False) | st.dates() | st.datetimes(timezones=st.none() | st.timezones()) | st.timedeltas()
)  # fmt: skip
KEYS = (
    st.integers()
    | st.text()
    | st.booleans()
    | st.none()
    | st.frozensets(st.tuples(st.frozensets(st.integers(0, 9)), st.text()))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.sets(KEYS, max_size=4)
        | st.frozensets(KEYS, max_size=4)
        | st.lists(inner, max_size=4).map(deque)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_every_value_comes_back_the_same(value):
    tree = wire.loads(wire.dumps({"v": wire.encode(value)})[4:])["v"]
    wire.check(tree)
    assert wire.same(wire.encode(value), tree)
    assert same_value(wire.decode(tree), value)
    assert type(wire.decode(tree)) is type(value)


@given(VALUES, VALUES)
def test_different_values_are_told_apart(a, b):
    if type(a) is not type(b):
        assert not same_value(a, b)
    elif same_value(a, b):
        assert wire.same(wire.encode(b), wire.encode(a))


class Equal(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


class Plain(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    TWO = 2


class Word(enum.StrEnum):
    A = "a"


class Row(list):
    def __iter__(self):
        return iter([9, 9])

    def __len__(self):
        return 7


class Text(str):
    def __str__(self):
        return "other"


class Whole(int):
    def __index__(self):
        return 9

    __int__ = __index__


Point = namedtuple("Point", "x y")
UTC2 = datetime.timezone(datetime.timedelta(hours=2))


@pytest.mark.parametrize(
    ("value", "plain_value"),
    [(Number.TWO, 2), (Word.A, "a"), (Point(1, [2]), (1, [2])), (Row([1, 2]), [1, 2]), (Text("a"), "a"), (Whole(3), 3),
     (defaultdict(list, a=[1]), {"a": [1]}), (OrderedDict(a=1), {"a": 1}), (np.int64(3), 3), (np.float64(0.5), 0.5), (np.bool_(True), True),
     (np.array([1, 2]), [1, 2]), (np.array([[1.5], [2]]), [[1.5], [2.0]]), (np.array([1, 2]), (1, 2)), (np.array([[1, 2]]), [(1, 2)]),
     ({np.int64(1): np.float32(0.5)}, {1: 0.5}), (np.array(["a"]), ["a"]), (np.array([1, "a", None], object), [1, "a", None]),
     ([(np.int64(1), np.array(2))], [(1, 2)]), (np.float64(2), 2), ({Point(1, 2)}, {(1, 2)}), (UserList([1]), [1]),
     (UserDict(a=1), {"a": 1}), (UserString("a"), "a"), (ChainMap({1: 2}, {3: 4}), {1: 2, 3: 4}), (MappingProxyType({1: 2}), {1: 2}), (memoryview(b"a"), b"a"), ({1: 2}.keys(), {1})],
)  # fmt: skip
def test_a_value_made_from_a_plain_one_is_that_one(value, plain_value):
    """Whatever the methods of its class say."""
    assert same_value(plain_value, value)
    assert same_value(value, plain_value)
    tree = wire.loads(wire.dumps({"v": wire.encode(value)})[4:])["v"]
    wire.check(tree)
    assert same_value(wire.decode(tree), value)


def test_inside_the_sandbox_arrays_and_namedtuples_are_themselves():
    inside = plain.Inside(np)
    array, number, point = (
        wire.decode(wire.encode(value), inside)
        for value in (np.array([[1, 2]], np.int16), np.float32(0.1), Point(1, 2))
    )
    assert array.dtype == np.int16
    assert array.shape == (1, 2)
    assert type(number) is np.float32
    assert number == np.float32(0.1)
    assert (point.x, point.y) == (1, 2)


def test_an_iterator_is_what_it_yields():
    tree = wire.encode(map(str, [1, 2]))
    wire.check(tree)
    assert list(wire.decode(tree)) == ["1", "2"]
    endless = wire.decode(wire.encode(iter(int, 1)))
    assert [next(endless) for _ in range(5)] == [0] * 5
    with pytest.raises(wire.Malformed, match="more than"):
        list(endless)
    assert not same_value([0] * plain.MAX_ITEMS, iter(int, 1), compare="json")


@pytest.mark.parametrize(
    "value",
    [
        Equal(1),
        object(),
        len,
        lambda: 1,
        [Equal(2)],
        Equal,
        Plain.RED,
        Decimal("sNaN"),
        np.datetime64(1, "s"),
        Ellipsis,
    ],
)
def test_subclasses_that_compare_on_their_own_and_other_objects_are_refused(value):
    with pytest.raises(wire.Unencodable):
        wire.encode(value)


@pytest.mark.parametrize(
    "tree",
    [{}, [], [1], ["x"], ["l", {}], ["i", "0x1"], ["i", "zz"], ["f", "1.0"], ["f", 1], ["d", [1]], ["d", 1], ["b", "f"],
     ["b", "FF"], ["q", "1/0"], ["r", 1, 2, 0], ["m", "sNaN"], ["c", "0x0.0p+0"], 2**64, ["y", "object"], ["y", "eval"],
     ["m", "1_0"], ["m", "\u0661"], ["m", "1E+9999999999999999999"], ["m", "1E+99999999999999999999999"], ["f", "0x" + "1" * 99 + "p+0"],
     ["q", "0x1", "0x0"], ["q", "0x1", "-0x1"], ["q", "0x" + "f" * 5000, "0x1"], ["e", "date", 0, 1, 1], ["e", "date", 1, 1], ["e"],
     ["e", "date", True, 1, 1], ["e", "datetime", 1, 1, 1, 0, 0, 0, 0, 10**12], ["e", "timedelta", 10**12, 0, 0], ["N", ["t", 1], "P"],
     ["N", ["l", 1], "P", "x"], ["N", ["t", 1], "P", "x y"], ["a", 1], ["a", 1, "<f16"], ["a", 1, "|V8"], ["I"], ["I", 1], ["T", [1]],
     ["o", "P", ["t"], ["d"], ["d"]], ["K", {}], ["r", 0, 1, ["i", "0x0"]]],
)  # fmt: skip
def test_trees_that_no_encoder_writes_are_refused(tree):
    with pytest.raises(wire.Malformed):
        wire.check(tree)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"v": 1.5}',
        b'{"v": NaN}',
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"v": ' + b"9" * 5000 + b"}",
    ],
)
def test_bytes_that_are_no_message_are_refused(body):
    with pytest.raises(wire.Malformed):
        wire.loads(body)


def test_depth_is_limited_on_both_sides():
    deep, tree = [], 1
    for _ in range(200):
        deep, tree = [deep], ["l", tree]
    with pytest.raises(wire.Unencodable, match="levels deep"):
        wire.encode(deep)
    with pytest.raises(wire.Malformed):
        wire.check(tree)


def test_keys_of_one_hash_are_refused_before_a_dict_is_built():
    tree = ["s", *[["i", hex(k * (2**61 - 1))] for k in range(5, 500)]]
    wire.check(tree)
    with pytest.raises(wire.Malformed, match="same hash"):
        wire.decode(tree)


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [(1, True, False), (1, 1.0, False), (0.0, -0.0, True), (math.nan, math.nan, True), (math.inf, math.inf, True),
     ([1], (1,), False), ({1, 2}, {2, 1}, True), ({1: 2}, {1.0: 2}, False), ({1: [math.nan]}, {1: [math.nan]}, True),
     ("a", b"a", False), (None, 0, False), ({}, set(), False), (Counter("a"), {"a": 1}, True), (2**70, 2**70, True),
     (2**70, float(2**70), False), (Fraction(1, 2), 0.5, False), (Decimal("1.0"), Decimal("1.00"), True),
     (Decimal("1E2"), Decimal(100), True), (Decimal("-0.0"), Decimal(0), True), (Decimal("1E999999"), Decimal("1E999998"), False),
     (Decimal("1E-999999"), Decimal(0), False), (Decimal(1), 1, False), (Decimal("-1"), Decimal(1), False),
     ({(frozenset([8, 0]), 1)}, {(frozenset([0, 8]), 1)}, True), ({frozenset([frozenset([1]), "a"])}, {frozenset(["a", frozenset([1])])}, True),
     ({frozenset([frozenset([1]), "a"])}, {frozenset(["a", frozenset([2])])}, False), ({"1"}, {1}, False), ({("ab", "c")}, {("a", "bc")}, False), ({"=1"}, {1}, False), ({'"a'}, {"a"}, False),
     ({(0.0,)}, {(-0.0,)}, True), (complex(0, -0.0), 0j, True), (range(0, 10, 3), range(0, 12, 3), True), (range(0), range(5, 5), True),
     (range(10**20), range(10**20 + 1), False), (range(3), [0, 1, 2], False), (deque([1]), deque([1], 5), True), (deque([1]), [1], False),
     (datetime.date(2020, 1, 2), datetime.date(2020, 1, 2), True), (datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2), False),
     (datetime.datetime(2020, 1, 1, 2, tzinfo=UTC2), datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), True),
     (datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), False), (datetime.time(1), datetime.time(1, 0), True),
     (datetime.timedelta(1), datetime.timedelta(hours=24), True), (datetime.timedelta(1), 86400, False), (np.array([1, 2]), [1, 3], False),
     (np.array([1]), [True], False), (Number.TWO, 2.0, False), (Point(1, 2), [1, 2], False), ([1, 1], {1}, False)],
)  # fmt: skip
def test_comparison_is_by_type_and_value(a, b, equal):
    assert same_value(a, b) is equal
    assert same_value(b, a) is equal


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [([1, 2], (1, 2), True), (2, 2.0, True), (True, 1, False), ({"1": [0]}, {1: (0,)}, True), ({"true": 1, "null": 2}, {True: 1, None: 2.0}, True),
     (2**53 + 1, float(2**53), False), (0.1 + 0.2, 0.3, False), ("1", 1, False), ([1], {1}, False), ([[1]], deque([(1,)]), True),
     (None, "null", False), ({"1": 1, "2": 2}, {1: 1, "1": 2}, False), ([], {}, False), (10**400, float("inf"), False)],
)  # fmt: skip
def test_the_json_comparison_is_as_far_as_json_tells_values_apart(a, b, equal):
    assert same_value(a, b, compare="json") is equal
    assert same_value(b, a, compare="json") is equal


def test_a_text_is_never_taken_for_the_set_that_it_spells():
    for text in ("2:=1", "2:i1", '2:"1', "s2:=1", "=1"):
        for item in (1, "1", text):
            assert not wire.same(wire.encode({text}), ["s", ["s", item]])
            assert not wire.same(wire.encode({text}), ["s", ["z", item]])


def test_a_tolerance_is_for_numbers_alone():
    assert same_value([1, 2.0], [1.0000001, 2], 1e-6)
    assert not same_value([1], [1.1], 1e-6)
    assert not same_value(10**9, 10**9 + 1, 1e-6)
    assert not same_value(1, True, 1e-6)
    assert not same_value("1", 1, 1e-6)
    assert not same_value(10**400, 1.0, 1e-6)
    assert json.dumps(wire.encode(10**400)).startswith('["i"')


@pytest.mark.parametrize(
    ("expected", "printed", "equal"),
    [("10", "1_0", False), ("12", "\u0661\u0662", False), ("12", "\uff11\uff12", False), ("inf", "infinity", False), ("1e400", "1e500", False),
     ("nan", "NaN", False), ("3.0", "3", True), ("3", "3.0000000001", True), ("1000000007", "1000000008", False), ("007", "7", True), ("+5", "5", True),
     ("0x10", "16", False), ("1e3", "1000", True), (".5", "0.5", True), ("5.", "5", True), ("1", "1 1", False), ("1 2", "1\u00a02", False),
     ("1\n2", "1\u20282", False), ("1\n2", "1\x0c2", False), ("1\n2\n\n", "1 \r\n2", True), ("1e-9", "1e-400", True), ("1.5", "1,5", False),
     ("\ud800", "\ud800 ", True), ("1", "1e", False), ("1", "--1", False), ("1" * 500, "1" * 499 + "0", False)],
)  # fmt: skip
def test_numbers_in_a_text_are_those_that_programs_print(expected, printed, equal):
    assert same_text(expected, printed, 1e-6) is equal
    assert same_text(printed, expected, 1e-6) is equal


TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**64) | st.sampled_from(
        ["", "0x1", "-0x1", "0x1.8p+1", "1E+9", "NaN", "ff", "date", "t", "P", "x", "int", "<i8", "\ud800", "-0x0.0p+0", "0x8000000000000000"]
    ),
    lambda inner: st.builds(
        lambda tag, items: [tag, *items], st.sampled_from("ltszQdKVTINaoifcqmbBrey"), st.lists(inner, max_size=4)
    ) | st.lists(inner, min_size=2, max_size=2),
    max_leaves=12,
)  # fmt: skip


def holds_unended(tree) -> bool:
    """Whether an iterator that did not end is anywhere in a tree."""
    return type(tree) is list and (tree[:2] == ["I", False] or any(map(holds_unended, tree)))


@given(TREES, TREES)
@example(["I", False], None)
@example(["s", ["I", False, 1]], ["s", ["I", False, 1]])
@example(["d", [["I", False], 1]], ["d", [["I", True], 1]])
def test_no_claim_raises_anything_but_malformed(tree, other):
    for one in (tree, other):
        try:
            wire.check(one)
        except wire.Malformed:
            return
    assert wire.same(tree, tree) is not holds_unended(tree)
    assert wire.same(tree, other) == wire.same(other, tree)
    if not any(f'"{tag}"' in json.dumps([tree, other]) for tag in "aIKN"):  # equal things of two kinds
        assert wire.same(["s", tree], ["s", other]) == wire.same(tree, other)
    assert wire.same(tree, other, 1e-6, "json") == wire.same(other, tree, 1e-6, "json")
    try:
        value = wire.decode(tree)
    except wire.Malformed:
        return
    assert repr(value)


def nest(tag: str, inner: str, levels: int) -> str:
    return f'["{tag}",' * levels + inner + "]" * levels


def many(head: str, unit: str, size: int) -> str:
    return f'["{head}",{",".join([unit] * (size // (len(unit) + 1)))}]'


WORST = {
    "nested sets": lambda n: many("s", nest("z", '"a"', 90), n),
    "a long text in nested sets": lambda n: nest("z", '"' + "a" * n + '"', 90),
    "sets beside sets at every level": lambda n: '["z",' * 90 + "0" + ("," + ",".join(["1"] * (n // 200)) + "]") * 90,
    "empty sets": lambda n: many("s", '["z"]', n),
    "small ints": lambda n: many("s", "1", n),
    "ints of one hash": lambda n: "[" + ",".join(['"s"', *[f'["i","{hex(k * (2**61 - 1))}"]' for k in range(5, n // 30)]]) + "]",
    "one long int": lambda n: '["i","0x' + "f" * n + '"]',
    "decimals with large exponents": lambda n: many("s", '["m","1E+999999999999"]', n),
    "long decimals": lambda n: many("s", f'["m","{"1" * 9000}"]', n),
    "fractions": lambda n: many("s", f'["q","0x{"f" * 4000}","0x{"e" * 4000}"]', n),
    "huge ranges": lambda n: many("l", '["r",0,1000000000000000000,1]', n),
    "dates": lambda n: many("s", '["e","datetime",1,1,1,0,0,0,0,0]', n),
    "floats": lambda n: many("l", '["f","0x1.8000000000000p+1"]', n),
    "dicts": lambda n: many("d", "[1,1]", n),
    "arrays": lambda n: many("l", '["a",1,"<i8"]', n),
    "namedtuples": lambda n: many("l", '["N",["t",1],"P","x"]', n),
    "brackets": lambda n: "[" * n,
    "brackets and numbers": lambda n: "[1," * (n // 3),
    "a number": lambda n: "9" * n,
    "numbers": lambda n: many("l", "9" * 4000, n),
    "escapes": lambda n: '"\\' * (n // 2),
    "quotes": lambda n: '"' * n,
    "objects": lambda n: '{"a":' * (n // 5),
    "lists": lambda n: many("l", "[]", n),
}  # fmt: skip


def judge_claim(body: bytes) -> None:
    """All that the driver does with a claim, when it is compared with itself; `_key` is the dearest comparison."""
    try:
        tree = wire.loads(body)["v"]
        wire.check(tree)
    except wire.Malformed:
        return
    wire.same(["s", 1], ["s", tree])
    wire.same(1, tree, 1e-6, "json")
    assert wire.same(tree, tree)
    assert wire.same(["l", tree], ["l", tree], 1e-6, "json")


def spent(body: bytes) -> tuple[int, int]:
    """Calls made, and bytes of memory at the peak, while a claim is judged."""
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    tracemalloc.start()
    sys.setprofile(count)
    try:
        judge_claim(body)
    finally:
        sys.setprofile(None)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return calls, peak


@pytest.mark.parametrize("name", WORST)
def test_the_work_for_a_claim_is_linear_in_its_bytes(name):
    (calls, peak), (more_calls, more_peak) = (
        spent(b'{"v":' + WORST[name](n).encode() + b"}") for n in (20_000, 40_000)
    )
    assert more_calls <= 2.2 * calls + 500
    assert more_peak <= 2.2 * peak + 50_000
    assert more_peak < 70 * 40_000


@pytest.mark.parametrize("levels", [28, 95])
def test_nested_sets_are_compared_in_linear_time(levels):
    value = frozenset()
    for _ in range(levels):
        value = frozenset([value])
    (calls, _), (more, _) = (spent(wire.dumps({"v": wire.encode([value] * count)})[4:]) for count in (20, 40))
    assert more <= 2.2 * calls
    assert same_value(value, value)
    assert not same_value(value, frozenset([value]))


def test_shared_parts_are_bounded_by_what_they_expand_to():
    value: list = []
    for _ in range(60):
        value = [value, value]
    with pytest.raises(wire.Unencodable, match="parts"):
        wire.encode(value)


def test_the_limits_hold_when_the_interpreter_has_none():
    digits, depth = sys.get_int_max_str_digits(), sys.getrecursionlimit()
    try:
        sys.set_int_max_str_digits(0)
        sys.setrecursionlimit(10**6)
        for body in (
            b'{"v": ' + b"9" * 10**6 + b"}",
            b'{"v": ' + b"[" * 10**6 + b"}",
            b'{"v": ' + b'{"a":' * 10**5 + b"}",
        ):
            with pytest.raises(wire.Malformed):
                wire.loads(body)
    finally:
        sys.set_int_max_str_digits(digits)
        sys.setrecursionlimit(depth)
