# ruff: noqa: E501
"""What one program leaves to the next, to the tests, or to the machine's own processes: nothing."""

import fcntl
import os
import threading
import time

import pytest
from palaestra.sandbox import Call, Limits, SandboxPool

# All that a program can see of what its scratch and the files it may read have been through.
LOOK = """
import os, csv, colorsys, time
def f():
    def times(path): s = os.stat(path); return [s.st_ino, s.st_nlink, s.st_size, s.st_mode, s.st_atime_ns, s.st_mtime_ns]
    found = [times('/tmp'), os.listdir('/tmp'), sorted(os.environ), os.getcwd()]
    found += [times(path) for path in (os.__file__, csv.__file__, colorsys.__file__, os.path.dirname(os.__file__), '/', '/dev/null')]
    for name in 'ab':
        open('/tmp/' + name, 'w').close(); found.append(os.stat('/tmp/' + name).st_ino)
    os.mkdir('/tmp/c'); found.append(os.stat('/tmp/c').st_ino)
    v = os.statvfs('/tmp'); found.append([v.f_bfree, v.f_ffree, v.f_blocks])
    return found + [os.getpid(), os.getppid(), os.getsid(0)]
"""
LEAVE = {
    "nothing": "pass",
    "a file": "open('/tmp/x', 'w').write('x')",
    "a removed file": "open('/tmp/x', 'w').close(); os.unlink('/tmp/x')",
    "a removed file in a removed folder": "os.mkdir('/tmp/d'); open('/tmp/d/x', 'w').close(); shutil.rmtree('/tmp/d')",
    "a file without a name": "os.open('/tmp', os.O_TMPFILE | os.O_RDWR)",
    "a file that was never made": "os.open('/tmp/' + 'x' * 300, os.O_CREAT)",
    "a link": "os.symlink('/', '/tmp/s'); os.unlink('/tmp/s')",
    "a look": "os.listdir('/tmp'); os.stat('/tmp')",
    "times": "os.utime('/tmp', (5, 5))",
    "times set back": "s = os.stat('/tmp'); os.utime('/tmp', ns=(s.st_atime_ns, s.st_mtime_ns))",
    "rights": "os.chmod('/tmp', 0o777); os.chmod('/tmp', 0o700)",
    "a library file read": "open(colorsys.__file__).read(); open(csv.__file__).read()",
    "a library file locked": "fcntl.lockf(open(colorsys.__file__), fcntl.LOCK_SH, 7, 12345)",
    "a device written to": "open('/dev/null', 'w').write('x')",
    "a session": "os.setsid()",
}


@pytest.fixture(scope="module")
def seen(pool):
    return {repr(pool.run_tests(LOOK, "f", [Call()]).results[0].value) for _ in range(10)}


@pytest.mark.parametrize("body", LEAVE.values(), ids=LEAVE)
def test_a_program_leaves_nothing_to_see(pool, seen, body):
    assert len(seen) == 1, "what is seen differs without any cause"
    source = f"import os, fcntl, shutil, csv, colorsys\ndef f():\n    {body}"
    for _ in range(6):
        pool.run_tests(source, "f", [Call()])
        assert repr(pool.run_tests(LOOK, "f", [Call()]).results[0].value) in seen


@pytest.mark.parametrize(
    "lock",
    ["fcntl.flock(file, fcntl.LOCK_EX)", "fcntl.flock(file, fcntl.LOCK_SH)", "fcntl.lockf(file, fcntl.LOCK_SH, 7, 99)",
     "fcntl.fcntl(file, 1024, 0)", "fcntl.fcntl(file, 37, struct.pack('hhqqi', 0, 0, 99, 7, 0))"],
)  # fmt: skip
def test_a_lock_on_a_library_file_holds_up_nobody_and_shows_to_nobody(lock):
    source = (
        "import colorsys, fcntl, struct, time\nfile = open(colorsys.__file__)\n"
        f"def f():\n    try: {lock}\n    except OSError: pass\n    time.sleep(0.7)\n    return 1"
    )
    ask = (
        "import colorsys, fcntl, struct\nfile = open(colorsys.__file__)\ndef f():\n"
        "    try: return fcntl.fcntl(file, fcntl.F_GETLK, struct.pack('hhqqi', 1, 0, 0, 0, 0))\n"
        "    except OSError: return None"
    )
    import colorsys

    with SandboxPool(2, Limits(wall_s=5)) as pool:
        pool.run_tests(ask, "f", [Call()])
        thread = threading.Thread(target=pool.run_tests, args=(source, "f", [Call()]))
        thread.start()
        time.sleep(0.35)
        assert pool.run_tests(ask, "f", [Call(expected=None)]).passed
        with open(colorsys.__file__) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
        thread.join()


PEEK = """
import random
state = random.getstate()
def f(x):
    own = random.Random(); own.setstate(state)
    ahead = [own.random() for _ in range(1000)] + [random.Random(n).random() for n in range(100)]
    return x in ahead
"""


def test_tests_draw_numbers_that_the_program_does_not_know_and_the_same_each_time(pool):
    test = "import random\nx = random.random()\nassert not f(x), x"
    assert pool.run_suite(PEEK, ["f"], [test]).passed
    show = "import random\nassert f(0), [random.random(), random.randrange(10**9)]"
    drawn = [
        pool.run_suite(source, ["f"], [show]).reason
        for source in ("def f(x): return x", "def f(x): return None")
    ]
    drawn += [pool.run_suite("import random\ndef f(x): random.seed(5)", ["f"], [show]).reason]
    assert len(set(drawn)) == 1, drawn
    other = pool.run_suite("def f(x): return x", ["f"], [show + "  # another suite"]).reason
    assert other not in drawn
    with SandboxPool(1) as fresh:
        assert fresh.run_suite("def f(x): return x", ["f"], [show]).reason in drawn


def test_tests_that_seed_for_themselves_get_their_own_numbers(pool):
    test = "import random\nrandom.seed(7)\nassert f(random.random()) == 0.32383276483316237"
    assert pool.run_suite("def f(x): return x", ["f"], [test]).passed


def test_numpy_shares_no_numbers_either():
    pytest.importorskip("numpy")
    peek = (
        "import numpy as np\nstate = np.random.get_state()\ndef f(x):\n    own = np.random.RandomState(); own.set_state(state)\n"
        "    return any(own.random() == x for _ in range(1000))"
    )
    show = "import numpy as np\nassert f(float(np.random.random())) is None, float(np.random.random())"
    with SandboxPool(1, modules=("numpy",)) as pool:
        assert pool.run_suite(
            peek, ["f"], ["import numpy as np\nassert not f(float(np.random.random()))"]
        ).passed
        drawn = {pool.run_suite("def f(x): return 1", ["f"], [show]).reason for _ in range(2)}
    assert len(drawn) == 1


def test_a_closed_pool_keeps_no_descriptor():
    before = set(os.listdir("/proc/self/fd"))
    with SandboxPool(2) as pool:
        pool.run_script("print(input())", "1", "1")
        pool.run_suite("def f(x): return x", ["f"], ["assert f(1) == 1"])
        with pytest.raises(ValueError, match="over the limit input"):
            pool.run_script("print(1)", "x" * 11, "1", Limits(input=10))
    assert set(os.listdir("/proc/self/fd")) <= before


def test_input_that_a_program_could_not_be_given_is_the_problems_fault(pool):
    with pytest.raises(ValueError, match="surrogates not allowed"):
        pool.run_script("print(1)", "\ud800", "1")
    with pytest.raises(ValueError, match="Raise the limit memory"):
        pool.run_tests("def f(x): return 1", "f", [Call(("x" * 10_000_000,), expected=1)])
    with pytest.raises(ValueError, match="can't be given to a program"):
        pool.run_tests("def f(x): return 1", "f", [Call((object(),), expected=1)])
    assert pool.run_tests(
        "def f(x): return len(x)", "f", [Call(("x" * 8_000_000,), expected=8_000_000)]
    ).passed
