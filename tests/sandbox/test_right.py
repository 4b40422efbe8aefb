# ruff: noqa: E501
"""Right programs pass."""

import pytest
import right
from cpu_time import cpu_seconds
from palaestra.sandbox import MIB, Call, Limits, SandboxPool


@pytest.mark.parametrize("program", right.FUNCTIONS, ids=lambda program: program.uses)
def test_a_right_function_passes(pool, program):
    outcome = pool.run_tests(program.source, "f", program.calls, Limits())
    assert outcome.passed, outcome


@pytest.mark.parametrize("program", right.SCRIPTS, ids=lambda program: program.uses)
def test_a_right_script_passes(pool, program):
    outcome = pool.run_script(program.source, program.stdin, program.stdout, Limits())
    assert outcome.passed, outcome
    wrong = pool.run_script(program.source, program.stdin, program.stdout + "x", Limits())
    assert not wrong.passed


@pytest.fixture(scope="module")
def numpy_pool():
    with SandboxPool(1, Limits(wall_s=3), modules=("numpy",)) as made:
        yield made


@pytest.mark.parametrize("program", right.SUITES, ids=lambda program: program.uses)
def test_a_right_program_passes_its_tests(pool, numpy_pool, program):
    used = numpy_pool if program.modules else pool
    outcome = used.run_suite(program.source, ["f"], program.tests, classes=program.classes)
    assert outcome.passed, outcome
    for test in program.must_fail:
        failed = used.run_suite(program.source, ["f"], [test], classes=program.classes)
        assert not failed.passed
        assert failed.status != "error"


@pytest.mark.parametrize("program", right.NUMPY, ids=lambda program: program.uses)
def test_what_numpy_gives_is_compared_by_value(numpy_pool, program):
    outcome = numpy_pool.run_tests(program.source, "f", program.calls)
    assert outcome.passed, outcome


def test_a_compare_mode_for_values_from_json(pool):
    source, calls = "def f(x): return (x / 2, {x: [x]})", [Call((4,), expected=[2, {"4": [4]}])]
    assert not pool.run_tests(source, "f", calls).passed
    assert pool.run_tests(source, "f", calls, compare="json").passed
    assert not pool.run_tests(source, "f", [Call((4,), expected=[2, {"4": [5]}])], compare="json").passed


@pytest.mark.parametrize(
    "body",
    ["y = frozenset()\n    for _ in range(28): y = frozenset([y])\n    return y", "y = []\n    for _ in range(99): y = [y, y]\n    return y",
     "return [[frozenset([i])] * 1000 for i in range(1000)]", "return iter(int, 1)", "import decimal; return decimal.Decimal('1E999999999')",
     "return range(10**30)", "return {k * (2**61 - 1) for k in range(3000)}"],
)  # fmt: skip
def test_a_large_claim_costs_the_parent_little(pool, body):
    outcomes = []

    def claim() -> None:
        outcomes.append(pool.run_tests(f"def f():\n    {body}\n", "f", [Call(expected=1)]))

    assert cpu_seconds(claim, 0.25) < 0.25
    outcome = outcomes[-1]
    assert not outcome.passed
    assert outcome.status != "error"


def test_results_too_large_to_give_back_are_the_programs_fault(pool):
    """A test that hands two results on makes a value that no encoding carries; the program can't abstain by it."""
    source = "def f(*x): return [0] * 1_100_000"
    outcome = pool.run_suite(source, ["f"], ["assert f([f(), f()]) == 0"], Limits(wall_s=5, result=16 * MIB))
    assert not outcome.passed
    assert outcome.status != "error"


def test_nothing_of_one_run_is_visible_to_the_next(pool):
    leave = "import os\ndef f():\n    open('/tmp/left', 'w').write('x'); os.chmod('/tmp', 0o777)\n    return os.listdir('/tmp')"
    look = "import os\ndef f():\n    return os.listdir('/tmp'), oct(os.stat('/tmp').st_mode)"
    for _ in range(6):
        assert pool.run_tests(leave, "f", [Call(expected=["left"])]).passed
        assert pool.run_tests(look, "f", [Call(expected=([], "0o40700"))]).passed


def test_a_scratch_that_was_emptied_again_is_not_used_twice(pool):
    touch = "import os\ndef f():\n    open('/tmp/a', 'w').close(); os.unlink('/tmp/a'); return os.stat('/tmp').st_dev"
    devices = [pool.run_tests(touch, "f", [Call()]).results[0].value for _ in range(4)]
    quiet = "import os\ndef f(): return os.stat('/tmp').st_dev"
    assert len(set(devices)) > 1
    kept = [pool.run_tests(quiet, "f", [Call()]).results[0].value for _ in range(6)]
    assert len(set(kept)) < 6


def test_results_say_what_was_claimed_and_why_it_failed(pool):
    outcome = pool.run_tests(
        "def f(x): return [x, 1 / x]", "f", [Call((2,), expected=[2, 0.5]), Call((0,), expected=0)]
    )
    assert [result.passed for result in outcome.results] == [True, False]
    assert outcome.results[0].value == [2, 0.5]
    assert "ZeroDivisionError" in outcome.results[1].reason
    assert outcome.passed_share == 0.5
    assert "ZeroDivisionError" in outcome.reason
    assert outcome.peak_memory > 1e6
    assert "seccomp" in outcome.layers


def test_weak_runs_say_so(pool):
    source = "class P:\n    def __init__(self): self.n = 0\n    def up(self): self.n += 1; return self.n\n"
    good = pool.run_suite(source, [], ["p = P(); p.up(); assert p.up() == 2"], weak=True)
    bad = pool.run_suite(source, [], ["p = P(); assert p.up() == 2", "assert True"], weak=True)
    assert good.passed
    assert good.weak
    assert [result.passed for result in bad.results] == [False, True]


def test_a_suite_that_never_calls_the_program_is_an_error(pool):
    outcome = pool.run_suite("def f(x): return x", ["f"], ["assert 1 == 1"])
    assert outcome.status == "error"
    assert "never called f" in outcome.reason


def test_a_suite_whose_arguments_are_no_plain_data_is_an_error(pool):
    outcome = pool.run_suite("def f(x): return x", ["f"], ["assert f(lambda: 1)"])
    assert outcome.status == "error"
    assert "run them weak" in outcome.reason


def test_a_suite_may_expect_an_exception(pool):
    test = "try:\n    f(0)\n    raised = False\nexcept ZeroDivisionError:\n    raised = True\nassert raised"
    assert pool.run_suite("def f(x): return 1 / x", ["f"], [test]).passed
    assert not pool.run_suite("def f(x): return 1", ["f"], [test]).passed


def test_the_same_program_gives_the_same_result_each_time(pool):
    source = "import random\ndef f(): return [random.random(), list({'a', 'b', 'c', 'd'})]"
    values = {repr(pool.run_tests(source, "f", [Call()]).results[0].value) for _ in range(3)}
    assert len(values) == 1


def test_methods_and_tolerance(pool):
    source = "class Solution:\n    def half(self, x): return x / 2\n"
    call = [Call((3,), expected=1.5000001)]
    assert not pool.run_tests(source, "Solution.half", call).passed
    assert pool.run_tests(source, "Solution.half", call, tolerance=1e-6).passed
    assert pool.run_script("print(0.1 + 0.2)", "", "0.3", tolerance=1e-9).passed
    assert not pool.run_script("print(0.1 + 0.2)", "", "0.3").passed
