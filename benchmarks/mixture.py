"""Eight procedural tasks at once: the embedded model, by SFT on their demonstrations, then by GRPO on their
rewards; the held-out pass-rate on each before and after GRPO, and the gain on the same problems.

    python benchmarks/mixture.py                 # minutes; what was measured: docs/tasks.md
    python benchmarks/mixture.py --sft-steps 300 --steps 20 --problems 80

SFT is short: the model knows more of each task than it mostly says, which is what GRPO then makes a habit.
Times are of the processor as well: on a busy machine the other one says little.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import palaestra as pal
import torch
from palaestra.trainer.config.shared import PromptConfig
from palaestra.trainer.evaluation.evaluate import Evaluation
from palaestra.trainer.intervals import paired_difference, pass_at_k
from palaestra.trainer.model.prompts import PromptFormat
from palaestra.trainer.runs.state import RunResult
from palaestra.trainer.sft.fit import draw_training_problems, encode_demonstrations, fit
from palaestra.trainer.storage.atomic import write_folder

# Short prompts and answers: a model of 0.39 M parameters reads a sign at a time.
TASKS = (
    "addition", "small_numbers@1", "gcd@1", "derivatives@1", "countdown@1", "sorting@1",
    "sudoku@1", "frozen_lake_plan@1",
)  # fmt: skip
OPTIONS = {
    "addition": {"operands": 2, "digits": 2},
    "sorting": {"largest": 9},
    "countdown": {"largest": 9},
}
# Of the demonstrations: SFT averages over tokens, and an answer of two signs has little to say there.
SHARES = {"small_numbers": 3.0, "gcd": 2.0, "countdown": 2.0}
# The columns of a sum are worked before its answer; of the others the demonstrations show the answer alone.
WORKED = ("addition",)
WORK = re.compile(r"<think>.*?</think>", re.DOTALL)


def make_mixture() -> pal.Mixture:
    """The tasks, easy ones, with short demonstrations."""
    components = []
    for label in TASKS:
        name, _, level = label.partition("@")
        task = pal.tasks.get(name).with_options(OPTIONS.get(name, {}))
        shown = replace(task, demonstrate=show_briefly(task))
        weight = SHARES.get(name, 1.0)
        components.append(pal.Component(shown, weight, int(level) if level else None))
    return pal.mix(components)


def show_briefly(task: pal.Task) -> Callable[[pal.Problem, random.Random], str]:
    """The task's solution, without its work where the answer comes as well without."""

    def demonstrate(problem: pal.Problem, _rng: random.Random) -> str:
        solution = task.solution(problem)
        return solution if task.name in WORKED else WORK.sub("", solution)

    return demonstrate


def imitate(mixture: pal.Mixture, arguments: argparse.Namespace, out: Path) -> pal.Policy:
    """A fresh embedded model after SFT, which is kept in `out`."""
    policy = pal.load_policy("embedded", seed=arguments.seed)
    settings = pal.SFTConfig.of(seed=arguments.seed, steps=arguments.sft_steps)
    problems = draw_training_problems(mixture, min(20_000, 32 * arguments.sft_steps), arguments.seed, None)
    prompts = PromptFormat.of(policy.tokenizer, PromptConfig(instruction=""))
    data = encode_demonstrations(prompts, mixture, problems, arguments.seed, settings.imitation.max_tokens)
    fit(policy, mixture, data, settings)
    write_folder(out, policy.save)
    return policy


def train(policy: pal.Policy, arguments: argparse.Namespace, out: Path) -> RunResult:
    """GRPO on all of the tasks, with an evaluation before and after it."""
    return pal.train(
        policy=policy,
        task=",".join(TASKS),
        option=tuple(
            f"{task}.{name}={value}" for task, each in OPTIONS.items() for name, value in each.items()
        ),
        instruction="",
        out=str(out),
        seed=arguments.seed,
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
        **{"advantages.scale": "group", "loss.aggregate": "sequence_mean"},
    )


def count_passes(mixture: pal.Mixture, evaluation: Evaluation) -> dict[str, dict[str, list[bool]]]:
    """For each task whether each completion passed, by what its problem asks.

    Easy problems come again, worded or ordered otherwise; such a pair is one problem here, or the intervals
    would be too narrow.
    """
    passes: dict[str, dict[str, list[bool]]] = {}
    for group in evaluation.groups:
        asked = passes.setdefault(mixture.find_label(group.problem), {})
        asked.setdefault(group.problem.key, []).extend(score.passed for score in group.scores_G)
    return passes


def write_table(mixture: pal.Mixture, before: Evaluation, after: Evaluation) -> str:
    """A row for each task: pass@1 before, after, and the gain on the same problems, with 95 % intervals."""
    lines = ["| task | problems | before GRPO | after it | gain |", "| --- | --- | --- | --- | --- |"]
    second = count_passes(mixture, after)
    for label, first in count_passes(mixture, before).items():
        rates, cells = [], []
        for passes in (first, second[label]):
            counts = [(sum(passes[key]), len(passes[key])) for key in first]
            rates.append([passed / samples for passed, samples in counts])
            cells.append(str(pass_at_k([passed for passed, _ in counts], [samples for _, samples in counts])))
        gain = paired_difference(*rates)
        lines.append(f"| `{label}` | {len(first)} | {cells[0]} | {cells[1]} | {gain} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sft-steps", type=int, default=1000, help="steps of 32 demonstrations (default: 1000)"
    )
    parser.add_argument(
        "--model",
        default="",
        help="folder or hub id of one to train as it is; none: the embedded one, by SFT",
    )
    parser.add_argument("--steps", type=int, default=450, help="steps of GRPO (default: 450)")
    parser.add_argument("--prompts", type=int, default=128, help="problems of a step (default: 128)")
    parser.add_argument("--tokens", type=int, default=48, help="most tokens of a completion (default: 48)")
    parser.add_argument("--learning-rate", type=float, default=4e-4, help="of GRPO (default: 4e-4)")
    parser.add_argument("--mixture", default="fixed", help="fixed or progress (default: fixed)")
    parser.add_argument(
        "--problems", type=int, default=2400, help="held-out ones, of all tasks (default: 2400)"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="0 or more (default: 0)")
    parser.add_argument("--out", default="", help="folder of the run; none: it is thrown away")
    arguments = parser.parse_args()
    out = Path(arguments.out or tempfile.mkdtemp(prefix="mixture-"))
    begin, used = time.perf_counter(), time.process_time()
    torch.set_num_threads(arguments.threads)
    mixture = make_mixture()
    if arguments.model:
        policy = pal.load_policy(arguments.model, seed=arguments.seed)
    else:
        policy = imitate(mixture, arguments, out / "sft")
        print(f"SFT took {time.process_time() - used:.0f} s of the processor.")
    run = train(policy, arguments, out / "run")
    print(run)
    first, *_, last = run.evaluations
    for how in ("sampled", "greedy"):
        print(f"\nPass@1, {how}:\n\n{write_table(mixture, getattr(first, how), getattr(last, how))}")
    wall, processor = time.perf_counter() - begin, time.process_time() - used
    print(f"\n{wall / 60:.1f} minutes, {processor / 60:.1f} of the processor; seed {arguments.seed}")
    if not arguments.out:
        shutil.rmtree(out)


if __name__ == "__main__":
    main()
