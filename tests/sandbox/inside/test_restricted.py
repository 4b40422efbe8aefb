# ruff: noqa: E501
"""The restricted mode."""

import functools
import gzip
import importlib
import json
import operator
import statistics
import string
import types
import typing
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from palaestra.sandbox import Call
from palaestra.sandbox.inside import restricted

DATA = Path(__file__).parents[3].parent / "shared" / "data"


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("def f(xs): return sorted([x * x for x in xs if x], reverse=True)", [9, 4, 1]),
        ("import math\ndef f(xs):\n    t = 0\n    for x in xs:\n        t += math.sqrt(x * x)\n    return t", 6.0),
        ("def f(xs):\n    d = {}\n    for i, x in enumerate(xs): d[x] = i\n    a, *b = xs\n    return d, a, b", ({1: 0, 2: 1, 3: 2}, 1, [2, 3])),
        ("from collections import Counter\ndef f(xs): return Counter(xs)", {1: 1, 2: 1, 3: 1}),
        ("class P:\n    def __init__(self, n): self.n = n\ndef f(xs): return [P(x).n for x in xs]", [1, 2, 3]),
        ("def f(xs):\n    print(xs)\n    return xs", [1, 2, 3]),
        ("from collections.abc import Sized\nimport collections.abc\ndef f(xs): return isinstance(xs, Sized), isinstance(xs, collections.abc.Sized)", (True, True)),
        ("import functools\ndef d(g):\n    @functools.wraps(g)\n    def h(x): return g(x) + [4]\n    return h\n@d\ndef f(xs): return xs", [1, 2, 3, 4]),
        ("from typing import List\ndef f(xs: List[int]) -> int: return f'{sum(xs):03d}'", "006"),
        ("class T:\n    def __init__(self): self.n = 1\n    def format(self, x): return [x, self.n]\ndef f(xs): return T().format(xs)", [[1, 2, 3], 1]),
        ("import datetime, decimal, string, re\ndef f(xs):\n    return str(datetime.date(2020, 1, xs[0])), decimal.Decimal(xs[1]) / 4, string.digits[:2], re.sub('a', 'b', 'a')", ("2020-01-01", Decimal("0.5"), "01", "b")),
    ],
)  # fmt: skip
def test_small_pure_functions_are_in_the_language(pool, source, result):
    outcome = pool.run_tests(source, "f", [Call(([1, 2, 3],), expected=result)], mode="restricted")
    assert outcome.passed, outcome


@pytest.mark.parametrize(
    "source",
    ["import os\ndef f(): return 1", "def f(): return open('/dev/null')", "def f(): return ().__class__.__bases__",
     "def f(): return eval('1')", "def f(): return '{0.__class__}'.format(1)", "def f(): return getattr(1, '__class__')",
     "def f(): return type('X', (), {})", "def f(): exec('x = 1')", "def f(): return globals()", "from string import Formatter\ndef f(): return Formatter().format('{0.__class__}', 1)",
     "import math\ndef f():\n    math.pi = 3\n    return 1",
     "import statistics\ndef f(): return 1 if statistics.sys else 0", "import typing\ndef f(): return len(typing.sys.path)",
     "from typing import sys\ndef f(): return 1", "from random import _os\ndef f(): return 1", "import os.path\ndef f(): return 1",
     "from typing import re\ndef f(): return 1", "import collections\ndef f(): return getattr(collections, '_sys').platform",
     "from operator import attrgetter\ndef f(): return attrgetter('__class__.__name__')(1)", "import re._compiler\ndef f(): return 1",
     "class S(str):\n    def g(self): return super().format(1)\ndef f(): return S('{0.__class__}').g()",
     "def f(): return list(map(str.format, ['{0.__class__}'], [1]))", "def f(): return '{0.__class__}'.format_map({'0': 1})",
     "from collections import UserString\ndef f(): return UserString('{0.__class__}').format(1)",
     "from string import Formatter\ndef f(): return Formatter().get_field('0.__class__', (1,), {})[0].__name__",
     "import typing\ndef g(x: '().__class__'): pass\ndef f(): return str(typing.get_type_hints(g))",
     "import functools\ndef g(x: '().__class__'): pass\ndef f():\n    functools.singledispatch(g).register(g)\n    return 1",
     "import functools, statistics\ndef g(): pass\ndef f():\n    functools.update_wrapper(g, statistics.mean, (), ('__globals__',))\n    return 1",
     "import functools, statistics\ndef g(): pass\ndef f():\n    functools.wraps(statistics.mean).func(g, updated=('__globals__',))\n    return 1",
     "def g(): yield 1\ndef f(): return getattr(g(), 'gi_frame').f_lineno", "def f(): return type(int)('X', (), {}).__name__",
     "def f():\n    try: 1 / 0\n    except ZeroDivisionError as e: return getattr(e, '__traceback__').tb_lineno",
     "class N(str):\n    def startswith(self, *a): return False\ndef f(): return getattr(1, N('__class__')).__name__"],
)  # fmt: skip
def test_the_rest_of_python_is_not(pool, source):
    outcome = pool.run_tests(source, "f", [Call()], mode="restricted")
    assert not outcome.passed, outcome


FORBIDDEN = [
    eval, exec, compile, open, input, getattr, setattr, delattr, vars, dir, globals, locals, breakpoint, __import__, type,
    string.Formatter, operator.attrgetter, operator.methodcaller, typing.get_type_hints, typing.ForwardRef,
    functools.update_wrapper, functools.wraps, functools.singledispatch, importlib.import_module,
]  # fmt: skip
NAMESPACES = (types.FrameType, types.CodeType, types.TracebackType)


def reach(start: list[object], get: Callable[[object, str], object]) -> tuple[int, list[str]]:
    """Walk all attributes; how many things there are, and the first that must not be."""
    own = [restricted.make_module(name) for name in restricted.IMPORTABLE]
    waiting = deque((repr(value), value) for value in start)
    seen: dict[int, object] = {}
    bad = []
    while waiting and not bad and len(seen) < 10_000:
        path, found = waiting.popleft()
        if id(found) in seen or type(found) in (int, float, complex, str, bytes, bool):
            continue
        seen[id(found)] = found
        if any(found is each for each in FORBIDDEN) or isinstance(found, NAMESPACES):
            bad.append(path)
        if isinstance(found, types.ModuleType) and not any(found is module for module in own):
            bad.append(path)
        if type(found) is dict and "__builtins__" in found:
            bad.append(path)
        for name in dir(found):
            try:
                waiting.append((f"{path}.{name}", get(found, name)))
            except Exception:  # noqa: BLE001 - refused, or an attribute that has no value here
                continue
    return len(seen), bad


def test_nothing_within_reach_is_a_module_a_namespace_or_a_way_to_attributes_by_name():
    space = restricted.prepare("def f(): return 1")[1]
    start = [value for name, value in space["__builtins__"].items() if not name.startswith("_")]
    count, bad = reach([*start, *map(restricted.make_module, restricted.IMPORTABLE)], space["_getattr_"])
    assert not bad
    assert 1000 < count < 10_000, "the walk saw little, or did not come to its end"


def test_the_walk_finds_what_must_not_be_in_reach():
    for start in (statistics, functools.partial(operator.attrgetter, "x")):
        assert reach([start], restricted.prepare("")[1]["_getattr_"])[1]
    assert reach([restricted.prepare], getattr)[1]


def test_most_published_humaneval_solutions_are_in_the_language(pool):
    path = DATA / "humaneval" / "HumanEval.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    passed = 0
    for row in rows:
        tests = [f"{row['test']}\ncheck({row['entry_point']})"]
        source, setup = row["prompt"] + row["canonical_solution"], row["prompt"] + "    pass\n"
        passed += pool.run_suite(source, [row["entry_point"]], tests, setup=setup, mode="restricted").passed
    assert passed >= 150, passed
