"""What the generated tasks of a subject are like, as a Markdown table: `docs/tasks.md` holds it.

    python benchmarks/generated_tasks.py [--subject math] [--problems 2000]

For each task: how the work grows by level, how often its most frequent answer is right at most, how many
problems are made in a second at least, and the processor time of a check (of programs, the time by the
clock). Work is the mean of the operations of a script that solves the problem where the task counts them
(*), as `operations` of a problem or by its `count_work`, else of the characters of the worked solution.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from statistics import mean

from palaestra import tasks
from palaestra.tasks import Problem, Task
from palaestra.tasks.core.sources import Procedural

WORKED = 500  # problems of a level whose work is counted
COLUMNS = ("task", "what", "work by level", "most frequent answer", "problems/s", "check, ms: p50", "p99")


def find_counter(task: Task) -> Callable[[Problem], int] | None:
    """The function by which a task's file counts the operations for a problem."""
    assert isinstance(task.source, Procedural)
    return getattr(sys.modules[task.source.generate.__module__], "count_work", None)


def measure_work(task: Task, problem: Problem) -> int:
    count_work = find_counter(task)
    if count_work is not None:
        return count_work(problem)
    return problem.metadata.get("operations", len(task.solution(problem)))


def generate(task: Task, rng: random.Random, level: int) -> Problem:
    assert isinstance(task.source, Procedural)
    drawn = task.source.generate(rng, level)
    return drawn if isinstance(drawn, Problem) else next(drawn)


def describe(task: Task, count: int) -> list[str]:
    """The row of one task."""
    work, shares, rates, seconds = [], [], [], []
    runs = task.rubric.correctness.start is not None
    clock = time.perf_counter if runs else time.process_time
    assert isinstance(task.source, Procedural)
    for level in range(1, task.source.levels + 1):
        rng, start = random.Random(f"{task.name} {level}"), time.process_time()
        problems = [generate(task, rng, level) for _ in range(count)]
        rates.append(count / (time.process_time() - start))
        work.append(mean(measure_work(task, each) for each in problems[:WORKED]))
        answers = Counter(task.solution(each).rpartition("</think>")[2] for each in problems)
        shares.append(answers.most_common(1)[0][1] / count)
        for each in problems[: 10 if runs else 200]:
            solution, start = task.solution(each), clock()
            task.score(solution, each)
            seconds.append(clock() - start)
    seconds.sort()
    counted = find_counter(task) is not None or "operations" in problems[0].metadata
    return [
        f"`{task.name}`",
        task.summary.rstrip("."),
        ", ".join(f"{each:,.0f}" for each in work) + (" \\*" if counted else ""),
        f"{100 * max(shares):.2g} %",
        f"{min(rates):,.0f}",
        f"{1000 * seconds[len(seconds) // 2]:.2f}",
        f"{1000 * seconds[int(0.99 * len(seconds))]:.1f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subject", default="math", help="a folder of tasks/")
    parser.add_argument("--problems", type=int, default=2_000, help="drawn for each level, 200 or more")
    asked = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |", f"| {' | '.join(['---'] * len(COLUMNS))} |", sep="\n")
    for name in tasks.names():
        task = tasks.get(name)
        home = getattr(task.source, "generate", main).__module__
        if home.startswith(f"palaestra.tasks.{asked.subject}."):
            print(f"| {' | '.join(describe(task, asked.problems))} |", flush=True)


if __name__ == "__main__":
    main()
