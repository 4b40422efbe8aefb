"""Time and memory of a GRPO step here and of TRL's GRPOTrainer, on one CPU thread.

Same model, prompts, group size and lengths.

    python benchmarks/grpo_step.py                       # all equal-work workloads, against an installed TRL
    python benchmarks/grpo_step.py --workload 1M-short --rounds 5
    python benchmarks/grpo_step.py --model runs/X/model  # real work: the addition task, a model trained on it
    python benchmarks/grpo_step.py --no-trl              # ours alone
    python benchmarks/grpo_step.py --workload smollm2    # a pretrained model: SmolLM2-135M-Instruct
    LORA_RANK=16 python benchmarks/grpo_step.py --workload smollm2-short --no-trl    # ours by adapters

Every measurement is a process of its own; the sides take turns, `--rounds` times, and medians are compared.
Times are CPU seconds of the process (another program on the machine changes them little), with one thread.
Memory is the highest resident size during the steps less the resident size before the trainer is made
(libraries and model are loaded by then).

Equal work: a fresh Qwen3-shaped model, or SmolLM2-135M-Instruct, that never ends early, prompts of 32
characters, rewards that differ within each group. TRL runs with its whole batch in one forward pass, once
without gradient checkpointing (`trl`, its fastest) and once with (`trl-ckpt`, its default).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

PROMPT_TOKENS = 32


@dataclass(frozen=True)
class Workload:
    """prompts x group completions of `tokens` tokens by a model of the given shape.

    layers 0: a trained model's folder.  equal: completions never end early, rewards are a hash.
    """

    prompts: int
    group: int
    tokens: int
    equal: bool = True
    layers: int = 0
    hidden: int = 0
    inner: int = 0
    heads: int = 0
    key_heads: int = 0


M1 = {"layers": 3, "hidden": 192, "inner": 512, "heads": 6, "key_heads": 2}
M10 = {"layers": 6, "hidden": 384, "inner": 1152, "heads": 12, "key_heads": 4}
WORKLOADS = {
    "1M-short": Workload(8, 8, 64, **M1),
    "1M-long": Workload(4, 16, 256, **M1),
    "10M-short": Workload(8, 8, 64, **M10),
    "10M-long": Workload(4, 16, 256, **M10),
    "smollm2": Workload(4, 8, 64),
    "smollm2-short": Workload(8, 8, 20),
    "real": Workload(32, 8, 48, equal=False),
}
SIDES = ("palaestra", "trl", "trl-ckpt")


def make_model(workload: Workload, folder: str):
    """The model and its tokenizer: fresh from the shape, or loaded."""
    import torch
    from palaestra.trainer.model.embedded import make_character_tokenizer
    from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    if not workload.layers:
        return AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32
        ), AutoTokenizer.from_pretrained(folder)
    tokenizer = make_character_tokenizer()
    config = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=workload.hidden, intermediate_size=workload.inner,
        num_hidden_layers=workload.layers, num_attention_heads=workload.heads,
        num_key_value_heads=workload.key_heads, head_dim=32, max_position_embeddings=1024,
        tie_word_embeddings=True, initializer_range=0.05, pad_token_id=tokenizer.pad_token_id,
        eos_token_id=None, bos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    return Qwen3ForCausalLM(config), tokenizer


def make_prompts(workload: Workload, step: int) -> list[str]:
    """Texts of a step's prompts, for a fresh model one token a character."""
    import random

    rng = random.Random(step)
    if workload.equal:
        return [
            "".join(rng.choice("abcdefghij ") for _ in range(PROMPT_TOKENS)) for _ in range(workload.prompts)
        ]
    return ["+".join(str(rng.randrange(10, 100)) for _ in range(3)) + "=" for _ in range(workload.prompts)]


def reward_of(workload: Workload, prompt: str, text: str) -> float:
    """Equal work: 0 or 1 by a hash of the text, so that no group is dead.

    Real work: whether the sum is right.
    """
    if workload.equal:
        return float(zlib.crc32(text.encode()) % 2)
    found = re.search(r"<answer>(-?\d+)</answer>\s*$", text)
    return float(found is not None and int(found[1]) == sum(map(int, prompt[:-1].split("+"))))


def resident(field: str) -> float:
    """VmRSS or VmHWM of this process in MiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def start_memory() -> float:
    """Forget the high-water mark so far; the resident size now."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def run_palaestra(workload: Workload, folder: str, steps: int) -> list[dict]:
    import torch
    from palaestra.tasks import Problem, task
    from palaestra.trainer.algorithms.base import Learner
    from palaestra.trainer.algorithms.grpo import GRPO
    from palaestra.trainer.algorithms.update import update_policy
    from palaestra.trainer.config.shared import LoraConfig
    from palaestra.trainer.config.train import TrainConfig
    from palaestra.trainer.engines.local import LocalEngine
    from palaestra.trainer.model import lora
    from palaestra.trainer.model.machine import keep_freed_memory
    from palaestra.trainer.model.optim import adamw
    from palaestra.trainer.model.policy import Policy
    from palaestra.trainer.model.prompts import PromptFormat
    from palaestra.trainer.rollouts.rollouts import Rollouts, make_sampling
    from palaestra.verifiers import Criterion, Rubric, Status, Verdict

    torch.set_num_threads(1)
    model, tokenizer = make_model(workload, folder)
    baseline = start_memory()
    keep_freed_memory()  # as `load_policy` does
    policy = Policy(model, tokenizer, torch.device("cpu"), torch.float32, "benchmark")
    if "LORA_RANK" in os.environ:
        lora.add_adapters(model, LoraConfig(lora_rank=int(os.environ["LORA_RANK"])), 0)

    def check(completion, problem):
        value = reward_of(workload, problem.text, completion.text)
        return Verdict(Status.CORRECT if value else Status.WRONG, value)

    @task("benchmark", rubric=Rubric(Criterion("hash", check)), instruction="")
    def benchmark(rng, level):  # noqa: ARG001
        yield Problem(prompt="", reference="")

    engine = LocalEngine(policy, rows=workload.prompts * workload.group)
    if workload.equal:
        engine.end_ids = []
    rollouts = Rollouts(engine, PromptFormat.of(tokenizer), benchmark, 1024)
    config = TrainConfig.of(
        prompts_per_step=workload.prompts, group_size=workload.group, max_new_tokens=workload.tokens,
        **({"tokens_per_microbatch": int(os.environ["TOKENS"])} if "TOKENS" in os.environ else {}),
    )  # fmt: skip
    learner = Learner(policy, adamw(model, config.optimizer, policy.parameters), GRPO(policy, config))
    results = []
    for step in range(steps):
        problems = [
            Problem(prompt=p, reference="", id=f"p/{step}/{i}")
            for i, p in enumerate(make_prompts(workload, step))
        ]
        times = [(time.process_time(), time.perf_counter())]
        groups = rollouts.sample_groups(problems, workload.group, make_sampling(config.rollouts), step)
        times.append((time.process_time(), time.perf_counter()))
        update_policy(learner, groups, config, step, 1e-6)
        times.append((time.process_time(), time.perf_counter()))
        tokens = sum(len(c.ids) for group in groups for c in group.completions_G)
        results.append(measured(times, tokens, baseline))
    rollouts.close()
    return results


def measured(times: list[tuple[float, float]], tokens: int, baseline: float) -> dict:
    """times: (CPU, wall) before the generation, after it, and after the update."""
    (c0, w0), (c1, w1), (c2, w2) = times
    return {
        "step": c2 - c0, "generation": c1 - c0, "update": c2 - c1, "wall": w2 - w0,
        "wall_generation": w1 - w0, "tokens": tokens, "memory": resident("VmHWM") - baseline,
    }  # fmt: skip


def run_trl(workload: Workload, folder: str, steps: int, checkpointing: bool) -> list[dict]:
    import torch
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    torch.set_num_threads(1)
    model, tokenizer = make_model(workload, folder)
    baseline = start_memory()
    rows = workload.prompts * workload.group
    data = Dataset.from_list([{"prompt": p} for step in range(steps) for p in make_prompts(workload, step)])
    with tempfile.TemporaryDirectory() as out:
        config = GRPOConfig(
            output_dir=out, use_cpu=True, bf16=False, per_device_train_batch_size=rows,
            num_generations=workload.group, max_completion_length=workload.tokens, max_steps=steps,
            learning_rate=1e-6, logging_steps=10**6, report_to=[], save_strategy="no",
            gradient_checkpointing=checkpointing, disable_tqdm=True, shuffle_dataset=False, temperature=1.0,
            seed=0,
        )  # fmt: skip

        def reward(prompts, completions, **_):
            return [reward_of(workload, p, c) for p, c in zip(prompts, completions, strict=True)]

        marks: list[tuple[str, float, float]] = []

        def mark(name: str) -> None:
            marks.append((name, time.process_time(), time.perf_counter()))

        class Clock(TrainerCallback):
            def on_step_begin(self, *_, **__):
                mark("begin")

            def on_step_end(self, *_, **__):
                mark("end")

        trainer = GRPOTrainer(
            model=model,
            args=config,
            reward_funcs=reward,
            train_dataset=data,
            processing_class=tokenizer,
            callbacks=[Clock()],
        )
        if workload.equal:
            trainer.eos_token_ids, trainer.generation_config.eos_token_id = [10**6], [10**6]
        generate = trainer._generate_single_turn
        tokens: list[int] = []

        def timed(*args, **options):
            mark("generate")
            result = generate(*args, **options)
            mark("generated")
            tokens.append(sum(len(ids) for ids in result[0]))
            return result

        trainer._generate_single_turn = timed
        trainer.train()
    results = []
    for step in range(steps):
        named = {name: (cpu, wall) for name, cpu, wall in marks[4 * step : 4 * step + 4]}
        (cg, wg), (ce, we) = named["generate"], named["generated"]
        generation, generation_wall = ce - cg, we - wg
        (cb, wb), (cz, wz) = named["begin"], named["end"]
        times = [(cb, wb), (cb + generation, wb + generation_wall), (cz, wz)]
        results.append(measured(times, tokens[step], baseline))
    return results


def worker(side: str, workload: Workload, folder: str, steps: int) -> None:
    """One measurement in this process: the medians over the steps after the first (which warms up)."""
    if side == "palaestra":
        results = run_palaestra(workload, folder, steps)
    else:
        results = run_trl(workload, folder, steps, checkpointing=side == "trl-ckpt")
    print("RESULT " + json.dumps({key: statistics.median(r[key] for r in results[1:]) for key in results[0]}))


def measure(side: str, name: str, folder: str, steps: int) -> dict:
    command = [
        sys.executable,
        __file__,
        "--worker",
        side,
        "--workload",
        name,
        "--model",
        folder,
        "--steps",
        str(steps),
    ]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise SystemExit(f"{side} on {name} failed:\n{done.stderr[-3000:]}")
    return json.loads(line[7:])


def table(name: str, found: dict[str, list[dict]]) -> None:
    keys = ("step", "generation", "update", "memory")
    medians = {
        side: {key: statistics.median(r[key] for r in rows) for key in rows[0]}
        for side, rows in found.items()
    }
    print(f"\n{name}: {asdict(WORKLOADS[name])}")
    print(
        f"{'':12}" + "".join(f"{k:>12}" for k in ("step s", "generation s", "update s", "peak MiB", "tokens"))
    )
    for side, median in medians.items():
        print(
            f"{side:12}"
            + "".join(f"{median[key]:12.3f}" for key in keys[:3])
            + f"{median['memory']:12.0f}{median['tokens']:12.0f}"
        )
    for side in medians:
        if side != "palaestra":
            ratios = [medians[side][key] / medians["palaestra"][key] for key in keys[:3]]
            share = medians["palaestra"]["memory"] / medians[side]["memory"]
            print(
                f"{side + ' / here':12}"
                + "".join(f"{ratio:11.2f}x" for ratio in ratios)
                + f"{share:11.2f}x (here / {side})"
            )
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", action="append", choices=WORKLOADS, default=None)
    parser.add_argument(
        "--model", default="", help="folder of a model trained on `addition`; adds the workload `real`"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="steps in a process; the first is not counted")
    parser.add_argument("--no-trl", action="store_true")
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=SIDES)
    parser.add_argument("--worker", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, WORKLOADS[options.workload[0]], options.model, options.steps)
        return
    import importlib.util

    sides = [s for s in options.sides if s == "palaestra" or not options.no_trl]
    if importlib.util.find_spec("trl") is None and len(sides) > 1:
        print("trl is not installed: ours alone (pip install trl==1.16.0)")
        sides = ["palaestra"]
    names = options.workload or [name for name in WORKLOADS if WORKLOADS[name].layers or options.model]
    for name in names:
        if name.startswith("smollm2") and not options.model:
            from palaestra.trainer.demos.pretrained.weights import find_weights

            weights = find_weights("auto", print)
            if weights is None:
                raise SystemExit("smollm2 needs its weights: give a folder with --model.")
            options.model = weights.source
        found: dict[str, list[dict]] = {side: [] for side in sides}
        for _ in range(options.rounds):
            for side in sides:
                found[side].append(measure(side, name, options.model, options.steps))
        table(name, found)


if __name__ == "__main__":
    main()
