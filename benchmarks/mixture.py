"""Eight procedural tasks at once: the embedded model, by SFT on their demonstrations, then by GRPO on their
rewards; the held-out pass-rate on each before and after GRPO.

    python benchmarks/mixture.py                 # minutes; what was measured: docs/tasks.md
    python benchmarks/mixture.py --sft-steps 300 --steps 20 --problems 80

Times are of the processor as well: on a busy machine the other one says little.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import palaestra as pal

# Short prompts and answers: a model of 0.39 M parameters reads a sign at a time.
TASKS = (
    "small_numbers", "addition", "gcd@1", "sorting@1", "countdown@1", "frozen_lake_plan@1", "regex_string@1",
    "clocks@1",
)  # fmt: skip
OPTIONS = ("addition.operands=2", "addition.digits=2")


def train(arguments: argparse.Namespace, out: Path) -> pal.trainer.runs.state.RunResult:
    """SFT and GRPO on all of the tasks, with an evaluation before and after GRPO."""
    return pal.train(
        task=",".join(TASKS),
        option=OPTIONS,
        instruction="",
        out=str(out),
        seed=arguments.seed,
        sft_steps=arguments.sft_steps,
        steps=arguments.steps,
        prompts_per_step=arguments.prompts,
        group_size=8,
        max_new_tokens=arguments.tokens,
        learning_rate=arguments.learning_rate,
        mixture=arguments.mixture,
        eval_problems=arguments.problems,
        eval_samples=4,
        eval_every=0,
        save_every=0,
        preflight_problems=0,
        threads=arguments.threads,
        **{"advantages.scale": "group"},
    )


def write_table(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """A row for each task."""
    lines = ["| task | problems | after SFT | after GRPO |", "| --- | --- | --- | --- |"]
    for name, first in before["tasks"].items():
        rates = [each["pass_at"]["1"] for each in (first, after["tasks"][name])]
        shown = " | ".join(
            f"{100 * rate['value']:.1f} % [{100 * rate['low']:.1f}, {100 * rate['high']:.1f}]"
            for rate in rates
        )
        lines.append(f"| `{name}` | {first['problems']} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sft-steps", type=int, default=3000, help="steps of 32 demonstrations (default: 3000)"
    )
    parser.add_argument("--steps", type=int, default=30, help="steps of GRPO (default: 30)")
    parser.add_argument("--prompts", type=int, default=32, help="problems of a step (default: 32)")
    parser.add_argument("--tokens", type=int, default=96, help="most tokens of a completion (default: 96)")
    parser.add_argument("--learning-rate", type=float, default=3e-4, help="of GRPO (default: 3e-4)")
    parser.add_argument("--mixture", default="fixed", help="fixed or progress (default: fixed)")
    parser.add_argument(
        "--problems", type=int, default=400, help="held-out ones, of all tasks (default: 400)"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="0 or more (default: 0)")
    parser.add_argument("--out", default="", help="folder of the run; none: it is thrown away")
    arguments = parser.parse_args()
    out = Path(arguments.out or tempfile.mkdtemp(prefix="mixture-")) / "run"
    begin, used = time.perf_counter(), time.process_time()
    run = train(arguments, out)
    print(run)
    first, *_, last = run.metrics("evaluation")
    print(f"\n{write_table(first, last)}\n")
    wall, processor = time.perf_counter() - begin, time.process_time() - used
    print(f"{wall / 60:.1f} minutes, {processor / 60:.1f} of the processor; seed {arguments.seed}")
    if not arguments.out:
        shutil.rmtree(out.parent)


if __name__ == "__main__":
    main()
