"""A whole program against several standard inputs, within the time of one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...sandbox import Limits, Outcome, SandboxPool

_LEAST_S = 0.05  # what a case is given when the budget is nearly used up


@dataclass
class _Budget:
    """The time of all cases together.

    What they ran is added up, so that waiting for a sandbox costs nothing; but no more than has passed since
    the first began, so that cases that run at the same time, and hold each other up,
    are not charged for that.
    """

    seconds: float
    ran: float = 0.0
    began: float = field(default_factory=time.monotonic)
    lock: Lock = field(default_factory=Lock)

    def charge(self, seconds: float) -> None:
        with self.lock:
            self.ran += seconds

    @property
    def left(self) -> float:
        return self.seconds - min(self.ran, time.monotonic() - self.began)


def run_cases(
    pool: SandboxPool,
    source: str,
    cases: Sequence[Mapping[str, str]],
    limits: Limits | None,
    tolerance: float | None = None,
    partial_credit: bool = False,
) -> list[Outcome]:
    """The outcomes in the order of the cases. `limits.wall_s` is the time of all cases together.

    All or nothing: the run ends with the first case that fails; what was not run is left out. With partial
    credit every case has an equal share of the time, so that one that loops leaves the others theirs; those
    that ran out of it are then tried again with what is left.
    Cases run at the same time where sandboxes are idle.
    """
    from ...sandbox import Status

    limits = limits or pool.limits
    budget = _Budget(limits.wall_s)

    def run(case: Mapping[str, str], seconds: float) -> Outcome:
        within = replace(limits, wall_s=max(seconds, _LEAST_S))
        outcome = pool.run_script(source, case["stdin"], case["stdout"], within, tolerance=tolerance)
        budget.charge(outcome.seconds)
        return outcome

    if not partial_credit:
        return _until_failure(pool, cases, lambda case: run(case, budget.left))
    share = limits.wall_s / len(cases)
    outcomes = _at_once(pool, cases, lambda case: run(case, share), lambda _: False)
    for place, outcome in enumerate(outcomes):
        if outcome.status is Status.TIMEOUT and budget.left > share:
            outcomes[place] = run(cases[place], budget.left)
    return outcomes


def _until_failure(
    pool: SandboxPool, cases: Sequence[Mapping[str, str]], run: Callable[[Mapping[str, str]], Outcome]
) -> list[Outcome]:
    """The first case alone, since most wrong programs fail it."""
    first = run(cases[0])
    if not first.passed:
        return [first]
    return [first, *_at_once(pool, cases[1:], run, lambda outcome: not outcome.passed)]


def _at_once(
    pool: SandboxPool,
    cases: Sequence[Mapping[str, str]],
    run: Callable[[Mapping[str, str]], Outcome],
    ends: Callable[[Outcome], bool],
) -> list[Outcome]:
    """Run cases in as many threads as there are idle sandboxes; none is begun
    after one whose outcome `ends` the run."""
    threads = min(pool.idle, len(cases))
    outcomes: dict[int, Outcome] = {}
    waiting = iter(enumerate(cases))
    lock = Lock()
    ended = False

    def work() -> None:
        nonlocal ended
        while True:
            with lock:
                place, case = (None, None) if ended else next(waiting, (None, None))
            if place is None or case is None:
                return
            outcomes[place] = outcome = run(case)
            if ends(outcome):
                ended = True

    if threads < 2:
        work()
    else:
        with ThreadPoolExecutor(threads) as executor:
            for future in [executor.submit(work) for _ in range(threads)]:
                future.result()
    return [outcomes[place] for place in sorted(outcomes)]
