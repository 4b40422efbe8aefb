"""Order jobs on one machine so that each starts in time and ends in time: any order that does counts.

Each level adds jobs. From level 2 neither the order of the deadlines nor that of the earliest starts will do.
"""

import random
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import err_by_step, puzzle, read_names, rewrite_list, work_out
from ..core.problem import Problem
from ..core.task import task

JOBS = (6, 8, 11, 15)  # by level
SLACK = (4, 9, 13, 17)  # most minutes that a job could start earlier, and end later, than in the hidden order
LONGEST = 9
NAMES = string.ascii_uppercase[:15]


@dataclass(frozen=True)
class Job:
    """takes, from_, until: minutes; it may start at `from_` at the earliest and has to end by `until`."""

    name: str
    takes: int
    from_: int
    until: int


def run(jobs: Sequence[Job]) -> str:
    """What is wrong with doing the jobs in this order, each as early as it may; "" when nothing is."""
    time = 0
    for job in jobs:
        time = max(time, job.from_) + job.takes
        if time > job.until:
            return f"{job.name} ends at {time}, after {job.until}."
    return ""


class Search:
    """Depth first, the earliest deadline first; a branch ends where an open job would be late as the next.

    tried: jobs put next.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = sorted(jobs, key=lambda job: job.until)
        self.order: list[Job] = []
        self.tried = 0

    def solve(self, time: int = 0) -> bool:
        left = [job for job in self.jobs if job not in self.order]
        if any(max(time, job.from_) + job.takes > job.until for job in left):
            return False
        for job in left:
            self.tried += 1
            self.order.append(job)
            if self.solve(max(time, job.from_) + job.takes):
                return True
            self.order.pop()
        return not left


def find_fault(reference: dict, answer: str) -> str:
    """Whether the order has each job once, and none ends too late."""
    jobs = {job["name"]: Job(**job) for job in reference["jobs"]}
    order = read_names(answer, jobs)
    if sorted(order) != sorted(jobs):
        return "The order does not have each job once."
    return run([jobs[name] for name in order])


def solve(problem: Problem) -> str:
    """Start and end of each job, then the order."""
    jobs = {job["name"]: Job(**job) for job in problem.reference["jobs"]}
    time, steps = 0, []
    for name in problem.reference["solution"].split():
        start = max(time, jobs[name].from_)
        time = start + jobs[name].takes
        steps.append(f"{name} {start}-{time}")
    return work_out(steps, problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Jobs that a depth-first search puts next, those taken back included."""
    search = Search([Job(**job) for job in problem.reference["jobs"]])
    search.solve()
    return search.tried


def plant(rng: random.Random, count: int, slack: int) -> list[Job]:
    """Jobs in an order that works."""
    jobs, time = [], 0
    for name in rng.sample(NAMES[:count], count):
        takes = rng.randint(1, LONGEST)
        start = time + (rng.randint(1, 2) if rng.random() < 0.2 else 0)
        time = start + takes
        jobs.append(Job(name, takes, max(0, start - rng.randint(0, slack)), time + rng.randint(0, slack)))
    return jobs


@task(
    "scheduling",
    rubric=Rubric(puzzle("schedule", find_fault, several=True, rewrite=rewrite_list), answer_tag(weight=0.1)),
    levels=len(JOBS),
    kind="logic",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=20),
    licence="Apache-2.0",
)
def scheduling(rng: random.Random, level: int) -> Iterator[Problem]:
    """Order jobs on one machine within their times; 6, 8, 11 and 15 jobs, any order that works."""
    while True:
        jobs = plant(rng, JOBS[level - 1], SLACK[level - 1])
        by_deadline = sorted(jobs, key=lambda job: (job.until, job.from_))
        by_start = sorted(jobs, key=lambda job: (job.from_, job.until))
        if level == 1 or (run(by_deadline) and run(by_start)):
            break
    listed = sorted(jobs, key=lambda job: job.name)
    lines = (f"{job.name} takes {job.takes}, from {job.from_}, by {job.until}" for job in listed)
    yield Problem(
        prompt="One machine does these jobs one after the other, without a break inside a job. Each takes "
        "so many "
        "minutes, can't start before `from`, and must end by `by` (minutes after the start of the day):\n"
        + "\n".join(lines)
        + "\nEach job starts as early as it may after the one before it. In which order does every job end "
        "in "
        "time? Answer with the letters of all jobs, separated by blanks.",
        reference={"jobs": [vars(job) for job in listed], "solution": " ".join(job.name for job in jobs)},
        key=str(sorted((job.takes, job.from_, job.until) for job in jobs)),
    )
