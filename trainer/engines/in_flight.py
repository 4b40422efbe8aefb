"""Many questions to a server at once, each in a thread; what comes back is heard by the thread that asked."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

from ...tasks.core.errors import RunError

Job = TypeVar("Job")
Answer = TypeVar("Answer")


class BrokenOff(RunError):
    """A question was ended before its answer came, since another one had failed; that is the cause."""


def ask_each(
    jobs: Iterable[Job],
    ask: Callable[[Job, threading.Event], Answer],
    hear: Callable[[Job, Answer], None],
    workers: int,
) -> None:
    """Ask for each job, `workers` of them at a time, 1 or more, begun in their order.

    ask: called in a thread of its own. It is handed an event that is set once the others are no longer
    wanted, since one has failed or `hear` has raised.  hear: called by the calling thread as answers come.
    Raises the first failure of `ask`, once those in flight have answered and been heard; what `hear` raises
    is raised at once.
    """
    waiting = queue.SimpleQueue[Job]()
    for job in jobs:
        waiting.put(job)
    stop, answers = threading.Event(), queue.SimpleQueue[tuple[Job, Answer | Exception] | None]()

    def work() -> None:
        try:
            while not stop.is_set():
                try:
                    job = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    answers.put((job, ask(job, stop)))
                except Exception as failure:  # noqa: BLE001 - raised again by the thread that asked
                    stop.set()
                    answers.put((job, failure))
        finally:
            answers.put(None)

    left = min(workers, waiting.qsize())
    for _ in range(left):
        threading.Thread(target=work, daemon=True).start()
    failure: Exception | None = None
    try:
        while left:
            answer = answers.get()
            if answer is None:
                left -= 1
                continue
            job, found = answer
            if isinstance(found, Exception):
                failure = failure or found
                continue
            hear(job, found)
    finally:
        stop.set()
    if failure is not None:
        raise failure
