"""The same verdict elsewhere: in threads at once, in other processes, under other seeds of Python's hashes.

`python -m palaestra.tasks.core.proofs.fresh` is what such a process runs: for each JSON line of standard
input, a task and texts to judge, it writes one back. It goes on to the next task, for most of what it costs
is its start.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any, Self

from ....verifiers import Score
from .. import registry
from ..lookup import ProblemsById
from ..task import Task
from .probes import Probe
from .proof import Stability

PROBES = 48  # of a task, judged again in each way
PROGRAMS = 12  # of them where programs are run
MOST_CHARS = 20_000
THREADS = 4
HASH_SEEDS = ("1", "2")
TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Recipe:
    """How another process finds the task: by its name or the path of its file, with options."""

    name: str
    options: Mapping[str, Any]


def pick_probes(probes: Sequence[Probe], most: int) -> list[Probe]:
    """Some of them, evenly spread over problems and kinds."""
    short = [probe for probe in probes if len(probe.text) <= MOST_CHARS]
    step = max(1, len(short) // most)
    return short[::step][:most]


def judge_anew(
    task: Task, probes: Sequence[Probe], verdicts: Sequence[str], recipe: Recipe | None, elsewhere: Elsewhere
) -> Stability:
    """Judge probes again. verdicts: what was found of them first, by `write_verdict`.  elsewhere: the other
    processes."""
    differing, example = 0, ""

    def compare(found: Sequence[str], way: str) -> None:
        nonlocal differing, example
        for probe, first, second in zip(probes, verdicts, found, strict=True):
            if first != second:
                differing += 1
                example = example or f"{probe.problem.id}: {probe.text[-80:]!r} {first}, in {way} {second}"

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda probe: write_verdict(task.score(probe.text, probe.problem)), probes))
    compare(found, "a thread")
    if recipe is None:
        left_out = "no name or file by which another process would find the task"
        return Stability(len(probes), differing, ("threads",), left_out, example)
    for judge, answer in elsewhere.ask(recipe, probes):
        if isinstance(answer, str):
            return Stability(len(probes), differing + 1, ("threads",), "", example or answer)
        compare(answer, f"a process with PYTHONHASHSEED={judge.seed}")
    return Stability(len(probes), differing, ("threads", "processes", "hash seeds"), "", example)


def write_verdict(score: Score) -> str:
    return f"{score.outcome}, reward {score.reward:.9g}"


@dataclass
class Judge:
    """Another process, under its own seed of hashes, begun when it is first asked."""

    seed: str
    process: subprocess.Popen[str] | None = None
    errors: IO[str] | None = None

    def ask(self, request: str, timeout_s: float = TIMEOUT_S) -> list[str] | str:
        """The verdicts on what a line asks for, or a sentence on why there are none."""
        process = self.process = self.process or self._begin()
        assert process.stdin is not None
        assert process.stdout is not None
        line, answered = "", True
        try:
            print(request, file=process.stdin, flush=True)
            answered = bool(select.select([process.stdout], [], [], timeout_s)[0])
            line = process.stdout.readline() if answered else ""
        except BrokenPipeError:  # it ended before it read
            pass
        if line:
            return json.loads(line)
        said = self.close()
        return f"Another process could not judge: {said}" if answered else "Another process took too long."

    def _begin(self) -> subprocess.Popen[str]:
        self.errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  `close` closes it
        return subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": self.seed},
        )

    def close(self) -> str:
        """End the process, and give the end of what it said on standard error; another one begins when it is
        asked again."""
        if self.process is None or self.errors is None:
            return ""
        self.process.kill()
        self.process.communicate()
        self.process = None
        with self.errors as errors:
            errors.seek(0)
            return errors.read().strip()[-300:]


class Elsewhere:
    """Other processes that judge, each under another seed of hashes."""

    def __init__(self) -> None:
        self.judges = [Judge(seed) for seed in HASH_SEEDS]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for judge in self.judges:
            judge.close()

    def ask(self, recipe: Recipe, probes: Sequence[Probe]) -> list[tuple[Judge, list[str] | str]]:
        """What each of them finds, all at once."""
        items = [[probe.problem.id, probe.problem.text, probe.text] for probe in probes]
        request = json.dumps({"name": recipe.name, "options": dict(recipe.options), "items": items})
        with ThreadPoolExecutor(len(self.judges)) as pool:
            return list(
                zip(self.judges, pool.map(lambda judge: judge.ask(request), self.judges), strict=True)
            )


def main() -> None:
    """Judge what each line of standard input asks for. A problem that is not the same here is said to be
    another one."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a task prints is no answer
    for line in sys.stdin:
        print(json.dumps(judge_line(json.loads(line))), file=answers, flush=True)


def judge_line(request: Mapping[str, Any]) -> list[str]:
    """The verdict on each text of a request."""
    task = registry.get(request["name"], request["options"])
    problems = ProblemsById(task)
    verdicts = []
    for problem_id, prompt, text in request["items"]:
        problem = problems.get(problem_id)
        same = problem.text == prompt
        verdicts.append(write_verdict(task.score(text, problem)) if same else "another problem")
    return verdicts


if __name__ == "__main__":
    main()
