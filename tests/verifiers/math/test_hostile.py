"""Hostile answers: a verdict for each, quickly, without memory, on any thread,
and without running anything."""

import os
import resource
import subprocess
import sys
import threading

import pytest
from cpu_time import cpu_seconds
from hostile_answers import HOSTILE, REFERENCES
from palaestra.verifiers import Status, math_equal
from palaestra.verifiers.math import equal, pipeline
from palaestra.verifiers.math.deciding.symbolic import POOL

PWNED = "/tmp/palaestra_pwned"


@pytest.fixture(scope="module", autouse=True)
def _warm():
    POOL.warm()
    math_equal(r"\sqrt2", r"\sqrt3")  # imports flint


@pytest.mark.parametrize("name", HOSTILE)
def test_each_gets_a_verdict_in_time(name):
    verdicts = []
    seconds = cpu_seconds(
        lambda: verdicts.extend(math_equal(it, HOSTILE[name]) for it in REFERENCES), tries=1
    )
    assert {verdict.status for verdict in verdicts} <= {Status.WRONG, Status.NO_ANSWER}
    assert seconds / len(REFERENCES) < 0.25


@pytest.mark.parametrize("name", HOSTILE)
def test_as_a_reference_it_raises_nothing_and_equals_no_number(name):
    assert not math_equal(HOSTILE[name], "42").correct


def test_all_of_them_on_a_thread_of_their_own():
    found: list[object] = []

    def work():
        found.extend(math_equal("41", answer).status for answer in HOSTILE.values())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(600)
    assert not thread.is_alive()
    assert len(found) == len(HOSTILE)
    assert set(found) <= {Status.WRONG, Status.NO_ANSWER}


def test_memory_stays_small():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for answer in HOSTILE.values():
        math_equal("40", answer)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 200


def test_long_answers_are_not_kept():
    kept = equal._judge_cached.cache_info().currsize, pipeline._read_cached.cache_info().currsize
    for number in range(20):
        math_equal("x^2 + 1", f"{number} + " + "+".join(["x"] * equal.CACHED_CHARS))
    assert (equal._judge_cached.cache_info().currsize, pipeline._read_cached.cache_info().currsize) == kept
    math_equal("x^2 + 1", "x^2 + 1 + 0")
    assert equal._judge_cached.cache_info().currsize == kept[0] + 1


def test_nothing_was_executed():
    for answer in HOSTILE.values():
        math_equal("39", answer)
    assert not os.path.exists(PWNED)


@pytest.mark.parametrize(
    "pair", [("10^{10^{10^{10}}}", "10^{10^{10^{10}}}+1"), ("2^{10^{11}}", "2^{10^{11}}+x")]
)
def test_what_is_undecidable_costs_the_deadline_at_most_and_is_wrong(pair):
    """Without a deadline it would go on for ever."""
    verdict = math_equal(*pair)
    assert verdict.status is Status.WRONG
    assert verdict.reason


def test_the_caller_never_imports_sympy():
    code = (
        "import sys; from palaestra.verifiers import math_equal;"
        "assert math_equal('x^{2n}', '(x^n)^2') is not None;"
        "math_equal('10^{10^{10^{10}}}', '10^{10^{10^{10}}}+1');"
        "print(sorted({'sympy', 'numpy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    assert done.stdout.strip() == "[]"
