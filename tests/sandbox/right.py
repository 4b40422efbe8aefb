# ruff: noqa: E501
"""Right programs that a sandbox must not refuse: each with its calls, or with standard input and output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from palaestra.sandbox import Call


@dataclass(frozen=True)
class Function:
    uses: str
    source: str
    calls: tuple[Call, ...]


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
