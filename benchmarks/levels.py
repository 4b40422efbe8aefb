"""How levels of generated tasks differ, as the Markdown table in `docs/tasks.md`.

    python benchmarks/levels.py [NAME ...] [--problems 400]

For each task that has a scripted solver (`attempt`), or those that are named. Work is the mean of `count_work`,
which each task's file explains; solved is the share of 200 problems that the scripted solver gets right. Both
are given for the first level to the last. Guessed is the share of the most frequent answer, and made is how many
problems are made in a second of processor time, both at the worst level. Checks of programs are timed by
the clock, others by processor time.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from statistics import mean

from palaestra import tasks
from palaestra.tasks import Task
from palaestra.tasks.core.sources import Procedural

TRIED = 200  # problems of a level that the scripted solver is given
COLUMNS = ("task", "work", "solved, %", "guessed, %", "made, 1/s", "check, ms: p50", "p99")


def describe(task: Task, count: int) -> list[str]:
    """The row of one task."""
    assert isinstance(task.source, Procedural)
    assert task.attempt is not None
    count_work = sys.modules[task.source.generate.__module__].count_work
    runs_programs = task.rubric.correctness.start is not None
    clock = time.perf_counter if runs_programs else time.process_time
    work, solved, guessed, made, seconds = [], [], [], [], []
    for level in range(1, task.source.levels + 1):
        start = time.process_time()
        problems = task.problems("train", count, level=level)
        made.append(len(problems) / (time.process_time() - start))
        work.append(mean(map(count_work, problems[:TRIED])))
        tries = [(task.attempt(each, random.Random(each.id)), each) for each in problems[:TRIED]]
        solved.append(mean(text == task.solution(each) for text, each in tries))
        answers = Counter(task.solution(each).rpartition("</think>")[2] for each in problems)
        guessed.append(answers.most_common(1)[0][1] / len(problems))
        for each in problems[: 10 if runs_programs else TRIED]:
            text, start = task.solution(each), clock()
            task.score(text, each)
            seconds.append(clock() - start)
    seconds.sort()
    return [
        f"`{task.name}`",
        ", ".join(f"{each:,.0f}" for each in work),
        ", ".join(f"{100 * each:.0f}" for each in solved),
        f"{100 * max(guessed):.1f}",
        f"{min(made):,.0f}",
        f"{1000 * seconds[len(seconds) // 2]:.2f}",
        f"{1000 * seconds[int(0.99 * len(seconds))]:.1f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="tasks; none: all that have a scripted solver")
    parser.add_argument("--problems", type=int, default=400, help="drawn for each level, 200 or more")
    asked = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |", f"| {' | '.join(['---'] * len(COLUMNS))} |", sep="\n")
    for name in asked.names or tasks.names():
        task = tasks.get(name)
        if asked.names or (task.attempt is not None and isinstance(task.source, Procedural)):
            print(f"| {' | '.join(describe(task, asked.problems))} |", flush=True)


if __name__ == "__main__":
    main()
