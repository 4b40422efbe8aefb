"""Run somebody else's code in a process apart, job by job: it may hang, or end its process."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any


@dataclass(frozen=True, slots=True)
class Lost:
    """A job that gave nothing. seconds: that were waited, 0 where it ended its process."""

    seconds: float

    def tell(self, what: str) -> str:
        """What it did. what: a process did to it (`scored`)."""
        return f"took over {self.seconds:.0f} s" if self.seconds else f"ended the process that {what} it"


def run_apart(jobs: Sequence[Callable[[], Any]], deadline_s: float, most_lost: int) -> Iterator[Any]:
    """What each job returns, in their order, or a `Lost`. Ends early, with nothing for the rest, after
    `most_lost` of them. What a job raises ends its process.

    deadline_s: seconds of one job.
    """
    done = lost = 0
    while done < len(jobs) and lost < most_lost:
        for outcome in _run_in_child(jobs[done:], deadline_s):
            done += 1
            lost += isinstance(outcome, Lost)
            yield outcome


def _run_in_child(jobs: Sequence[Callable[[], Any]], deadline_s: float) -> Iterator[Any]:
    """Outcomes up to the end, or to the first job that is lost."""
    fork = multiprocessing.get_context(
        "fork"
    )  # a task may hold functions that no other start could carry over
    ours, its = fork.Pipe(duplex=False)
    child = fork.Process(target=_work, args=(jobs, its), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads here, which the child does not need
        child.start()
    its.close()
    try:
        for _ in jobs:
            if not ours.poll(deadline_s):
                yield Lost(deadline_s)
                return
            try:
                yield ours.recv()
            except EOFError:
                yield Lost(0.0)
                return
    finally:
        child.kill()
        child.join()
        ours.close()


def _work(jobs: Sequence[Callable[[], Any]], its: Connection) -> None:
    faulthandler.disable()  # a job that ends the process is told by the parent
    with open(os.devnull, "w") as silence:  # and what it prints is not for the terminal
        sys.stdout = sys.stderr = silence
        for number in (1, 2):
            os.dup2(silence.fileno(), number)
        for job in jobs:
            its.send(job())
