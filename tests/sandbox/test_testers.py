# ruff: noqa: E501
"""Processes of tests that run several suites: no suite sees anything of those before it, and every verdict is as in a fresh one."""

import contextlib
import os
import signal
import time

import pytest
from palaestra.sandbox import Limits, SandboxPool, Status, relay, worker
from palaestra.sandbox.pure import leaves_nothing

SAME = "def f(*x): return x[0] if x else None"
CALL = "\nfor i in range(2):\n    assert f(i) == i\n"
# Suites that may share a process.
SHARING = [
    CALL,
    "import math, random, copy\nrng = random.Random(42)\nfor _ in range(3):\n    x = [rng.randrange(9)]\n    assert f(copy.deepcopy(x)) == x",
    "import numpy as np\ndef same(a, b):\n    if isinstance(a, np.ndarray) or a != b:\n        np.testing.assert_allclose(a, b, rtol=1e-07, atol=1e-6)\nfor i, (a, b) in enumerate(zip([(1,)], [1])):\n    same(f(*a), b)",
    "from math import isclose\nfrom typing import List, Optional\ndef g(x: List[int]) -> Optional[int]:\n    return f(*x)\nassert isclose(g([1]), 1.0)",
    "x = [3, 1]\nx.sort()\nassert f(x) == [1, 3]\nx[0] = 2\ndel x[1]\nassert [f(y) for y in x] == [2]",
    "try:\n    f(1)\nexcept ValueError as e:\n    assert str(e) == 'x'\nfinally:\n    print(f'{1:>{9}}'.format(3))",
    "import re, string\nassert re.match(string.digits, f('0123456789')).group().copy if False else f(1)",
    "class Case:\n    n = 3\n    def run(self): return f(self.n)\nassert Case().run() == 3",
]
POLLUTING = {
    "a patched module": "import math\nmath.pi = 3",
    "a patched class": "import collections\ncollections.Counter.total = None",
    "a deleted name": "import string\ndel string.digits",
    "a patched builtin": "import builtins\nbuiltins.len = None",
    "a builtin set": "setattr(__builtins__, 'len', None)",
    "a module's namespace": "import math\nmath.__dict__['pi'] = 3",
    "variables of a module": "import math\nvars(math)['pi'] = 3",
    "patched by a loop": "import math as m\nfor m.pi in [3]: pass",
    "patched by with": "import math, contextlib\nwith contextlib.nullcontext(3) as math.pi: pass",
    "a module of a module": "import statistics\nstatistics.math.pi = 3",
    "a module within reach": "import statistics\nstatistics.sys.setrecursionlimit(60)",
    "a seeded generator": "import numpy as np\nnp.random.seed(3)",
    "numpy's errors": "import numpy as np\nnp.seterr(all='raise')",
    "numpy by another name": "import numpy as n\nn.seterr(all='raise')",
    "a decimal context": "import decimal\ndecimal.getcontext().prec = 3",
    "a decimal context set": "from decimal import *\nsetcontext(Context(prec=3))",
    "a removed module": "import sys\nsys.modules.pop('heapq')",
    "a module of its own": "import sys, types\nsys.modules['heapq'] = types.ModuleType('heapq')",
    "the path": "import sys\nsys.path.clear()",
    "the environment": "import os\nos.environ['A'] = 'b'",
    "the folder": "import os\nos.chdir('/')",
    "a file": "open('/tmp/left', 'w').close()",
    "the recursion limit": "import sys\nsys.setrecursionlimit(60)",
    "warnings": "import warnings\nwarnings.simplefilter('error')",
    "a thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(30,), daemon=True).start()",
    "an alarm": "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.3)",
    "a trace": "import sys\nsys.settrace(lambda *a: None)",
    "an exit handler": "import atexit\natexit.register(print)",
    "a registered class": "import collections.abc\ncollections.abc.Sized.register(int)",
    "a registered class, from": "from collections.abc import Sized\nSized.register(int)",
    "locale": "import locale\nlocale.setlocale(locale.LC_ALL, 'C')",
    "an evaluated text": "eval('__import__(\"math\")')",
    "an executed text": "exec('import math; math.pi = 3')",
    "an imported text": "__import__('math').pi = 3",
    "a destructor": "class D:\n    def __del__(self): f(1)\nd = D()",
    "standard output": "import sys\nsys.stdout = None",
    "a loop of events": "import asyncio\nasyncio.run(asyncio.sleep(0))",
    "a coroutine": "async def g(): pass",
    "a frame": "def g(): yield\ng().gi_frame.f_builtins['len'] = None",
    "everything of a module": "from math import *",
    "a text that is no program": "x = (",
}
SEES = """
import sys, math, string, collections, decimal, os, warnings, threading, statistics, signal, heapq, random
assert math.pi > 3.1 and string.digits and len([1]) == 1 and collections.Counter([1]).total() == 1
assert decimal.getcontext().prec == 28 and 'A' not in os.environ and sys.path and os.listdir('/tmp') == []
assert os.getcwd() == '/tmp' and sys.getrecursionlimit() == 1000 and threading.active_count() == 1
assert not any(kind[0] == 'error' for kind in warnings.filters) and signal.getitimer(signal.ITIMER_REAL)[0] == 0
assert sys.gettrace() is None and heapq.heappush and sys.stdout and not issubclass(int, collections.abc.Sized)
assert f(1) == 1
"""
# What suites that share a process do leave, and how one of them could see it.
LEAVING = [
    "import random\nrandom.seed(3)\nrandom.gauss(0, 1)\nrandom.shuffle([1, 2])",
    "left = 1\nlen = print = f2 = None\ndef random(): return 3",
    "def g():\n    try:\n        yield 1\n    finally:\n        f(1)\nleft = g()\nnext(left)",
    "print('x' * 900_000)",
    "assert f(1) == 2",
    "def deep(n): return deep(n + 1)\ndeep(0)",
    "x = [bytes(1 << 24) for _ in range(99)]",
    "raise Exception(f(1))",
    "left = [f]\nleft.append(left)",
    "class Left(int): pass\nx = {Left(i) for i in range(1000)}",
]
LOOK = [
    "import random\nassert f(0), [random.random(), random.gauss(0, 1)]",
    "try:\n    left\nexcept NameError:\n    pass\nelse:\n    assert False\nassert len([f(1)]) == 1\nprint(1)",
    "import random\nassert f(random.random()) != 3",
    "x = [f(bytes(1 << 18)) for _ in range(3)]\nassert len(x) == 3",
]


@pytest.fixture
def pool():
    with SandboxPool(1, Limits(wall_s=3, memory=1 << 28)) as made:
        yield made


def tester(pool: SandboxPool) -> int | None:
    """The process that waits for the next suite."""
    kept = pool._all[0]._tester
    return None if kept is None else kept.child.number


@pytest.mark.parametrize("test", SHARING)
def test_suites_that_may_share_a_process_are_told(test):
    assert leaves_nothing("from typing import List\nimport math", [test])


@pytest.mark.parametrize("test", POLLUTING.values(), ids=POLLUTING)
def test_suites_that_could_leave_something_are_told(test):
    assert not leaves_nothing("", [test])
    assert not leaves_nothing("", [CALL, test])
    assert not leaves_nothing(test, [CALL])


@pytest.mark.parametrize("test", POLLUTING.values(), ids=POLLUTING)
def test_no_suite_sees_what_another_changed(pool, test):
    assert pool.run_suite(SAME, ["f"], [CALL]).passed
    kept = tester(pool)
    assert kept is not None
    pool.run_suite(
        SAME,
        ["f"],
        [f"try:\n    {test.replace(chr(10), chr(10) + '    ')}\nexcept ImportError:\n    pass{CALL}"],
    )
    assert tester(pool) == kept, "it was used"
    for look in (SEES, *LOOK[1:]):
        outcome = pool.run_suite(SAME, ["f"], [look])
        assert outcome.passed, outcome.reason


def summary(outcome):
    return outcome.status, [(result.passed, result.reason) for result in outcome.results]


def test_a_shared_process_gives_the_verdicts_of_a_fresh_one(pool, monkeypatch):
    suites = [
        (source, each)
        for each in (*LEAVING, *LOOK, *SHARING)
        if "numpy" not in each
        for source in (SAME, "def f(*x): raise ValueError('x')")
    ]
    with monkeypatch.context() as patched:
        patched.setattr(relay, "leaves_nothing", lambda *_: False)
        fresh = {suite: summary(pool.run_suite(suite[0], ["f"], [suite[1]])) for suite in suites}
    assert tester(pool) is None
    used = set()
    for step in (1, -1, 3, 5):
        for suite in [*suites[::step], *suites[1 :: abs(step)]]:
            assert leaves_nothing("", [suite[1]]), suite[1]
            assert summary(pool.run_suite(suite[0], ["f"], [suite[1]])) == fresh[suite]
            used.add(tester(pool))
    assert len(used) < 40, "they shared none"
    assert {status for status, _ in fresh.values()} >= {Status.COMPLETED, Status.ERROR}


def test_a_process_is_kept_as_long_as_nothing_goes_wrong(pool, monkeypatch):
    numbers = []
    for source in (
        SAME,
        "def f(x): return 7",
        "def f(x): raise KeyError(x)",
        "def f(",
        "def f(x): return object()",
        SAME,
    ):
        pool.run_suite(source, ["f"], [CALL])
        numbers.append(tester(pool))
    assert None not in numbers
    assert len(set(numbers)) == 1
    for source in (
        "import os\ndef f(x): os._exit(0)",
        "def f(x):\n    while True: pass",
        "import os\ndef f(x): os.write(3, b'x' * 99)",
        "def f(x): raise MemoryError",
        "def f(x): raise SystemExit",
    ):
        assert not pool.run_suite(source, ["f"], [CALL], Limits(wall_s=1, memory=1 << 28)).passed
        assert tester(pool) is None
        assert pool.run_suite(SAME, ["f"], [CALL]).passed
    kept = tester(pool)
    assert pool.run_suite(SAME, ["f"], [CALL], Limits(memory=1 << 27)).passed
    assert tester(pool) not in (kept, None), "its limits were others"
    monkeypatch.setattr(worker, "MAX_SUITES", 3)
    numbers = []
    for _ in range(7):
        assert pool.run_suite(SAME, ["f"], [CALL]).passed
        numbers.append(tester(pool))
    assert len(set(numbers)) >= 3


def test_a_waiting_process_that_was_killed_or_spoke_is_replaced(pool):
    assert pool.run_suite(SAME, ["f"], [CALL]).passed
    kept = pool._all[0]._tester
    kept.child.buffer += b"x"
    assert pool.run_suite(SAME, ["f"], [CALL]).passed
    assert pool._all[0]._tester is not kept
    children = [int(name) for name in os.listdir("/proc") if name.isdigit() and serves(int(name))]
    assert children
    for process in children:
        with contextlib.suppress(ProcessLookupError):  # one takes those that it started along
            os.kill(process, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while any(map(serves, children)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert pool.run_suite(SAME, ["f"], [CALL]).passed


def serves(process: int) -> bool:
    """Whether it is a process, but not the launcher, of a sandbox of this one's."""
    try:
        with open(f"/proc/{process}/cmdline", "rb") as file:
            ours = f"\0palaestra-{os.getpid()}-".encode() in file.read()
        with open(f"/proc/{process}/stat") as file:
            return ours and int(file.read().rpartition(")")[2].split()[1]) != os.getpid()
    except OSError:
        return False
