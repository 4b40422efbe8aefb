# ruff: noqa: E501
"""Right programs that a sandbox must not refuse: each with its calls, or with standard input and output."""

from __future__ import annotations

import datetime
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from palaestra.sandbox import Call


@dataclass(frozen=True)
class Function:
    uses: str
    source: str
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class Suite:
    """tests: statements that use the program's `f`; must_fail: those that a tester in plain Python would see fail."""

    uses: str
    source: str
    tests: tuple[str, ...]
    must_fail: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    modules: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Script:
    uses: str
    source: str
    stdin: str
    stdout: str


def function(uses: str, source: str, *pairs: tuple[tuple[Any, ...], Any]) -> Function:
    return Function(uses, source, tuple(Call(args, expected=expected) for args, expected in pairs))


FUNCTIONS = [
    function("threads", """
import threading
def f(n):
    found = []
    threads = [threading.Thread(target=found.append, args=(i,)) for i in range(n)]
    [t.start() for t in threads]; [t.join() for t in threads]
    return sorted(found)
""", ((8,), list(range(8)))),
    function("32 threads at a time, each at work", """
import threading
def f(n):
    gate, found = threading.Barrier(n), []
    def depth(k): return 0 if k == 0 else 1 + depth(k - 1)
    def work(i):
        gate.wait()
        found.append(len("".join(str(k) * 10 for k in range(20_000))) + depth(900) + i)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(n)]
    [t.start() for t in threads]; [t.join() for t in threads]
    return len(found)
""", ((8,), 8), *[((32,), 32)] * 4),
    function("a pool of 32 threads", """
from concurrent.futures import ThreadPoolExecutor
def f(n):
    with ThreadPoolExecutor(32) as pool:
        return sum(pool.map(lambda x: sum(range(x)), range(n)))
""", ((2000,), sum(sum(range(x)) for x in range(2000)))),
    function("a database in a file, and locks on files of its own", """
import fcntl, sqlite3, shelve
def f(n):
    with sqlite3.connect('base.db') as db:
        db.execute('create table t (a)'); db.executemany('insert into t values (?)', [(i,) for i in range(n)])
    with open('mine', 'w') as file:
        fcntl.lockf(file, fcntl.LOCK_EX); file.write('x'); fcntl.lockf(file, fcntl.LOCK_UN)
    with sqlite3.connect('base.db') as again: return again.execute('select sum(a) from t').fetchone()[0]
""", ((10,), 45)),
    function("temporary files of every kind", """
import tempfile
def f(text):
    with tempfile.TemporaryFile('w+') as a, tempfile.NamedTemporaryFile('w+') as b, tempfile.SpooledTemporaryFile(4, 'w+') as c:
        for file in (a, b, c): file.write(text); file.seek(0)
        return a.read() + b.read() + c.read()
""", (("hello",), "hellohellohello")),
    function("an argument of 8 MB", "def f(x): return len(x), x[-1]", (([10**6 + i for i in range(800_000)],), (800_000, 10**6 + 799_999))),
    function("a thread pool", """
from concurrent.futures import ThreadPoolExecutor
def f(n):
    with ThreadPoolExecutor(4) as pool:
        return sum(pool.map(abs, range(-n, 0)))
""", ((10,), 55)),
    function("a thread with a large stack", """
import sys, threading
sys.setrecursionlimit(10 ** 6); threading.stack_size(1 << 27)
def f(n):
    out = []
    def depth(k): return 0 if k == 0 else 1 + depth(k - 1)
    t = threading.Thread(target=lambda: out.append(depth(n))); t.start(); t.join()
    return out[0]
""", ((50_000,), 50_000)),
    function("asyncio", """
import asyncio
async def twice(x):
    await asyncio.sleep(0.001); return 2 * x
def f(xs):
    async def main(): return await asyncio.gather(*map(twice, xs))
    return asyncio.run(main())
""", (([1, 2, 3],), [2, 4, 6])),
    function("deep recursion", """
import sys
sys.setrecursionlimit(100_000)
def f(n): return 0 if n == 0 else 1 + f(n - 1)
""", ((20_000,), 20_000)),
    function("big integers", "import math\ndef f(n): return math.factorial(n)", ((500,), __import__("math").factorial(500))),
    function("special floats", "def f(x): return [x, -x, float('inf'), float('nan'), -0.0]",
             ((1.5,), [1.5, -1.5, float("inf"), float("nan"), -0.0])),
    function("text of every kind", "def f(s): return s[::-1]", (("aé😀\ud800\0\u200b",), "\u200b\0\ud800😀éa")),
    function("nested containers", "def f(x): return {'a': (x, {x}), (1, 2): [None, True, b'\\xff'], None: frozenset([x])}",
             ((3,), {(1, 2): [None, True, b"\xff"], "a": (3, {3}), None: frozenset([3])})),
    function("Counter, defaultdict and OrderedDict where a dict is due", """
from collections import Counter, OrderedDict, defaultdict
def f(s):
    d = defaultdict(int)
    for c in s: d[c] += 1
    return [Counter(s), d, OrderedDict(a=1)]
""", (("aab",), [{"a": 2, "b": 1}, {"a": 2, "b": 1}, {"a": 1}])),
    function("files in the scratch", """
import os, tempfile, shutil
def f(text):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'a'); open(path, 'w').write(text)
        shutil.copy(path, path + 'b'); os.rename(path + 'b', path + 'c')
        return open(path + 'c').read(), sorted(os.listdir(folder))
""", (("hello",), ("hello", ["a", "ac"]))),
    function("dataclasses, enums and typing", """
from dataclasses import dataclass, asdict
from enum import Enum
from typing import NamedTuple, Optional
class Colour(Enum): RED = 1
class P(NamedTuple): x: int
@dataclass(order=True)
class Q: y: Optional[int] = None
def f(v): return asdict(Q(v)), P(v).x, Colour(1).name
""", ((4,), ({"y": 4}, 4, "RED"))),
    function("modules imported late", """
def f():
    import sqlite3, zlib, lzma, hashlib, csv, zoneinfo, xml.etree.ElementTree, difflib, secrets, uuid, pickle, unittest, logging
    import multiprocessing, subprocess, socket, ssl, platform, getpass, glob, pathlib
    db = sqlite3.connect(':memory:'); db.execute('create table t (a)'); db.execute('insert into t values (7)')
    return db.execute('select a from t').fetchone(), zlib.decompress(zlib.compress(b'x')), pickle.loads(pickle.dumps([1]))
""", ((), ((7,), b"x", [1]))),
    function("a program's own exceptions and exit handlers", """
import atexit, contextlib, warnings
atexit.register(lambda: None)
class Odd(Exception): pass
def f(x):
    warnings.warn('careful')
    with contextlib.suppress(Odd):
        raise Odd()
    try: return 1 / x
    except ZeroDivisionError: return 'zero'
""", ((0,), "zero"), ((2,), 0.5)),
    function("standard output that is nobody's business", "def f(x):\n    print('x' * 100_000)\n    return x", ((1,), 1), ((2,), 2)),
    function("a main block that is not for tests", "def f(x): return x\nif __name__ == '__main__':\n    f(int(input()))", ((1,), 1)),
    function("state between calls", "seen = []\ndef f(x):\n    seen.append(x)\n    return len(seen)", ((1,), 1), ((1,), 2)),
    function("a timer and a clock", """
import signal, time
def f():
    rung = []
    signal.signal(signal.SIGALRM, lambda *a: rung.append(1)); signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(0.05); time.perf_counter(); time.strftime('%Y')
    return rung
""", ((), [1])),
    function("60 MB of memory", "def f():\n    x = bytearray(60_000_000)\n    return len(x)", ((), 60_000_000)),
    function("a result of 300 KB", "def f(n): return list(range(n))", ((50_000,), list(range(50_000)))),
    function("Windows line ends", "def f(x):\r\n    return x\r\n", ((1,), 1)),
    function("annotations that were never imported", """
def g(root: Optional[TreeNode]) -> List[List[int]]: return []
class Solution:
    seen: Dict[str, 'Any'] = {}
    def h(self, xs: List[int] = [1]) -> Iterable[int]: return xs
def f(xs: List[int], *rest: Tuple) -> Optional[int]: return Solution().h() + g(None) + xs
""", (([2],), [1, 2])),
    function("annotations that are read", """
import functools
from dataclasses import dataclass, fields
@functools.singledispatch
def kind(x): return 'other'
@kind.register
def _(x: int): return 'int'
@dataclass
class P: x: int; y: str = ''
def f(x): return [kind(x), kind(''), f.__annotations__, [t.type for t in fields(P)], g.__annotations__]
def g(a: int) -> str: return ''
""", ((1,), ["int", "other", {}, [int, str], {"a": int, "return": str}])),
    function("namedtuples, enums of numbers and texts, subclasses of builtins", """
from collections import namedtuple
from enum import IntEnum, IntFlag, StrEnum
from typing import NamedTuple
P = namedtuple('P', 'x y')
class Q(NamedTuple):
    a: int
    b: str = 'b'
class N(IntEnum): TWO = 2
class F(IntFlag): A = 1; B = 2
class S(StrEnum): A = 'a'
class Matrix(list): pass
def f(): return [P(1, [2]), Q(3), N.TWO, F.A | F.B, S.A, Matrix([1]), {P(1, 2): N.TWO}]
""", ((), [(1, [2]), (3, "b"), 2, 3, "a", [1], {(1, 2): 2}])),
    function("dates, times and time differences", """
from datetime import *
def f(d, t): return [d + timedelta(days=1), datetime(2020, 1, 1, 12, tzinfo=timezone.utc), time(1, 2), timedelta(hours=t)]
""", ((datetime.date(2020, 2, 28), 36), [datetime.date(2020, 2, 29), datetime.datetime(2020, 1, 1, 12, tzinfo=datetime.UTC), datetime.time(1, 2), datetime.timedelta(1.5)])),
    function("deques, views and sets of sets", """
from collections import deque
def f(q):
    q.append(4)
    return [q, deque([1], maxlen=3), {(frozenset([8, 0]), 1), (frozenset([16, 8]), 2)}, {1: 2}.keys(), {1: [2]}.values()]
""", ((deque([3]),), [deque([3, 4]), deque([1]), {(frozenset([0, 8]), 1), (frozenset([8, 16]), 2)}, {1}, {1: [2]}.values()])),
    function("decimals that are equal by value", "from decimal import Decimal\ndef f(x): return [Decimal(x) * 2, Decimal('1E+2'), Decimal('-0')]",
             (("1.50",), [Decimal(3), Decimal(100), Decimal(0)])),
    function("names of its own for builtins", "list = sum = len = None\nimport json\ndef f(x): return [x]", ((1,), [1])),
]  # fmt: skip

SCRIPTS = [
    Script("input", "a, b = map(int, input().split())\nprint(a + b)", "1 2\n", "3"),
    Script("input until the end", "t = 0\ntry:\n    while True: t += int(input())\nexcept EOFError: print(t)", "1\n2\n3", "6\n"),
    Script("sys.stdin", "import sys\nprint(sum(int(x) for l in sys.stdin for x in l.split()))", "1 2\n3\n", "6"),
    Script("sys.stdin.buffer", "import sys\nprint(len(sys.stdin.buffer.read().split()))", "a b c", "3"),
    Script("open(0)", "print(sum(map(int, open(0).read().split())))", "4 5 6", "15"),
    Script("os.read", "import os, io\ns = io.BytesIO(os.read(0, os.fstat(0).st_size))\nprint(s.readline().decode().strip())", "hi\n", "hi"),
    Script("fast output at exit", "import sys, io, atexit\no = io.StringIO(); atexit.register(lambda: sys.__stdout__.write(o.getvalue()))\nsys.stdout = o\nprint(7)", "", "7"),
    Script("sys.exit", "import sys\nprint(1)\nsys.exit()", "", "1"),
    Script("os._exit after a flush", "import os, sys\nprint(1)\nsys.stdout.flush()\nos._exit(0)", "", "1"),
    Script("exit", "print(1)\nexit()\nprint(2)", "", "1"),
    Script("quit with 0 in a function", "def main():\n    print(int(input()))\n    quit(0)\nmain()\nprint(2)", "1", "1"),
    Script("exit in a loop that catches Exception", "while True:\n    try: print(input())\n    except Exception: exit()", "1\n2\n", "1\n2"),
    Script("raise SystemExit", "print(1)\nraise SystemExit", "", "1"),
    Script("sys.exit(None) in a function", "import sys\ndef f(): sys.exit(None)\nprint(1)\nf()", "", "1"),
    Script("input over the scratch's size", "import sys\nprint(sum(len(line) for line in sys.stdin))", ("x" * 63 + "\n") * 400_000, str(64 * 400_000)),
    Script("output in a file object that is never closed", "out = open(1, 'w')\nout.write('7')", "", "7"),
    Script("output when objects die", "class A:\n    def __del__(self): print(7)\na = A()", "", "7"),
    Script("a generator left open", "def g():\n    try: yield\n    finally: print(7)\nx = g(); next(x)", "", "7"),
    Script("standard output wrapped anew", "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, 'utf-8')\nprint('é')", "", "é"),
    Script("standard output detached", "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.detach(), write_through=True)\nprint(7)", "", "7"),
    Script("standard input wrapped anew", "import io, sys\nsys.stdin = io.TextIOWrapper(sys.stdin.buffer, 'utf-8')\nprint(input())", "é", "é"),
    Script("input mapped into memory", "import mmap\nprint(sum(map(int, mmap.mmap(0, 0, access=mmap.ACCESS_READ).read().split())))", "3 4", "7"),
    Script("a buffer of its own, flushed by the interpreter", """
import io, os, sys
class Out(io.IOBase):
    def __init__(self): self.kept = io.BytesIO()
    def write(self, text): self.kept.write(text.encode())
    def flush(self): os.write(1, self.kept.getvalue()); self.kept = io.BytesIO()
sys.stdout = Out()
print(int(input()) * 2)
""", "21", "42"),
    Script("its own file name", "import os\nprint(os.path.basename(__file__) != '')", "", "True"),
    Script("a main function in a thread", "import threading\ndef main(): print(int(input()) * 2)\nt = threading.Thread(target=main); t.start()", "21", "42"),
    Script("white space at line ends", "print('1 2 ')\nprint()\n", "", "1 2\n"),
    Script("large input", "import sys\nprint(sum(map(int, sys.stdin.read().split())))", "1 " * 200_000, "200000"),
    Script("text outside ASCII", "print(input()[::-1])", "añ😀", "😀ña"),
]  # fmt: skip

SUITES = [
    Suite("a generator", "def f(n):\n    for i in range(n): yield i * i", ("assert list(f(4)) == [0, 1, 4, 9]", "assert sum(f(3)) == 5", "assert next(f(2)) == 0"), ("assert list(f(2)) == [0]",)),
    Suite("a generator that never ends", "def f(a, b):\n    while True:\n        yield a\n        a, b = b, a + b",
          ("import itertools; assert list(itertools.islice(f(0, 1), 6)) == [0, 1, 1, 2, 3, 5]", "g = f(0, 1); next(g); assert next(g) == 1")),
    Suite("iterators", "def f(xs): return map(lambda x: x + 1, xs)", ("assert list(f([1, 2])) == [2, 3]", "assert list(f(iter([1]))) == [2]", "assert sorted(f({3, 1})) == [2, 4]")),
    Suite("views of a dict", "def f(d): return d.keys()", ("assert list(f({2: 0, 1: 0})) == [2, 1]", "assert f({1: 0}) == {1}", "assert sorted(f({2: 0, 1: 0})) == [1, 2]")),
    Suite("arguments changed in place", "def f(x):\n    x.sort(); x.append(len(x))",
          ("x = [3, 1]; y = x; f(x); assert y == [1, 3, 2] and y is x", "x = [[2, 1], 3]; f(x[0]); assert x == [[1, 2, 2], 3]", "x = [1]; assert f(x) is None; assert x == [1, 1]"),
          ("x = [3, 1]; f(x); assert x == [3, 1]", "f((1, 2))")),
    Suite("dicts, sets and nested lists changed in place", "def f(d, k=None):\n    d.setdefault('a', []).append(1); k is not None and k.add(5)\n    del d['b']",
          ("a = [0]; d = {'a': a, 'b': 2}; k = {1}; f(d, k=k); assert d == {'a': [0, 1]} and a == [0, 1] and k == {1, 5}",)),
    Suite("a Counter changed in place", "def f(c): c['a'] += 1", ("from collections import Counter; c = Counter('ab'); f(c); assert c == Counter('aab') and c['z'] == 0",)),
    Suite("a change before an exception", "def f(x):\n    x.pop()\n    raise KeyError('a')", ("x = [1, 2]\ntry: f(x)\nexcept KeyError: pass\nassert x == [1]",)),
    Suite("fields of a namedtuple", "from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(x, y): return [P(x, y)]", ("assert f(1, 2)[0].y == 2", "assert f(1, 2) == [(1, 2)]", "x, y = f(1, 2)[0]")),
    Suite("dates", "import datetime\ndef f(d): return d + datetime.timedelta(1)", ("import datetime; assert f(datetime.date(2020, 2, 28)).day == 29",)),
    Suite("objects of the program's class", "class Pair:\n    def __init__(self, u, v=0): self.u, self.v, self.next = u, v, None\ndef f(ps): return [p.u - p.v + (p.next.u if p.next else 0) for p in ps]",
          ("assert f([Pair(5, 2), Pair(v=1, u=9)]) == [3, 8]", "p = Pair(1); p.next = Pair(7); assert f([p]) == [8]"), ("assert f([Pair()])",), ("Pair",)),
    Suite("NumPy arrays", "import numpy as np\ndef f(x): return np.array(x) * 2", ("import numpy as np; assert (f([1, 2]) == np.array([2, 4])).all()", "assert f([[1.5]]).shape == (1, 1)", "assert f([1, 2]).tolist() == [2, 4]",
          "import numpy as np; assert np.allclose(f(np.array([0.5])), [1])"), ("assert f([1]).tolist() == [3]",), (), ("numpy",)),
    Suite("NumPy arrays changed in place", "def f(x): x[x > 1] = 0", ("import numpy as np; x = np.array([1, 2]); f(x); assert x.tolist() == [1, 0]",), (), (), ("numpy",)),
    Suite("NumPy numbers", "import numpy as np\ndef f(x): return np.mean(x), np.sum(x), np.max(x) > 1", ("assert f([1, 2]) == (1.5, 3, True)", "assert f([1, 2])[1].dtype.kind == 'i'", "assert round(f([1, 2])[0], 3) == 1.5"), (), (), ("numpy",)),
]  # fmt: skip

# What NumPy gives, and the values that a tester compares it with.
NUMPY = [
    function("NumPy's numbers", "import numpy as np\ndef f(x): return [np.sum(x), np.mean(x), np.bool_(True), np.float32(0.5), np.float64(2)]", (([1, 2],), [3, 1.5, True, 0.5, 2])),
    function("NumPy's arrays", "import numpy as np\ndef f(x): return np.array(x) + 1", (([1, 2],), [2, 3]), (([[1], [2]],), [(2,), (3,)]), (((0.5,),), [1.5])),
    function("NumPy's numbers as keys", "import numpy as np\ndef f(x): return {k: int(v) for k, v in zip(*np.unique(x, return_counts=True))}", (([1, 2, 1],), {1: 2, 2: 1})),
]  # fmt: skip
