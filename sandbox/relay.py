"""One run of tests in a process of their own, whose calls of the program go through the driver."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from . import inputs
from .channel import Broken, Child, Expired, Flooded, Forged, Gone
from .limits import Limits
from .outcome import MAX_TEXT, Outcome, Result, Status
from .pure import leaves_nothing
from .session import (
    Mode,
    Run,
    begin,
    close_after,
    finish,
    load,
    read_claim,
    read_raised,
    record_end,
    refuse_more,
)
from .worker import Tester, Worker

_TESTER_BYTES = 1 << 28  # the arguments of all calls that a suite makes


def run_suite(
    worker: Worker,
    source: str,
    entries: Sequence[str],
    tests: Sequence[str],
    limits: Limits,
    *,
    classes: Sequence[str] = (),
    setup: str = "",
    mode: Mode = "isolated",
) -> Outcome:
    """Run tests written as statements in a process of their own, where each entry point is a stub.

    Tests that leave nothing behind (see `pure`) may be run in the process of earlier ones.

    classes: of the program; the tests may make objects of them and give those to the entry points.
    setup: trusted source executed before the stubs are put in (imports, helper functions that the tests use).
    A suite that can't be loaded, or never calls the program, ends as an error. Raises Broken.
    """
    reused = leaves_nothing(setup, tests)
    worker.prepare(limits, 1 if reused else 2)
    child = worker.take(limits)
    run = Run(limits, len(tests), time.monotonic() + limits.wall_s)
    with close_after(child), worker.lend_tester(limits, reused) as tester:
        begin(child, worker, run)
        tester.begin(replace(limits, result=_TESTER_BYTES), run.deadline)
        with record_end(run):
            if load(child, run, source, mode):
                suite = {"entries": [*entries], "classes": [*classes], "tests": [*tests], "setup": setup}
                used = _conduct(child, tester, run, {**suite, "seed": inputs.derive_seed(setup, tests)})
                refuse_more(child)
                if not used and run.status is Status.COMPLETED:
                    run.end(
                        Status.ERROR,
                        f"The tests never called {', '.join(entries)}; give them the entry point.",
                    )
        return finish(worker, child, run)


def _conduct(child: Child, tester: Tester, run: Run, suite: dict[str, Any]) -> bool:
    """Carry calls from the suite to the program and results back. Whether there was any call.

    Up to the first call the program has no part in what the tests do: what goes wrong is theirs, an error.
    Afterwards it counts against the program.
    """
    tester.sound = False
    try:
        nonce = tester.child.send(op="suite", **suite)
        first = tester.child.receive(nonce)
    except (Gone, Flooded, Forged) as failure:
        if tester.runs > 1:
            raise Broken("A process for tests ended while it was not used.") from failure
        run.end(Status.ERROR, f"The tests could not be started: {failure}")
        return False
    if "ready" not in first:
        run.end(Status.ERROR, f"The tests can't be loaded: {read_raised(first)}")
        return False
    used = False
    message: dict[str, Any] = {}
    while "done" not in message:
        with _record_loss(run):
            message = tester.child.receive(nonce)
        if run.status is not Status.COMPLETED:
            break
        if "call" in message:
            used = True
            name, arguments, keywords = message["call"]
            answer = child.ask(op="call", entry=name, args=arguments, kwargs=keywords, watch=True)
            with _record_loss(run):
                tester.child.reply(**_pass_on(answer))
        elif "test" in message:
            failed = message["failed"]
            run.results.append(Result(failed is None, failed or ""))
        elif "unfit" in message:
            run.end(
                Status.ERROR,
                (
                    "The tests give the program something that is no plain data; run them weak. "
                    f"{message['unfit']}"
                ),
            )
            break
        elif "raised" in message:
            run.end(Status.CRASHED if used else Status.ERROR, f"The tests stopped: {read_raised(message)}")
            break
    tester.sound = message.get("sound") is True
    return used


@contextmanager
def _record_loss(run: Run) -> Iterator[None]:
    """The suite ended in the middle.

    The program may have brought that about, so it counts against the program.
    """
    try:
        yield
    except Gone:
        run.end(Status.CRASHED, "The process of the tests ended before its last test.")
    except Expired:
        run.end(Status.TIMEOUT, f"The tests took more than {run.limits.wall_s:g} s.")


def _pass_on(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer of the program, checked and rebuilt, for the suite."""
    relayed: dict[str, Any] = {"changed": _read_changed(answer)} if "changed" in answer else {}
    if read_raised(answer):
        return {**relayed, "exception": _read_exception(answer)}
    if type(odd := answer.get("odd")) is str:
        return {**relayed, "odd": odd[:MAX_TEXT]}
    return {**relayed, "value": read_claim(answer)}


def _read_changed(answer: dict[str, Any]) -> list[list[Any]]:
    """The arguments that an answer says were changed: each a checked tree with its position or name."""
    changed = answer["changed"]
    if type(changed) is not list or not all(
        type(pair) is list and len(pair) == 2 and type(pair[0]) in (int, str) for pair in changed
    ):
        raise Forged("Changed arguments are not in the form that the harness writes.")
    return [[place, read_claim({"value": tree})] for place, tree in changed]


def _read_exception(answer: dict[str, Any]) -> dict[str, Any]:
    """What the tests get of an exception: see `crossing.describe`."""
    claimed = answer.get("exception")
    form = {"name": str, "text": str, "bases": list, "args": list}
    if type(claimed) is not dict or {part: type(value) for part, value in claimed.items()} != form:
        raise Forged("An exception is not in the form that the harness writes.")
    if not 0 < len(claimed["bases"]) < 10 or not all(type(base) is str for base in claimed["bases"]):
        raise Forged("An exception is not in the form that the harness writes.")
    for argument in claimed["args"]:
        read_claim({"value": argument})
    return claimed
