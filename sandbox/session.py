"""One run, from program to `Outcome`: the trusted driver, which alone holds the expected values."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Literal

from . import inputs, plain, wire
from .channel import Child, Expired, Flooded, Forged, Gone
from .limits import MIB, Limits
from .outcome import MAX_TEXT, Call, Outcome, Result, Status
from .suites import Assertion
from .text import same_text
from .wire import Compare
from .worker import LAYERS, Usage, Worker

Mode = Literal["isolated", "restricted"]
_MAX_SHOWN = 200
_NOT_REACHED = "The run ended before this test."


@dataclass
class Run:
    """What is known of a run while it goes on."""

    limits: Limits
    tests: int
    deadline: float
    started: float = field(default_factory=time.monotonic)
    results: list[Result] = field(default_factory=list)
    status: Status = Status.COMPLETED
    reason: str = ""
    exit_code: int | None = None
    weak: bool = False
    gone: bool = False  # the program's process ended by itself

    def end(self, status: Status, reason: str) -> None:
        self.status, self.reason = status, reason[:MAX_TEXT]

    def make_outcome(self, child: Child, usage: Usage, seconds: float) -> Outcome:
        missing = [Result(False, _NOT_REACHED)] * (self.tests - len(self.results))
        return Outcome(
            status=self.status,
            results=(*self.results, *missing),
            reason=self.reason or find_first_reason(self.results),
            stdout=child.stdout.decode("utf-8", "replace"),
            stderr=child.stderr.decode("utf-8", "replace"),
            seconds=seconds,
            cpu_s=usage.cpu_s,
            peak_memory=usage.peak_memory,
            exit_code=self.exit_code,
            weak=self.weak,
            layers=list_active(child.missing),
        )


def find_first_reason(results: Sequence[Result]) -> str:
    return next((result.reason for result in results if not result.passed), "")


def list_active(missing: dict[str, str]) -> tuple[str, ...]:
    return tuple(name for name in LAYERS if name not in missing)


@contextmanager
def record_end(run: Run) -> Iterator[None]:
    """Turn what ends a conversation early into the run's status."""
    try:
        yield
    except Expired:
        run.end(Status.TIMEOUT, f"The program took more than {run.limits.wall_s:g} s.")
    except Gone:
        run.gone = True
        run.end(Status.CRASHED, "The program ended before its last test.")
    except Flooded as failure:
        run.end(Status.FLOODED, str(failure))
    except Forged as failure:
        run.end(Status.FORGED, str(failure))


def finish(worker: Worker, child: Child, run: Run) -> Outcome:
    """Reap the child; what it printed last counts against the output limit, too."""
    seconds = time.monotonic() - run.started
    usage = worker.reap(child)
    with suppress(Flooded):
        child.drain()
    if run.gone:
        _explain_crash(run, usage)
    try:
        return run.make_outcome(child, usage, seconds)
    finally:
        child.close()


def _explain_crash(run: Run, usage: Usage) -> None:
    status = usage.status
    if os.WIFEXITED(status):
        run.exit_code = os.WEXITSTATUS(status)
        run.reason += f" It exited with status {run.exit_code}."
    elif usage.cpu_s >= run.limits.cpu_s or os.WTERMSIG(status) == signal.SIGXCPU:
        run.end(Status.TIMEOUT, f"The program used more than {run.limits.cpu_s:g} s of processor time.")
    elif usage.out_of_memory:
        run.reason += (
            f" It was out of memory: the kernel killed it for more than {usage.out_of_memory // MIB} MiB."
        )
    else:
        number = os.WTERMSIG(status)
        run.reason += f" It was ended by signal {number} ({signal.strsignal(number)})."


def load(child: Child, run: Run, source: str, mode: Mode) -> bool:
    answer = child.ask(op="load", source=source, mode=mode, name="solution")
    if raised := read_raised(answer):
        run.end(Status.NOT_LOADED, f"The program can't be loaded: {raised}")
        return False
    return True


def read_raised(answer: dict[str, Any]) -> str | None:
    """The text of an exception that an answer claims, None when it claims none."""
    raised = answer.get("raised")
    if raised is None:
        return None
    if type(raised) is not list or len(raised) != 2 or not all(type(part) is str for part in raised):
        raise Forged("An exception is not in the form that the harness writes.")
    return ": ".join(raised)[:MAX_TEXT]


def read_claim(answer: dict[str, Any]) -> Any:
    """The checked tree of an answer that carries a value."""
    if "value" not in answer:
        raise Forged("An answer carries neither a value nor an exception.")
    try:
        wire.check(answer["value"])
    except wire.Malformed as failure:
        raise Forged(str(failure)) from failure
    return answer["value"]


def run_calls(
    worker: Worker,
    source: str,
    entry: str,
    calls: Sequence[Call],
    limits: Limits,
    *,
    mode: Mode = "isolated",
    tolerance: float | None = None,
    compare: Compare = "exact",
    stop_early: bool = False,
) -> Outcome:
    """Load a source and call its function `entry` with each call's arguments, one request at a time."""
    requests = [inputs.encode_call(entry, call, limits) for call in calls]
    child = worker.take(limits)
    run = Run(limits, len(calls), time.monotonic() + limits.wall_s)
    with close_after(child):
        begin(child, worker, run)
        with record_end(run):
            if load(child, run, source, mode):
                for call, request in zip(calls, requests, strict=True):
                    run.results.append(_run_call(child, request, call, tolerance, compare))
                    if stop_early and not run.results[-1].passed:
                        break
                refuse_more(child)
        return finish(worker, child, run)


def _run_call(child: Child, request: bytes, call: Call, tolerance: float | None, compare: Compare) -> Result:
    result = _ask(child, request)
    if not result.returned or call.expected is ...:
        return result
    if wire.same(wire.encode(call.expected), result.claimed, tolerance, compare):
        return result
    return replace(result, passed=False, reason=f"It returned {_show(result.claimed)}.")


def _ask(child: Child, request: bytes) -> Result:
    """What a call gave: passed when it returned a value, which nobody has looked at yet."""
    answer = child.receive(child.send_body(request))
    if raised := read_raised(answer):
        return Result(False, f"It raised {raised}")
    if type(odd := answer.get("odd")) is str:
        return Result(False, f"Its result can't be taken: {odd[:MAX_TEXT]}")
    return Result(True, "", read_claim(answer), True)


def _show(tree: Any) -> str:
    """A claimed value for the log, in few characters; a large one is not built."""
    if plain.weigh(tree, MAX_TEXT) > MAX_TEXT:
        return "a large value"
    try:
        text = repr(wire.decode(tree))
    except ValueError:
        return "a value that can't be shown"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def refuse_more(child: Child) -> None:
    """After the last answer there must be no byte left on the channel."""
    with suppress(Gone):
        if not child.is_quiet():
            raise Forged("There were bytes on the channel after the last answer.")


def run_script(
    worker: Worker,
    source: str,
    stdin: str,
    limits: Limits,
    *,
    expected: str | None,
    tolerance: float | None = None,
) -> Outcome:
    """Run a whole program with standard input.

    Compare its standard output with `expected`, when that is given.
    """
    data = inputs.encode_stdin(stdin, limits)
    child = worker.take(limits)
    run = Run(limits, int(expected is not None), time.monotonic() + limits.wall_s)
    with close_after(child):
        child.fill_stdin(data)
        begin(child, worker, run)
        with record_end(run):
            answer = child.ask(op="script", source=source, mode="isolated")
            code = answer.get("exit")
            if type(code) is not int or not 0 <= code <= 255:
                raise Forged("A script's exit status is no number from 0 to 255.")
            run.exit_code = code
        with record_end(run):
            if run.status is Status.COMPLETED:
                child.drain()
        outcome = finish(worker, child, run)
    return _judge_script(outcome, expected, tolerance)


def _judge_script(outcome: Outcome, expected: str | None, tolerance: float | None) -> Outcome:
    if outcome.status is Status.CRASHED and outcome.exit_code is not None:
        outcome = replace(
            outcome, status=Status.COMPLETED, reason=""
        )  # os._exit is a way to end like any other
    if outcome.status is not Status.COMPLETED or expected is None:
        return outcome
    if outcome.exit_code != 0:
        last = outcome.stderr.strip().rpartition("\n")[2][:MAX_TEXT]
        result = Result(False, f"It exited with status {outcome.exit_code}. {last}".strip())
    elif same_text(expected, outcome.stdout, tolerance):
        result = Result(True, "", outcome.stdout, True)
    else:
        result = Result(False, "Its output is not the expected one.", outcome.stdout, True)
    return replace(outcome, results=(result,), reason=result.reason)


def run_assertions(
    worker: Worker, source: str, assertions: Sequence[Assertion], limits: Limits, *, mode: Mode = "isolated"
) -> Outcome:
    """Run a suite that was read as assertions about single calls; its tests need no process of their own.

    As where a test is executed, its first assertion that fails ends it, and the next test goes on.
    """
    asked = [
        (each, inputs.encode_call(each.entry, Call(each.args, each.kwargs), limits)) for each in assertions
    ]
    tests = [list(group) for _, group in groupby(asked, key=lambda pair: pair[0].test)]
    child = worker.take(limits)
    run = Run(limits, len(tests), time.monotonic() + limits.wall_s)
    with close_after(child):
        begin(child, worker, run)
        with record_end(run):
            if load(child, run, source, mode):
                for test in tests:
                    run.results.append(_run_test(child, test))
                refuse_more(child)
        return finish(worker, child, run)


def _run_test(child: Child, asked: Sequence[tuple[Assertion, bytes]]) -> Result:
    for assertion, request in asked:
        result = _ask(child, request)
        if not result.returned:
            return replace(result, reason=f"{assertion.entry}: {result.reason}")
        if not assertion.holds(result.claimed):
            return Result(False, f"{assertion.entry} returned {_show(result.claimed)}.")
    return Result(True)


def run_weak(
    worker: Worker,
    source: str,
    tests: Sequence[str],
    limits: Limits,
    *,
    setup: str = "",
    mode: Mode = "isolated",
) -> Outcome:
    """Run tests in the program's own process, for interfaces that plain data can't carry.

    The program can forge them.
    """
    child = worker.take(limits)
    run = Run(limits, len(tests), time.monotonic() + limits.wall_s, weak=True)
    with close_after(child):
        begin(child, worker, run)
        with record_end(run):
            if load(child, run, source, mode):
                nonce = child.send(
                    op="weak", setup=setup, tests=list(tests), seed=inputs.derive_seed(setup, tests)
                )
                message = child.receive(nonce)
                if raised := read_raised(message):
                    run.end(Status.NOT_LOADED, f"The tests can't be set up: {raised}")
                while run.status is Status.COMPLETED and "done" not in (message := child.receive(nonce)):
                    failed = message.get("failed", "no result")
                    if len(run.results) >= len(tests) or not (failed is None or type(failed) is str):
                        raise Forged("A test's result is not in the form that the harness writes.")
                    run.results.append(Result(failed is None, (failed or "")[:MAX_TEXT]))
                refuse_more(child)
        return finish(worker, child, run)


def begin(child: Child, worker: Worker, run: Run) -> None:
    """Wait for the lockdown; the clock of the run starts when it is done."""
    child.begin(run.limits, run.deadline)
    run.started = time.monotonic()
    run.deadline = child.deadline = run.started + run.limits.wall_s
    worker.prepare(run.limits)  # the next child gets ready while this one runs


@contextmanager
def close_after(child: Child) -> Iterator[None]:
    try:
        yield
    except wire.Unencodable as failure:
        raise ValueError(f"An argument or expected value can't be given to a program: {failure}") from failure
    finally:
        child.close()
