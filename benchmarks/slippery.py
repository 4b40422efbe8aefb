"""Slippery frozen lakes of 4 x 4 fields against value iteration: the embedded model, by SFT on the best
walks, then by GRPO on where its own walks end; its mean reward on lakes never seen beside the optimum.

    python benchmarks/slippery.py                 # minutes; what was measured: docs/worlds.md
    python benchmarks/slippery.py --sft-steps 100 --steps 10 --lakes 50

The optimum is exact: what the best walk expects on these lakes. What was earned is a mean of as many walks,
with its 95 % interval over the lakes. Times are of the processor as well: on a busy machine the other one
says little.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import fmean

import palaestra as pal

OPTIONS = ("slippery=true",)
TOKENS = 900  # of an episode: 32 steps of 24 tokens, the lake included, fit


def warm_up(arguments: argparse.Namespace, out: Path) -> Path:
    """SFT on the walks of value iteration; the folder of the model."""
    return pal.sft(
        task="frozen_lake",
        option=OPTIONS,
        level=1,
        out=str(out / "sft"),
        seed=arguments.seed,
        steps=arguments.sft_steps,
        demonstrations=arguments.demonstrations,
        eval_problems=16,
        eval_every=0,
        save_every=0,
        threads=arguments.threads,
        say=lambda _line: None,
    ).model


def train(arguments: argparse.Namespace, model: Path, out: Path) -> pal.trainer.runs.state.RunResult:
    """GRPO from there, with an evaluation before and after."""
    return pal.train(
        task="frozen_lake",
        option=OPTIONS,
        level=1,
        model=str(model),
        out=str(out / "grpo"),
        seed=arguments.seed,
        steps=arguments.steps,
        prompts_per_step=16,
        group_size=8,
        max_new_tokens=TOKENS,
        learning_rate=arguments.learning_rate,
        eval_problems=arguments.lakes,
        eval_samples=4,
        eval_every=0,
        save_every=0,
        preflight_problems=0,
        threads=arguments.threads,
        say=lambda _line: None,
    )


def write_table(first: pal.trainer.runs.state.Evaluations, last: pal.trainer.runs.state.Evaluations) -> str:
    """Mean rewards: with 0 in a hole that is the pass-rate."""
    optimum = fmean(group.problem.metadata["optimum"] for group in first.greedy.groups)
    lines = [
        "| | greedy | sampled | of the optimum, greedy |",
        "| --- | --- | --- | --- |",
    ]
    for name, each in (("after SFT", first), ("then GRPO", last)):
        greedy, sampled = each.greedy.pass_at[1], each.sampled.pass_at[1]
        lines.append(f"| {name} | {greedy} | {sampled} | {greedy.value / optimum:.0%} |")
    return "\n".join([*lines, f"| value iteration | {optimum:.1%} | | 100% |"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sft-steps", type=int, default=200, help="steps of 32 walks (default: 200)")
    parser.add_argument("--demonstrations", type=int, default=2000, help="lakes shown (default: 2000)")
    parser.add_argument("--steps", type=int, default=25, help="steps of GRPO, 16 x 8 walks (default: 25)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="of GRPO (default: 1e-3)")
    parser.add_argument("--lakes", type=int, default=150, help="lakes never seen (default: 150)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.add_argument("--out", help="folder to keep; default: one that is removed")
    arguments = parser.parse_args()
    out = Path(arguments.out or tempfile.mkdtemp(prefix="slippery-"))
    began, processor = time.perf_counter(), time.process_time()
    try:
        model = warm_up(arguments, out)
        print(f"SFT took {time.process_time() - processor:.0f} s of the processor.", flush=True)
        result = train(arguments, model, out)
    finally:
        if not arguments.out:
            shutil.rmtree(out, ignore_errors=True)
    print(write_table(result.evaluations[0], result.evaluations[-1]))
    spent = time.process_time() - processor
    print(
        f"\n{time.perf_counter() - began:.0f} s, {spent:.0f} of the processor, {arguments.threads} thread(s)"
    )


if __name__ == "__main__":
    main()
