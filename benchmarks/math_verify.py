"""Accuracy and cost of the math verifier, beside math-verify where it is installed.

    python benchmarks/math_verify.py [--peer-python /path/to/python-with-math-verify] [--data ../shared/data]

Prints a table in Markdown. Times are CPU time of one process; verdicts and answers are uncached, references
are read once, as in a training run where a group repeats its reference. The peer runs in its own interpreter.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "verifiers" / "support"))

PEER = r"""
import json, sys, time, resource
from math_verify import parse, verify
jobs = json.load(sys.stdin)
def wrap(text): return text if "$" in text or "\\boxed" in text else f"${text}$"
out = []
for reference, answer in jobs:
    start = time.process_time()
    try:
        found = bool(verify(parse(wrap(reference)), parse(wrap(answer))))
    except BaseException as failure:
        found = None
    out.append((found, time.process_time() - start))
json.dump({"out": out, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}, sys.stdout)
"""


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def ours(jobs: list[tuple[str, str]], repeats: int = 3) -> tuple[list[bool], list[float]]:
    """Verdicts, and the best of a few CPU times each, without cached verdicts or answers."""
    from palaestra.verifiers.math import equal, pipeline

    found, times = [], []
    for reference, answer in jobs:
        best = float("inf")
        equal.math_equal(reference, answer)  # reads the reference
        for _ in range(repeats):
            equal._judge_cached.cache_clear()
            pipeline._read_cached.cache_clear()
            start = time.process_time()
            verdict = equal.math_equal(reference, answer)
            best = min(best, time.process_time() - start)
        found.append(verdict.correct)
        times.append(best)
    return found, times


def peer(
    python: str, jobs: list[tuple[str, str]], limit_s: float = 900
) -> tuple[list[bool | None], list[float], float]:
    done = subprocess.run(
        [python, "-W", "ignore", "-c", PEER],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        timeout=limit_s,
    )
    result = json.loads(done.stdout)
    return [found for found, _ in result["out"]], [seconds for _, seconds in result["out"]], result["memory"]


def import_ms(python: str, module: str, bytecode: bool = True) -> float:
    """Median CPU milliseconds that an import adds to an empty interpreter.

    With bytecode, as an installed package has it, whatever PYTHONDONTWRITEBYTECODE says here; without, every
    source of the package is compiled anew at each import.
    """
    with tempfile.TemporaryDirectory() as cache:
        plain = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment = plain | (
            {"PYTHONPYCACHEPREFIX": cache} if bytecode else {"PYTHONDONTWRITEBYTECODE": "1"}
        )

        def cpu(code: str) -> float:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([python, "-c", code], check=True, env=environment)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        cpu(f"import {module}")
        pairs = [(cpu(f"import {module}"), cpu("pass")) for _ in range(15)]
    return 1000 * statistics.median(full - empty for full, empty in pairs)


def completions(data: Path) -> list[tuple[str, str]]:
    """(reference, completion) of GSM8K's test solutions, one in five with a wrong answer."""
    rows = [
        json.loads(line) for line in (data / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    found = []
    for index, row in enumerate(rows):
        reference = row["answer"].rpartition("####")[2].strip()
        text = row["answer"] if index % 5 else row["answer"] + "1"
        found.append((reference, text))
    return found


def score_completions(data: Path) -> float:
    from palaestra.tasks import Problem
    from palaestra.verifiers import Rubric, math_answer
    from palaestra.verifiers.math import equal

    rubric = Rubric(math_answer())
    jobs = [(Problem(prompt="", reference=reference), text) for reference, text in completions(data)]
    best = float("inf")
    for _ in range(3):
        equal._judge_cached.cache_clear()
        from palaestra.verifiers import Completion

        start = time.process_time()
        for problem, text in jobs:
            rubric.score(Completion(text), problem)
        best = min(best, (time.process_time() - start) / len(jobs))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer-python", help="an interpreter that has math-verify")
    parser.add_argument("--data", type=Path, default=ROOT / ".." / "shared" / "data")
    given = parser.parse_args()

    from hostile_answers import HOSTILE, REFERENCES
    from labelled_pairs import load, load_outside
    from palaestra.verifiers.math import math_equal

    pairs = load()
    jobs = [(pair.reference, pair.answer) for pair in pairs]
    rows: list[tuple[str, str, str]] = []

    def accuracy(found: list) -> str:
        right = sum(bool(mine) is pair.equal for mine, pair in zip(found, pairs, strict=True))
        false_positives = sum(bool(mine) and not pair.equal for mine, pair in zip(found, pairs, strict=True))
        return f"{100 * right / len(pairs):.1f} %, {false_positives} false positives"

    math_equal(r"\sqrt2", r"\sqrt3")  # flint is imported here, once per process
    found, times = ours(jobs)
    theirs = peer(given.peer_python, jobs) if given.peer_python else None
    rows.append((f"labelled pairs ({len(pairs)})", accuracy(theirs[0]) if theirs else "", accuracy(found)))

    for name in ("conventions", "references", "references_second"):
        outside = load_outside(name)
        right = [(math_equal(pair.reference, pair.answer).correct, pair) for pair in outside]
        said = (
            sum(mine is pair.equal for mine, pair in right),
            sum(mine and not pair.equal for mine, pair in right),
        )
        rows.append(
            (
                f"{name}, by others ({len(outside)})",
                "",
                f"{100 * said[0] / len(outside):.1f} %, {said[1]} false positives",
            )
        )

    def spread(values: list[float]) -> str:
        return f"{1000 * statistics.median(values):.3f} / {1000 * percentile(values, 0.99):.2f} ms"

    kinds = len({pair.kind for pair in pairs})
    rows.append(
        (f"median / p99 per check ({kinds} classes)", spread(theirs[1]) if theirs else "", spread(times))
    )
    if (given.data / "gsm8k").is_dir():
        texts = completions(given.data)
        mean = (
            f"{1000 * statistics.mean(peer(given.peer_python, texts)[1]):.3f} ms" if given.peer_python else ""
        )
        rows.append(
            ("real completions, plain answers, mean", mean, f"{1000 * score_completions(given.data):.4f} ms")
        )
    there = f"{import_ms(given.peer_python, 'math_verify'):.0f} ms CPU" if given.peer_python else ""
    own = [import_ms(sys.executable, "palaestra.verifiers", bytecode) for bytecode in (True, False)]
    rows.append(("import", there, f"{own[0]:.0f} ms CPU ({own[1]:.0f} without bytecode)"))

    slowest, name = 0.0, ""
    for hostile, answer in HOSTILE.items():
        for reference in REFERENCES:
            start = time.perf_counter()
            math_equal(reference, answer)
            seconds = time.perf_counter() - start
            if seconds > slowest:
                slowest, name = seconds, hostile
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows.append(
        (
            f"slowest of {len(HOSTILE)} hostile answers, wall",
            "",
            f"{slowest:.3f} s ({name}), {memory:.0f} MiB",
        )
    )

    print("| | math-verify | palaestra |\n| --- | --- | --- |")
    for label, other, own in rows:
        print(f"| {label} | {other} | {own} |")


if __name__ == "__main__":
    main()
