"""What the generated tasks of a subject are like, as a Markdown table: `docs/tasks.md` holds it.

    python benchmarks/generated_tasks.py [--subject math] [--problems 2000]

For each task: how the work grows by level, how often its most frequent answer is right at most, how many
problems are made in a second at least, and the processor time of a check. Work is the mean of the operations
of a script that solves the problem where the task counts them (*), else of the characters of the worked
solution.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter

from palaestra import tasks
from palaestra.tasks import Problem, Task
from palaestra.tasks.core.sources import Procedural

COLUMNS = ("task", "what", "work by level", "most frequent answer", "problems/s", "check, ms: p50", "p99")


def measure_work(task: Task, problem: Problem) -> int:
    return problem.metadata.get("operations", len(task.solution(problem)))


def describe(task: Task, count: int) -> list[str]:
    """The row of one task."""
    work, shares, rates, seconds = [], [], [], []
    assert isinstance(task.source, Procedural)
    for level in range(1, task.source.levels + 1):
        rng, start = random.Random(f"{task.name} {level}"), time.process_time()
        problems: list[Problem] = [task.source.generate(rng, level) for _ in range(count)]  # type: ignore[misc]
        rates.append(count / (time.process_time() - start))
        work.append(sum(measure_work(task, each) for each in problems) / count)
        answers = Counter(task.rubric.correctness.render(each.reference) for each in problems)  # type: ignore[misc]
        shares.append(answers.most_common(1)[0][1] / count)
        for each in problems[:200]:
            solution, start = task.solution(each), time.process_time()
            task.score(solution, each)
            seconds.append(time.process_time() - start)
    seconds.sort()
    counted = "operations" in problems[0].metadata
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
