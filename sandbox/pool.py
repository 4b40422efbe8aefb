"""A pool of sandboxes, for threads and for asyncio."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import relay, selfcheck, session
from .channel import SPAWN_S, Broken
from .limits import Limits
from .outcome import Call, Outcome, Status
from .session import Mode
from .suites import read_suite
from .wire import Compare
from .worker import REQUIRED, SandboxUnavailable, Worker

log = logging.getLogger(__name__)
_ATTEMPTS = 2
ALLOW_WEAK = "PALAESTRA_ALLOW_WEAK_SANDBOX"
ADVICE = {
    "namespaces": "Allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, "
    "user.max_user_namespaces>0, kernel.apparmor_restrict_unprivileged_userns=0), "
    "or in a container give CAP_SYS_ADMIN.",
    "root": "It follows from the namespaces; Linux 5.12 or newer is needed for mount_setattr.",
    "rlimits": "Raise the hard limits of this user (ulimit -Ha) to at least those of the task.",
    "privileges": "Give the process CAP_SETUID and CAP_SETGID, or run as an ordinary user.",
    "landlock": "Use Linux 5.13 or newer with Landlock in its list of security modules "
    "(boot parameter lsm=landlock,...).",
    "seccomp": "Use a kernel with CONFIG_SECCOMP_FILTER, on x86_64 or aarch64.",
    "cgroup": "Start it in a scope of its own: systemd-run --user --scope -p Delegate=yes palaestra ... "
    "(as root without --user). In a container, mount /sys/fs/cgroup to be written to.",
}


def default_workers() -> int:
    """Sandboxes of a pool that is given no number: two for each processor that this process may use.

    Two, since a sandbox also waits for the kernel and for its driver. To keep all busy, as many
    threads have to ask.
    """
    return 2 * len(os.sched_getaffinity(0))


class Idle:
    """The workers that are free. Whoever waits for one is served in the order of arrival.

    A released worker is handed to the longest waiting thread, so that a thread which comes back at once
    can't overtake it; among free workers the one used last is taken, whose memory is still in the
    processor's caches.
    """

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._free = list(workers)
        self._waiting: deque[queue.SimpleQueue[Worker]] = deque()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._free)

    def take(self) -> Worker:
        with self._lock:
            if self._free:
                return self._free.pop()
            place: queue.SimpleQueue[Worker] = queue.SimpleQueue()
            self._waiting.append(place)
        try:
            return place.get()
        except (
            BaseException
        ):  # an interrupt while waiting: give up the place, or hand on the worker that has come meanwhile
            with self._lock:
                waits = place in self._waiting
                if waits:
                    self._waiting.remove(place)
            if not waits:
                self.give_back(place.get())
            raise

    def give_back(self, worker: Worker) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().put(worker)
            else:
                self._free.append(worker)


class SandboxPool:
    """`workers` sandboxes that each run one program at a time.

    Every method may be called from any thread; a call waits while all sandboxes are busy. The `_async`
    methods give the same from asyncio. Use it as a context manager, or call `close`; an abandoned pool closes
    itself, and a pool whose process is killed leaves nothing behind.

    workers: default, `default_workers()`.  limits: for runs that name none.
    modules: installed modules that programs may import besides the standard library; tests that
        use numpy need it.
    allow_weak: run even without Landlock, seccomp or resource limits; by default, when the environment says
        PALAESTRA_ALLOW_WEAK_SANDBOX=1.
    Raises SandboxUnavailable on the first run when such a layer is missing.

    >>> import palaestra as pal
    >>> with pal.SandboxPool(workers=1) as pool:
    ...     outcome = pool.run_script("print(int(input()) * 2)", stdin="21", expected_stdout="42")
    >>> outcome.passed, outcome.stdout
    (True, '42\\n')
    """

    def __init__(
        self,
        workers: int | None = None,
        limits: Limits | None = None,
        *,
        modules: Sequence[str] = (),
        allow_weak: bool | None = None,
    ) -> None:
        self.workers = default_workers() if workers is None else workers
        if self.workers < 1:
            raise ValueError(f"A pool has at least 1 worker, not {workers}.")
        self.limits = limits or Limits()
        self.allow_weak = allow_weak
        self._all = [Worker(tuple(modules)) for _ in range(self.workers)]
        self._idle = Idle(self._all)
        self._process = os.getpid()
        self._closed = False
        self._lock = threading.Lock()
        self._active: tuple[str, ...] | None = None  # the layers, once they were checked and are enough
        self._threads: ThreadPoolExecutor | None = None
        self._finalizer = weakref.finalize(self, _close_all, self._all, self._process)

    def __enter__(self) -> SandboxPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run_tests(
        self,
        source: str,
        entry_point: str,
        calls: Sequence[Call],
        limits: Limits | None = None,
        *,
        mode: Mode = "isolated",
        tolerance: float | None = None,
        compare: Compare = "exact",
        stop_early: bool = False,
    ) -> Outcome:
        """Call a function of a program; compare each claimed output with `Call.expected`.

        entry_point: a function's name, or `Class.method`.
        tolerance: relative or absolute, where one is a float.
        compare: `exact`, by type and value; `json`, as far as JSON can tell values apart (a tuple is a
            list, 2 is 2.0).
        stop_early: end at the first call that does not pass.
        """
        return self._run(
            limits,
            lambda worker, within: session.run_calls(
                worker,
                source,
                entry_point,
                calls,
                within,
                mode=mode,
                tolerance=tolerance,
                compare=compare,
                stop_early=stop_early,
            ),
        )

    def run_script(
        self,
        source: str,
        stdin: str = "",
        expected_stdout: str | None = None,
        limits: Limits | None = None,
        *,
        tolerance: float | None = None,
    ) -> Outcome:
        """Run a whole program on standard input.

        It passes with exit status 0 and the expected output (`same_text`).
        """
        return self._run(
            limits,
            lambda worker, within: session.run_script(
                worker, source, stdin, within, expected=expected_stdout, tolerance=tolerance
            ),
        )

    def run_suite(
        self,
        source: str,
        entry_points: Sequence[str],
        tests: Sequence[str],
        limits: Limits | None = None,
        *,
        classes: Sequence[str] = (),
        setup: str = "",
        mode: Mode = "isolated",
        weak: bool = False,
    ) -> Outcome:
        """Run tests written as statements (assertions) against functions of a program.

        Assertions about calls with constants are made one by one, and judged here. All other tests run in
        another sandbox, where each entry point is a stub that calls the program. Arguments and results are
        plain data, or objects that the tests make of `classes` of the program by a call and assignments. What
        the program changes in an argument is changed for the tests, too. With weak=True the tests run inside
        the program's own process, where it can forge them.
        """
        if weak:
            return self._run(
                limits,
                lambda worker, within: session.run_weak(
                    worker, source, tests, within, setup=setup, mode=mode
                ),
            )
        if (assertions := read_suite(entry_points, tests)) is not None:
            return self._run(
                limits,
                lambda worker, within: session.run_assertions(worker, source, assertions, within, mode=mode),
            )
        return self._run(
            limits,
            lambda worker, within: relay.run_suite(
                worker, source, entry_points, tests, within, classes=classes, setup=setup, mode=mode
            ),
        )

    async def run_tests_async(self, *args: Any, **kwargs: Any) -> Outcome:
        """`run_tests` for asyncio. Cancelling it does not stop the run, which ends by its own limits."""
        return await self._in_thread(self.run_tests, *args, **kwargs)

    async def run_script_async(self, *args: Any, **kwargs: Any) -> Outcome:
        return await self._in_thread(self.run_script, *args, **kwargs)

    async def run_suite_async(self, *args: Any, **kwargs: Any) -> Outcome:
        return await self._in_thread(self.run_suite, *args, **kwargs)

    async def _in_thread(self, function: Callable[..., Outcome], *args: Any, **kwargs: Any) -> Outcome:
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="sandbox")
            threads = self._threads
        import asyncio  # slow to import, and only this path needs it

        return await asyncio.get_running_loop().run_in_executor(threads, lambda: function(*args, **kwargs))

    def missing_layers(self) -> dict[str, str]:
        """Layers that are not active here, each with the reason. Starts a sandbox to see.

        Raises SandboxUnavailable where no sandbox starts, or a harmless program fails in it.
        """
        missing: dict[str, str] = {}

        def look(worker: Worker, limits: Limits) -> Outcome:
            child = worker.take(limits)
            with contextlib.closing(child):
                child.begin(limits, time.monotonic() + SPAWN_S)
                missing.update(child.missing)
                selfcheck.check(child, worker.modules, rooted="root" not in child.missing)
                worker.reap(child)
            return Outcome(Status.COMPLETED)

        outcome = self._run(None, look, probe=True)
        if outcome.status is Status.ERROR:
            raise SandboxUnavailable(outcome.reason)
        return missing

    def active_layers(self) -> tuple[str, ...]:
        """Layers that are active here.

        Raises SandboxUnavailable where programs would not be run for want of one.
        """
        return self._check_layers()

    @property
    def usable(self) -> bool:
        """Whether this is the process that made the pool, and the pool is not closed."""
        return not self._closed and self._process == os.getpid()

    @property
    def idle(self) -> int:
        """How many sandboxes have nothing to do at this moment."""
        return len(self._idle)

    def _run(
        self, limits: Limits | None, run: Callable[[Worker, Limits], Outcome], *, probe: bool = False
    ) -> Outcome:
        if os.getpid() != self._process:
            raise RuntimeError("A SandboxPool can't be used in a forked process; make one there.")
        if not probe:
            self._check_layers()
        worker = self._idle.take()
        try:
            if self._closed:
                raise RuntimeError("The SandboxPool is closed.")
            return self._attempt(worker, limits or self.limits, run)
        finally:
            if self._closed:
                worker.close()
            self._idle.give_back(worker)

    def _attempt(self, worker: Worker, limits: Limits, run: Callable[[Worker, Limits], Outcome]) -> Outcome:
        """Run, once more on a fresh zygote when the sandbox itself fails.

        What it fails of twice is an error.
        """
        reason = ""
        for _ in range(_ATTEMPTS):
            try:
                worker.discard_other(limits)
                return run(worker, limits)
            except Broken as failure:
                reason = str(failure)
                log.warning("A sandbox failed and is started anew: %s", reason)
                worker.close()
            except (
                BaseException
            ):  # an interrupt, say, in the middle of a conversation: the next run gets a fresh worker
                worker.close()
                raise
        return Outcome(Status.ERROR, reason=reason)

    def _check_layers(self) -> tuple[str, ...]:
        """The active layers. Raises SandboxUnavailable where they are not enough."""
        with self._lock:
            if self._active is not None:
                return self._active
            missing = self.missing_layers()
            active = session.list_active(missing)
            log.info("Sandbox layers: %s", ", ".join(active))
            weak = os.environ.get(ALLOW_WEAK) == "1" if self.allow_weak is None else self.allow_weak
            if not weak and (absent := [name for name in REQUIRED if name in missing]):
                why = " ".join(f"{name}: {missing[name]}. {ADVICE[name]}" for name in absent)
                raise SandboxUnavailable(f"Programs can't be isolated well enough here. {why}")
            self._active = active
            return active

    def close(self) -> None:
        """Wait for runs in progress, then end every sandbox. Later runs raise RuntimeError."""
        if self._closed or os.getpid() != self._process:
            return
        self._closed = True
        taken = [self._idle.take() for _ in self._all]
        self._finalizer()
        for worker in taken:
            self._idle.give_back(worker)
        if self._threads is not None:
            self._threads.shutdown()


def _close_all(workers: list[Worker], process: int) -> None:
    if os.getpid() == process:
        for worker in workers:
            with contextlib.suppress(OSError):
                worker.close()


_shared: dict[tuple[str, ...], SandboxPool] = {}
_shared_lock = threading.Lock()


def shared_pool(modules: Sequence[str] = ()) -> SandboxPool:
    """The pool with these modules that this process uses when none is given; made on first use."""
    key = tuple(modules)
    with _shared_lock:
        pool = _shared.get(key)
        if pool is None or not pool.usable:
            pool = _shared[key] = SandboxPool(modules=key)
        return pool


def run_tests(
    source: str, entry_point: str, calls: Sequence[Call], limits: Limits | None = None, **options: Any
) -> Outcome:
    """`SandboxPool.run_tests` on the process's shared pool."""
    return shared_pool().run_tests(source, entry_point, calls, limits, **options)
