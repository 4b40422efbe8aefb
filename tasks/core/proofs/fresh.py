"""The same verdict elsewhere: in threads at once, in other processes, under other seeds of Python's hashes.

`python -m palaestra.tasks.core.proofs.fresh` is what such a process runs: it reads one JSON line a task from
standard input and writes one back.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

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
    task: Task, probes: Sequence[Probe], verdicts: Sequence[str], recipe: Recipe | None
) -> Stability:
    """Judge probes again. verdicts: what was found of them first, by `write_verdict`."""
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
    with ThreadPoolExecutor(len(HASH_SEEDS)) as pool:
        answers = list(pool.map(lambda seed: ask_process(recipe, probes, seed), HASH_SEEDS))
    for seed, answer in zip(HASH_SEEDS, answers, strict=True):
        if isinstance(answer, str):
            return Stability(len(probes), differing + 1, ("threads",), "", example or answer)
        compare(answer, f"a process with PYTHONHASHSEED={seed}")
    return Stability(len(probes), differing, ("threads", "processes", "hash seeds"), "", example)


def write_verdict(score: Score) -> str:
    return f"{score.outcome}, reward {score.reward:.9g}"


def ask_process(recipe: Recipe, probes: Sequence[Probe], seed: str) -> list[str] | str:
    """The verdicts of a new process, or a sentence on why there are none."""
    items = [[probe.problem.id, probe.problem.text, probe.text] for probe in probes]
    request = json.dumps({"name": recipe.name, "options": dict(recipe.options), "items": items})
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=request,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )
    if done.returncode != 0:
        return f"Another process could not judge: {done.stderr.strip()[-300:]}"
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Judge what standard input asks for. A problem that is not the same here is said to be another one."""
    request = json.loads(sys.stdin.read())
    task = registry.get(request["name"], request["options"])
    problems = ProblemsById(task)
    verdicts = []
    for problem_id, prompt, text in request["items"]:
        problem = problems.get(problem_id)
        same = problem.text == prompt
        verdicts.append(write_verdict(task.score(text, problem)) if same else "another problem")
    print(json.dumps(verdicts))


if __name__ == "__main__":
    main()
