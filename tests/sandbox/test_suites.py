"""Suites of plain assertions are read as calls: the verdicts of execution without a second process."""

import ast
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from palaestra.sandbox import Limits, SandboxPool, Status, suites, syntax
from palaestra.sandbox import pool as pools
from palaestra.sandbox.pool import Idle
from palaestra.sandbox.pure import leaves_nothing
from palaestra.sandbox.suites import MAX_SOURCE, Assertion, read_suite
from palaestra.verifiers.criteria.literal import parse_literal

CHECK = """METADATA = {"author": "x"}


def check(candidate):
    assert candidate(2) == 4, "This is said when it fails"
    assert True, "This never fails"
    assert candidate(-1) == 1


check(f)
"""
SQUARE = "def f(x):\n    return x * x\n"
READ = [
    "assert f(1, [2], k={'a': (1,)}) == {1, 2}",
    "assert [1] == f(2)",
    "assert f(2) != 2 ** 10 - 1",
    "assert f(2)",
    "assert not f(2)",
    "assert f(2) is True",
    "assert f(2) is not None",
    "assert abs(f(2) - 1 / 3) < 1e-6, 'near'",
    "assert abs(0.5 - f(2)) <= 1e-6",
    CHECK,
]
LEFT = [
    "for x in range(3):\n    assert f(x) == x * x",
    "assert f(g(1)) == 1",
    "assert f(1) == f(2)",
    "assert g(1) == 1",
    "assert tuple(f(1)) == (1,)",
    "assert len(f(1)) == 1",
    "assert f(*[1]) == 1",
    "assert f(**{'x': 1}) == 1",
    "assert f(1) is 1000",
    "assert f(1) < 2",
    "assert f(1) == 2 ** 100000",
    "assert f(1) == 1 / 0",
    "assert f({[1]: 2}) == 1",
    "assert f(...) == 1",
    "assert 1 < f(1) == 2",
    "assert f(x := 1) == 1",
    "assert f(lambda: 1) == 1",
    "assert f(1) == f",
    "assert False",
    "import math\nassert f(1) == 1",
    "x = f(1)\nassert x == 1",
    "def check(c):\n    for x in (1, 2):\n        assert c(x)\n\ncheck(f)",
    "def check(c, d):\n    assert c(1) == 1\n\ncheck(f, f)",
    "def check(c):\n    assert c(1) == 1\n",
    "def f(c):\n    assert c(1) == 1\n\nf(f)",
    "assert True",
    "pass",
    "",
    "assert f(1) == (",
]


@pytest.mark.parametrize("test", READ)
def test_assertions_about_calls_with_constants_are_read(test):
    assert read_suite(["f"], [test]) is not None


@pytest.mark.parametrize("test", LEFT)
def test_everything_else_is_left_to_the_process_of_the_tests(test):
    assert read_suite(["f"], [READ[0], test]) is None


def test_what_is_read_says_what_stood_there():
    assert read_suite(["f"], [CHECK, "assert not f(-3, k='a')"]) == (
        Assertion(0, "f", (2,), {}, "==", 4),
        Assertion(0, "f", (-1,), {}, "==", 1),
        Assertion(1, "f", (-3,), {"k": "a"}, "false"),
    )


def test_long_suites_are_not_kept():
    assert read_suite(["f"], ["assert f(1) == '" + "a" * MAX_SOURCE + "'"]) is None


def test_sources_are_parsed_one_at_a_time_and_again_after_an_error_of_the_interpreter(monkeypatch):
    """The interpreter can't build two trees at a time.

    A second thread makes it raise SystemError for sound source.
    """
    inside, most, failing = 0, 0, [True, True]
    real = ast.parse

    def slow(*arguments):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.002)
        inside -= 1
        if failing:
            failing.pop()
            raise SystemError("AST constructor recursion depth mismatch")
        return real(*arguments)

    monkeypatch.setattr(syntax.ast, "parse", slow)
    with ThreadPoolExecutor(8) as threads:
        tests = [f"assert f({n}) == {-n}" for n in range(10**6, 10**6 + 24)]
        assert None not in list(threads.map(lambda test: read_suite(["f"], [test]), tests))
        assert all(threads.map(lambda test: leaves_nothing("", [test]), tests))
        assert list(threads.map(parse_literal, map(str, range(24)))) == list(range(24))
    assert most == 1


PAIRS = [
    (SQUARE, "assert f(3) == 9"),
    (SQUARE, "assert f(3) == 8"),
    (SQUARE, "assert f(3) == 9.0"),
    (SQUARE, CHECK),
    ("def f(x): return True", "assert f(1) == 1"),
    ("def f(x): return 1", "assert f(1) is True"),
    ("def f(x): return True", "assert f(1) is True"),
    ("def f(x): return []", "assert not f(1)"),
    ("def f(x): return 0.0", "assert f(1)"),
    ("def f(x): return (1, 2)", "assert f(1) == [1, 2]"),
    ("def f(x): return float('nan')", "assert f(1) == 1"),
    ("def f(x): return float('nan')", "assert f(1) != 1"),
    ("def f(x): return 0.3333333333", "assert abs(f(1) - 1 / 3) < 1e-6"),
    ("def f(x): return float('nan')", "assert abs(f(1) - 1 / 3) < 1e-6"),
    ("def f(x): return '0.33'", "assert abs(f(1) - 1 / 3) < 1e-6"),
    ("def f(x): return 10 ** 400", "assert abs(f(1) - 1 / 3) < 1e-6"),
    ("def f(x): return {frozenset({1}): {2, 3}}", "assert f(1) == {1: {2, 3}}"),
    ("def f(x): return {1: {2, 3}}", "assert f(1) == {1: {3, 2}}"),
    ("def f(x): raise ValueError('no')", "assert f(1) == 1"),
    ("def f(x): raise StopIteration", "assert f(1) == 1"),
    ("def f(x): return object()", "assert f(1)"),
    ("class A:\n    def __eq__(self, other): return True\ndef f(x): return A()", "assert f(1) == 1"),
    ("class A(int):\n    def __eq__(self, other): return True\ndef f(x): return A(5)", "assert f(1) == 1"),
    ("def f(x): x.append(1); return x", "assert f([0]) == [0, 1]"),
    ("def f(x=1): return x", "assert f() == 1"),
    ("def g(x): return x", "assert f(1) == 1"),
]


@pytest.fixture(scope="module")
def pool():
    with SandboxPool(1, Limits(wall_s=5)) as made:
        yield made


@pytest.mark.parametrize(("source", "test"), PAIRS)
def test_reading_and_executing_a_suite_agree(pool, monkeypatch, source, test):
    assert read_suite(["f"], [test]) is not None
    read = pool.run_suite(source, ["f"], [test])
    monkeypatch.setattr(pools, "read_suite", lambda *_: None)
    executed = pool.run_suite(source, ["f"], [test])
    assert (read.status, read.passed) == (executed.status, executed.passed)
    assert len(read.results) == len(executed.results) == 1
    assert bool(read.reason) is not read.passed


def test_a_failed_assertion_ends_its_test_and_not_the_others(pool):
    source = "calls = []\ndef f(x):\n    calls.append(x)\n    return len(calls)\n"
    tests = [
        "def check(c):\n    assert c(0) == 1\n    assert c(0) == 7\n    assert c(0) == 3\n\ncheck(f)",
        "assert f(0) == 3",
    ]
    outcome = pool.run_suite(source, ["f"], tests)
    assert [result.passed for result in outcome.results] == [False, True]
    assert outcome.reason == "f returned 2."


def test_a_program_that_ends_early_has_not_passed_the_tests_after(pool):
    outcome = pool.run_suite(
        "import os\ndef f(x):\n    return x if x else os._exit(0)",
        ["f"],
        ["assert f(1) == 1", "assert f(0) == 0"],
    )
    assert outcome.status is Status.CRASHED
    assert [result.passed for result in outcome.results] == [True, False]


def test_waiting_is_served_in_the_order_of_arrival():
    idle, served, lock = Idle([object()]), [], threading.Lock()  # type: ignore[list-item]
    worker = idle.take()

    def wait(name):
        mine = idle.take()
        with lock:
            served.append(name)
        idle.give_back(mine)

    threads = []
    for name in range(8):
        threads.append(threading.Thread(target=wait, args=(name,)))
        threads[-1].start()
        while len(idle._waiting) <= name:
            time.sleep(0.001)
    idle.give_back(worker)
    again = idle.take()  # whoever comes back at once stands behind those who were there
    assert served == list(range(8))
    idle.give_back(again)
    for thread in threads:
        thread.join()


def test_among_free_workers_the_last_one_used_is_taken():
    first, second = object(), object()
    idle = Idle([first, second])  # type: ignore[list-item]
    one, two = idle.take(), idle.take()
    idle.give_back(two)
    idle.give_back(one)
    assert idle.take() is one


def test_an_interrupted_wait_loses_no_worker(monkeypatch):
    idle = Idle([object()])  # type: ignore[list-item]
    worker = idle.take()

    class Interrupted:
        def get(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(pools.queue, "SimpleQueue", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        idle.take()
    monkeypatch.undo()
    idle.give_back(worker)
    assert idle.take() is worker


COLLIDING = "m = 2**61 - 1\ndef f(x): return {k * m + (k % 7) * 2**20: 0 for k in range(20_000)}"
LARGE = {
    "many empty deques": "from collections import deque\ndef f(x): return [deque() for _ in range(60_000)]",
    "a dict made to be slow to build": COLLIDING,
    "many sets": "def f(x): return [{i} for i in range(50_000)]",
    "a long text": "def f(x): return 'a' * 2_000_000",
    "a long number": "def f(x): return 1 << 4_000_000",
}


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize(
    "test", ["assert f(1) == [1, 2]", "assert f(1) != [1, 2]", "assert f(1)", "assert f(1) is None"]
)
def test_a_claim_that_is_larger_than_the_constant_is_not_built(pool, monkeypatch, name, test):
    built = []
    decode = suites.plain.decode
    monkeypatch.setattr(suites.plain, "decode", lambda tree, *rest: built.append(tree) or decode(tree, *rest))
    outcome = pool.run_suite(LARGE[name], ["f"], [test])
    assert outcome.passed is (test not in ("assert f(1) == [1, 2]", "assert f(1) is None"))
    assert all(suites.plain.weigh(tree, 2_000_000) < 2_000_000 for tree in built)
    assert len(built) <= 1 or type(built[0]) is not list


def test_a_comparison_that_python_refuses_fails_the_test(pool):
    outcome = pool.run_suite("def f(x): return {1: []}.items()", ["f"], ["assert f([1]) == {1}"])
    assert outcome.status is Status.COMPLETED
    assert not outcome.passed


def test_the_constant_of_an_assertion_is_weighed_once_for_all_checks(monkeypatch):
    suite = ("f",), ("assert f(1) == [1, 2, 'weighed once']",)
    encoded = []
    encode = suites.plain.encode
    monkeypatch.setattr(suites.plain, "encode", lambda value: encoded.append(value) or encode(value))
    for _ in range(3):  # completions of a group
        (assertion,) = read_suite(*suite)
        assert assertion.holds(["l", 1, 2, "weighed once"])
        assert not assertion.holds(["l", 1, 2])
    assert encoded == [[1, 2, "weighed once"]]
