"""The parts of `gpu.py` by their names: those that measure the sampler and the update stand here, what they
share in `gpu_case.py`, whole programs in `gpu_programs.py`. Each is a function that gives figures.

python benchmarks/gpu_parts.py PART FILE [--device cpu --tiny]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import palaestra as pal
import torch
from gpu import Line
from gpu_case import SHAPES, Case, Figures, find_peaks, list_limits, make_policy
from gpu_programs import run_demo, run_tests, run_trl, train_smollm2
from palaestra.trainer.algorithms.base import Learner
from palaestra.trainer.algorithms.batch import Batch
from palaestra.trainer.algorithms.grpo import GRPO
from palaestra.trainer.algorithms.update import add_gradient
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model import fit, optim
from palaestra.trainer.model.captures import Tape
from palaestra.trainer.model.live_bytes import LiveBytes
from palaestra.trainer.model.memory import Bill
from palaestra.trainer.model.policy import Policy, enable_gradient_checkpointing
from palaestra.trainer.model.sequences import Sequences
from palaestra.trainer.objective.losses import count_denominators

GIB = 2**30


def make_engine(policy: Policy, rows: int, record: Any = None) -> pal.LocalEngine:
    """An engine whose completions never end early. record: what records its steps in place of the device."""
    engine = pal.LocalEngine(policy, rows, record=record)
    engine.end_ids = []
    return engine


def make_requests(prompts: int, group: int, length: int = 64) -> list[pal.Request]:
    return [
        pal.Request([3 + (7 * place + number) % 90 for place in range(length)], group, stream=number)
        for number in range(prompts)
    ]


def check_capture(case: Case) -> Figures:
    """Captured steps draw what steps that are not captured draw."""
    policy, tokens = make_policy(case, "0.5B"), 12 if case.tiny else 96
    requests, sampling = make_requests(4, 4), pal.Sampling(max_new_tokens=tokens)
    found = [
        [one for group in make_engine(policy, 16, record).sample(requests, sampling) for one in group]
        for record in (None, Tape)
    ]
    same = sum(one.ids == other.ids for one, other in zip(*found, strict=True))
    gaps = [
        abs(a - b)
        for one, other in zip(*found, strict=True) if one.ids == other.ids
        for a, b in zip(one.logprobs, other.logprobs, strict=True)
    ]  # fmt: skip
    yield Line(
        "completions with the same tokens, captured and not",
        f"{same} of {len(found[0])}",
        "all",
        same == len(found[0]),
    )
    yield Line(
        "largest difference of a log-probability",
        f"{max(gaps, default=float('nan')):.2g} nats",
        "0",
        max(gaps, default=1) == 0,
    )


def measure_decode(case: Case) -> Figures:
    """Tokens a second, as a share of what the memory could be read at: a step reads every weight and the keys
    and values of every row."""
    bandwidth, _ = find_peaks(case)
    tokens, batches = (8, (4, 8)) if case.tiny else (512, (64, 256))
    for name in SHAPES:
        policy = make_policy(case, name)
        config = policy.model.config
        head = config.hidden_size // config.num_attention_heads
        position = 4 * config.num_hidden_layers * config.num_key_value_heads * head  # keys, values; 2 bytes
        weights = 2 * policy.parameters
        for rows in batches:
            engine, requests = make_engine(policy, rows), make_requests(rows // 4, 4)
            engine.sample(requests, pal.Sampling(max_new_tokens=min(tokens, 72)))
            seconds = case.time(lambda: engine.sample(requests, pal.Sampling(max_new_tokens=tokens)))  # noqa: B023
            read = tokens * (weights + rows * position * (64 + tokens / 2))
            share = read / bandwidth / seconds
            target = "50 % of the bandwidth" if rows == 256 else ""
            yield Line(
                f"{name}, {rows} rows, {tokens} tokens",
                f"{rows * tokens / seconds:,.0f} tokens/s, {share:.1%} of the bandwidth",
                target,
                share >= 0.5 if target and not case.tiny else None,
            )


def make_batch(case: Case, rows: int, prompt: int, completion: int) -> Batch:
    """Rows that share a prompt eight by eight and nothing behind it."""
    size = 500 if case.tiny else 150_000
    prompts = [[3 + (row // 8 + place) % 90 for place in range(prompt)] for row in range(rows)]
    texts = [
        [(7919 * place + 104729 * row + row) % size for place in range(completion)] for row in range(rows)
    ]
    sequences = Sequences.of(prompts, texts, case.device)
    mask_BT, zeros_B = sequences.mask_BT, torch.zeros(rows, device=case.device)
    advantages_BT = torch.linspace(-1, 1, rows, device=case.device)[:, None] * mask_BT
    return Batch(
        sequences, 8, -9 * mask_BT.float(), zeros_B, zeros_B.bool(), zeros_B.bool(),
        advantages_BT=advantages_BT, mask_BT=mask_BT,
    )  # fmt: skip


def measure_update(case: Case) -> Figures:
    """Operations a second of an update as a share of the peak (MFU, Chowdhery et al. 2022, arXiv:2204.02311):
    6 for each weight and distinct token, and attention's, whatever is computed twice."""
    _, peak = find_peaks(case)
    rows, prompt, completion = (8, 8, 8) if case.tiny else (64, 64, 512)
    tokens_a_batch = 64 if case.tiny else 16384
    for name in SHAPES:
        policy, config = make_policy(case, name), TrainConfig()
        model = policy.model
        if not case.tiny:
            enable_gradient_checkpointing(model)
        batch = make_batch(case, rows, prompt, completion)
        learner = Learner(
            policy, optim.adamw(model, config.optimizer, policy.parameters), GRPO(policy, config)
        )
        denominators = count_denominators(batch.mask_BT, completion)

        def run() -> None:
            add_gradient(learner, batch, denominators, tokens_a_batch)  # noqa: B023
            optim.update(model, learner.optimizer, 1e-6, 1.0)  # noqa: B023

        case.time(run)
        seconds = min(case.time(run) for _ in range(2))
        distinct = rows * completion + rows // 8 * prompt
        shape = model.config
        attention = 6 * shape.num_hidden_layers * shape.hidden_size * rows * (prompt + completion) ** 2
        flops = 6 * policy.parameters * distinct + attention
        share = flops / seconds / peak
        yield Line(
            f"{name}, {rows} rows of {prompt} + {completion} tokens",
            f"{seconds:.2f} s, {distinct / seconds:,.0f} tokens/s, {share:.1%} of the peak",
            "40 %",
            None if case.tiny else share >= 0.4,
        )


STEP = {
    "task": "addition", "prompts_per_step": 32, "group_size": 8, "max_new_tokens": 512, "steps": 3,
    "max_prompt_tokens": 256, "control": "random", "force": True, "preflight_problems": 0, "eval_problems": 8,
    "eval_samples": 1, "eval_every": 0, "save_every": 0, "moments": "8bit", "dtype": "bfloat16",
    "gradient_checkpointing": True,
}  # fmt: skip
TINY_STEP = {"prompts_per_step": 2, "group_size": 2, "max_new_tokens": 8, "eval_problems": 2, "rows": 4}


def measure_step(case: Case) -> Figures:
    """A whole GRPO step of the 0.5B shape, second by second, and the most memory it held beside its bill."""
    policy = make_policy(case, "0.5B")
    plan, bills = fit.plan, list[Bill]()

    def planned(*arguments: Any, **settings: Any) -> Bill:
        bills.append(plan(*arguments, **settings))
        if case.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(case.device)
        meter.peak = meter.live
        return bills[-1]

    fit.plan = planned
    meter = LiveBytes(case.device, [*policy.model.parameters(), *policy.model.buffers()])
    with tempfile.TemporaryDirectory() as folder:
        settings = {**STEP, **(TINY_STEP if case.tiny else {}), "out": f"{folder}/run"}
        settings |= {"device": case.device.type, "weights": "bfloat16"}
        if case.device.type == "cpu":
            with meter:
                result = pal.train(policy=policy, say=lambda _line: None, **settings)
            peak = meter.peak
        else:
            result = pal.train(policy=policy, say=lambda _line: None, **settings)
            peak = torch.cuda.max_memory_allocated(case.device)
        steps = result.metrics()
    last = steps[-1]
    for phase, seconds in last["seconds"].items():
        yield Line(f"a step's {phase}", f"{seconds:.2f} s")
    yield Line("a step", f"{sum(last['seconds'].values()):.2f} s, {last['tokens_per_second']:,.0f} tokens/s")
    yield Line("sampler and update apart", f"{last['logprob_difference_mean']:.2g} nats on average")
    total = bills[-1].total
    close = abs(total / peak - 1) <= 0.15
    yield Line(
        "bill and peak",
        f"{total / GIB:.2f} and {peak / GIB:.2f} GiB, {total / peak - 1:+.0%}",
        "within 15 %",
        None if case.tiny else close,
    )


PARTS: dict[str, Callable[[Case], Figures]] = {
    "limits": list_limits,
    "capture": check_capture,
    "decode": measure_decode,
    "update": measure_update,
    "step": measure_step,
    "tests": run_tests,
    "smollm2": train_smollm2,
    "demo": run_demo,
    "trl": run_trl,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("file", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--model", default="")
    options = parser.parse_args()
    case = Case(torch.device(options.device), options.tiny, options.model)
    with options.file.open("a", encoding="utf-8") as file:
        for line in PARTS[options.part](case):  # each is there, whatever becomes of the next
            file.write(json.dumps(asdict(line)) + "\n")
            file.flush()


if __name__ == "__main__":
    main()
