# ruff: noqa: E501
"""What a program returned, given to it again by the tests: no value of its own makes the run abstain."""

import pytest
from palaestra.sandbox import Limits, SandboxPool, Status

PRELUDE = """
import collections, datetime, decimal, enum, fractions, itertools, re, types
"""
# Values that go back as they came.
FIT = {
    "none": "None", "truth": "True", "integer": "7", "long integer": "10 ** 3000", "float": "0.5", "no number": "float('nan')", "infinity": "float('-inf')",
    "complex": "complex('nan+infj')", "text": "'a'", "lone surrogate": "'\\ud800'", "bytes": "b'a'", "bytearray": "bytearray(b'a')", "list": "[1, [2]]", "tuple": "(1, ())",
    "set": "{1, 'a'}", "frozenset": "frozenset([frozenset()])", "dict": "{(1, 2): [3]}", "range": "range(10 ** 30)", "deque": "collections.deque([1])",
    "bounded deque": "collections.deque([1], 1)", "fraction": "fractions.Fraction(-1, 3)", "decimal": "decimal.Decimal('1E999999')", "decimal without end": "decimal.Decimal('-Infinity')",
    "no decimal": "decimal.Decimal('-NaN5')", "date": "datetime.date.min", "moment": "datetime.datetime.max", "moment with offset": "datetime.datetime(1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=23, microseconds=1)))",
    "time": "datetime.time(1, fold=1)", "span": "datetime.timedelta.min", "namedtuple": "collections.namedtuple('P', 'x y')(1, [2])", "odd namedtuple": "collections.namedtuple('P', 'class _1 x x', rename=True)(1, 2, 3, 4)",
    "enum of numbers": "enum.IntEnum('E', 'A B').B", "flag": "enum.IntFlag('E', 'A B').B", "text enum": "enum.StrEnum('E', 'A').A", "defaultdict": "collections.defaultdict(list, a=[1])",
    "counter": "collections.Counter('aab')", "ordered dict": "collections.OrderedDict(a=1)", "chain map": "collections.ChainMap({1: 2})", "user list": "collections.UserList([1])",
    "user dict": "collections.UserDict(a=1)", "user text": "collections.UserString('a')", "proxy": "types.MappingProxyType({1: 2})", "memoryview": "memoryview(b'ab')",
    "match": "re.match('(a)(b)?', 'a')", "type": "int", "keys": "{1: 2}.keys()", "values": "{1: []}.values()", "items": "{1: 2}.items()", "ordered keys": "collections.OrderedDict(a=1).keys()",
    "generator": "(i for i in range(3))", "map": "map(str, [1])", "zip": "zip([1], [2])", "iterator": "iter({1})", "iterator of iterators": "map(iter, [[1], [2]])", "product": "itertools.product([1], [2])",
    "subclass of list": "type('L', (list,), {})([1])", "subclass of int": "type('I', (int,), {'__index__': None, '__add__': None})(3)", "subclass of text": "type('S', (str,), {'__hash__': None})('a')",
}  # fmt: skip
# Values that don't cross, go back no more, or become too much on the way.
UNFIT = {
    "object": "object()", "function": "len", "own class": "type('A', (), {})", "own equality": "type('E', (int,), {'__eq__': lambda a, b: True, '__hash__': None})(1)", "enum": "enum.Enum('E', 'A').A",
    "signalling decimal": "decimal.Decimal('sNaN')", "endless iterator": "itertools.count()", "iterator that fails": "(1 / x for x in [1, 0])", "coroutine": "type((lambda: (yield))())", "module": "re",
    "cycle": "(lambda x: x.append(x) or x)([])", "deep": "__import__('functools').reduce(lambda x, _: [x], range(99), 0)", "deeper": "__import__('functools').reduce(lambda x, _: [x], range(200), 0)",
    "deep tuple": "__import__('functools').reduce(lambda x, _: collections.namedtuple('P', 'x')(x), range(60), 0)", "many": "(lambda x: [[x] * 1000] * 1000)([1] * 1000)", "as large as may be": "'x' * 4_100_000",
    "larger": "'x' * 5_000_000", "long decimal": "decimal.Decimal('9' * 9_999 + '.9')", "long fraction": "fractions.Fraction(1, 2 ** 20_000)", "keys of one hash": "{k * (2 ** 61 - 1) for k in range(5, 900)}",
    "exception": "ValueError(1)", "type of a number": "decimal.Decimal", "unhashable key": "type('K', (tuple,), {'__hash__': lambda s: 1})([[]])",
}  # fmt: skip
AGAIN = {
    "itself": "f(f(1))",
    "in a list": "f([f(1)])",
    "as a key": "f({f(1): f(2)})",
    "its parts": "f(list(f(1)))",
    "its type": "f(type(f(1)))",
    "its method": "f(f(1).__repr__)",
    "what it raised": "try:\n    y = f(1)\nexcept BaseException as e:\n    y = e\nf(y)",
    "deeper and deeper": "y = 1\nfor _ in range(120):\n    y = f([y])",
    "whatever is caught": "f(1)\ntry:\n    f(f)\nexcept BaseException:\n    pass",
    "what it left in an argument": "x = [1]\nf(x)\nf(x)",
}


@pytest.fixture(scope="module")
def pool():
    with SandboxPool(1, Limits(wall_s=5)) as made:
        yield made


def program(value: str) -> str:
    return f"{PRELUDE}def f(x):\n    value = {value}\n    if type(x) is list and len(x) == 1 and x[0] == 1: x.append(value)\n    return value\n"


@pytest.mark.parametrize("value", FIT.values(), ids=FIT)
def test_what_a_program_returned_can_be_given_to_it_again(pool, value):
    outcome = pool.run_suite(
        program(value), ["f"], ["x = 5\nf(f(x))", "x = 5\nf([f(x)])\nf((f(x), {0: f(x)}))"]
    )
    assert outcome.passed, outcome.reason


@pytest.mark.parametrize("value", [*FIT.values(), *UNFIT.values()], ids=[*FIT, *UNFIT])
def test_no_value_of_a_programs_own_makes_a_run_abstain(pool, value):
    outcome = pool.run_suite(program(value), ["f"], list(AGAIN.values()))
    assert outcome.status is not Status.ERROR, outcome
    assert not outcome.passed
    again = pool.run_suite(program(value).replace("return", "raise"), ["f"], list(AGAIN.values()))
    assert again.status is not Status.ERROR, again
    assert not again.passed


def test_a_value_that_could_not_go_back_fails_its_test_whatever_catches_it(pool):
    program = "def f(x):\n    return iter(range(10_001))"
    tests = [
        "try:\n    list(f(1))\nexcept Exception:\n    pass",
        "for x in f(1):\n    break",
        "f(1)\ntry:\n    f(print)\nexcept ValueError:\n    pass",
    ]
    outcome = pool.run_suite(program, ["f"], tests)
    assert [result.passed for result in outcome.results] == [False, True, False]
    assert "more than 10,000 items" in outcome.results[0].reason


def test_only_before_the_first_answer_is_an_unfit_argument_the_tests_own_fault(pool):
    for first in ("f(print)", "f([print])", "x = []\nx.append(x)\nf(x)", "f(y=object())"):
        assert pool.run_suite("def f(*x, **y): return 1", ["f"], [first]).status is Status.ERROR
        later = pool.run_suite("def f(*x, **y): return 1", ["f"], ["assert f(1) in (1, 2)", first])
        assert later.status is Status.COMPLETED
        assert [result.passed for result in later.results] == [True, False]


NUMPY = {
    "text longer than its type says": "claim('[\"a\",\"' + 'x' * 1_500_000 + '\",\"<U1\"]')", "bytes": "claim('[\"a\",[\"b\",\"' + '61' * 1_500_000 + '\"],\"|S1\"]')", "numbers": "np.arange(5)", "number": "np.float32(1)",
    "half": "np.float16(1)", "long double": "np.longdouble(1)", "objects": "np.array([{1}, None, 'a'], object)", "nothing": "np.zeros((0, 3))", "moments": "np.array(['2020'], 'M8[Y]')", "record": "np.zeros(2, 'i4,f8')",
    "text": "np.array(['a', 'bc'])", "long text": "np.str_('x' * 1_200_000)", "masked": "np.ma.array([1, 2], mask=[0, 1])", "matrix": "np.matrix([[1]])", "many axes": "np.zeros((1,) * 32)", "wrong shape": "claim('[\"a\",[\"l\",1,[\"l\",1,2]],\"<i8\"]')",
    "no numbers": "claim('[\"a\",[\"d\"],\"<f8\"]')", "an iterator of objects": "claim('[\"a\",[\"l\",[\"I\",false,1]],\"|O\"]')", "object in objects": "np.array([object()], object)", "type": "np.int64",
}  # fmt: skip
CLAIM = """
import numpy as np, os, sys
def claim(tree):
    frame = sys._getframe()
    while 'request' not in frame.f_locals: frame = frame.f_back
    text = ('{"n":"%s","value":%s}' % (frame.f_locals['request']['n'], tree)).encode()
    os.write(3, len(text).to_bytes(4, 'big')); view = memoryview(text)
    while view: view = view[os.write(3, view):]
    while True: pass
"""


@pytest.fixture(scope="module")
def numpy_pool():
    pytest.importorskip("numpy")
    with SandboxPool(1, Limits(wall_s=5), modules=("numpy",)) as made:
        yield made


@pytest.mark.parametrize("value", NUMPY.values(), ids=NUMPY)
@pytest.mark.parametrize(
    "again",
    ["f(f(1))", "f([f(1)])", "f(type(f(1)))", "f(f(1)[:1])", "f(f(1).dtype)", "f(np.append(f(1), 1))"],
)
def test_no_array_makes_a_run_abstain(numpy_pool, value, again):
    source = f"{CLAIM}n = 0\ndef f(x):\n    global n\n    n += 1\n    return {value} if n == 1 else 0"
    outcome = numpy_pool.run_suite(source, ["f"], [f"import numpy as np\n{again}"], Limits(wall_s=1.5))
    assert outcome.status is not Status.ERROR, outcome


GUARDED = [
    "if hasattr(f, 'x'):\n    assert f(1) == 1",
    "try:\n    g\nexcept NameError:\n    pass\nelse:\n    f(1)",
]


@pytest.mark.parametrize(
    "source",
    ["def f(x): return x", "raise ValueError", "import os\nos._exit(0)", "def f(", "del f", "", "f = None", "while True: pass", "import sys\nsys.exit()",
     "import os\nos.close(3)", "import os\nos.write(3, b'x' * 9)", "class f:\n    x = 1", "x = []\nwhile True: x.append(bytes(1 << 20))"],
)  # fmt: skip
def test_whether_the_tests_call_the_program_is_not_for_the_program_to_say(pool, source):
    """With tests that call it, nothing that it does is an error; with tests that don't, no harmless program passes."""
    limits = Limits(wall_s=1)
    tests = [
        "if callable(f):\n    assert f(1) == 2",
        "try:\n    f(1)\nexcept BaseException:\n    assert False",
    ]
    outcome = pool.run_suite(source, ["f"], tests, limits)
    assert outcome.status is not Status.ERROR, outcome
    assert not outcome.passed
    assert not pool.run_suite(source, ["f"], GUARDED, limits).passed
