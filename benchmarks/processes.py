"""A step of GRPO in one process on one core beside two processes on two cores, and what a killed rank costs.

python benchmarks/processes.py [--processes N] [--steps N] [--prompts N] [--model ID]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WARM_STEPS = 2  # that are not counted


def write_flags(options: argparse.Namespace, out: Path, processes: int) -> list[str]:
    """The settings of a run: equal work for any number of processes."""
    flags = {
        "--task": "gcd", "--model": options.model, "--steps": options.steps + WARM_STEPS, "--sft-steps": 150,
        "--prompts-per-step": options.prompts,
        "--group-size": 8, "--max-new-tokens": 48, "--eval-problems": 8,
        "--eval-every": 0, "--save-every": 0, "--preflight-problems": 0, "--threads": 1,
        "--watch.extracted-min": 0, "--shadow-share": 0, "--loss.kl-coef": 0.01, "--processes": processes,
        "--out": out,
    }  # fmt: skip
    return [part for name, value in flags.items() for part in (name, str(value))]


def start(options: argparse.Namespace, out: Path, processes: int) -> subprocess.Popen:
    """A run on as many cores as processes."""
    cores = sorted(os.sched_getaffinity(0))[:processes]
    command = [sys.executable, "-m", "palaestra", "train", *write_flags(options, out, processes), "--force"]
    return subprocess.Popen(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def read_steps(out: Path) -> list[dict]:
    """The counted steps of a run."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "step"][WARM_STEPS:]


def measure(options: argparse.Namespace, folder: Path, processes: int) -> float:
    """Seconds of a step, the median; prints what it is made of."""
    out = folder / f"processes{processes}"
    code = start(options, out, processes).wait()
    steps = read_steps(out)
    assert code == 0, f"a run of {processes} processes ended with code {code}"
    parts = {
        name: statistics.median(step["seconds"][name] for step in steps) for name in ("sample", "update")
    }
    seconds = statistics.median(sum(step["seconds"][name] for name in parts) for step in steps)
    tokens = statistics.mean(step["tokens_sampled"] for step in steps)
    print(
        f"{processes} process(es), each on a core: {seconds:.3f} s a step (sampling {parts['sample']:.3f}, "
        f"update {parts['update']:.3f}), {tokens:,.0f} tokens sampled in a step, {len(steps)} steps"
    )
    return seconds


def measure_loss(options: argparse.Namespace, folder: Path) -> float:
    """Seconds from the kill of a rank to the end of the run."""
    out = folder / "killed"
    options = argparse.Namespace(**{**vars(options), "steps": 10_000})
    process = start(options, out, options.processes)
    while not (out / "metrics.jsonl").is_file() or not read_steps(out):
        assert process.poll() is None, "the run ended by itself"
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    begun = time.perf_counter()
    code = process.wait()
    seconds = time.perf_counter() - begun
    print(f"a killed rank: the run ends after {seconds:.1f} s, with exit code {code}")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2, help="processes beside one (default: 2)")
    parser.add_argument("--steps", type=int, default=10, help="steps that are counted (default: 10)")
    parser.add_argument("--prompts", type=int, default=128, help="problems of a step (default: 128)")
    parser.add_argument("--model", default="embedded", help="model (default: embedded)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone, several = (measure(options, folder, count) for count in (1, options.processes))
        print(f"{alone / several:.2f} times as fast")
        measure_loss(options, folder)


if __name__ == "__main__":
    main()
