"""The parts of `gpu.py` that are whole programs: the tests of a card, trainings, the demo, TRL."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import palaestra as pal
import torch
from gpu import ROOT, Line
from gpu_case import Case, Figures, make_policy


def run_command(command: list[str], **environment: str) -> str:
    """What a command says. Raises RuntimeError with its last words where it fails."""
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | environment, check=False
    )
    if done.returncode:
        raise RuntimeError((done.stdout + done.stderr)[-1500:])
    return done.stdout


def run_tests(case: Case) -> Figures:
    """The tests that need a card; on a CPU the same tests, which run anywhere."""
    device = {"PALAESTRA_TEST_DEVICE": case.device.type}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "gpu",
        "-p",
        "no:cacheprovider",
        "tests/test_gpu.py",
    ]
    said = run_command(command, **device)
    yield Line("tests that need a card", said.strip().splitlines()[-1], "all pass", "failed" not in said)


def train_smollm2(case: Case) -> Figures:
    """SmolLM2-135M-Instruct on sums, in bfloat16, all weights."""
    if not case.model and not case.tiny:
        yield Line("left out", "No --model FOLDER was given.")
        return
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "task": "addition", "steps": 1 if case.tiny else 12, "prompts_per_step": 2 if case.tiny else 16,
            "group_size": 2 if case.tiny else 8, "max_new_tokens": 8 if case.tiny else 64,
            "dtype": "bfloat16", "eval_problems": 2 if case.tiny else 64, "eval_samples": 1,
            "eval_every": 0, "save_every": 0, "device": case.device.type, "force": True,
            "out": f"{folder}/run", "sft_steps": 1,
        }  # fmt: skip
        result = pal.train(model=case.model or "embedded", say=lambda _line: None, **settings)
        first, *_, last = result.evaluations
        step = result.metrics()[-1]
    yield Line("held-out pass@1", f"{first.sampled.headline} before, {last.sampled.headline} after")
    yield Line("a step", f"{sum(step['seconds'].values()):.2f} s, {step['tokens_per_second']:,.0f} tokens/s")


def run_demo(case: Case) -> Figures:
    """`make demo`: a real model learns from a program that checks it."""
    if not case.model and not case.tiny:
        yield Line("left out", "No --model FOLDER was given.")
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "palaestra.trainer.cli.main", "demo"]
        if case.tiny:
            command += [
                "ice_cream",
                "--sft-steps",
                "2",
                "--reward-model-steps",
                "1",
                "--steps",
                "1",
                "--threads",
                "1",
            ]
        else:
            command += ["pretrained", "--model", case.model]
        began = time.perf_counter()
        said = run_command([*command, "--out", f"{folder}/demo"])
        seconds = time.perf_counter() - began
    yield Line("all of it", f"{seconds:.0f} s")
    yield Line("its last words", said.strip().splitlines()[-1][:200].replace("|", "/"))


def run_trl(case: Case) -> Figures:
    """TRL's GRPOTrainer on the work of `step`: the same shape, 32 x 8 completions of 512 tokens, with vLLM in
    the same process where that is installed."""
    if importlib.util.find_spec("trl") is None:
        yield Line("left out", "TRL is not installed.")
        return
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    prompts, group, tokens, steps = (2, 2, 8, 2) if case.tiny else (32, 8, 512, 3)
    policy, vllm = make_policy(case, "0.5B", torch.float32), importlib.util.find_spec("vllm") is not None
    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            case.wait()
            times.append(-time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            case.wait()
            times[-1] += time.perf_counter()

    folder = tempfile.mkdtemp()
    policy.save(Path(folder))
    config = GRPOConfig(
        output_dir=f"{folder}/out", use_cpu=case.device.type == "cpu", bf16=case.device.type == "cuda",
        per_device_train_batch_size=min(32, prompts * group),
        gradient_accumulation_steps=max(1, prompts * group // 32), num_generations=group,
        max_completion_length=tokens, max_steps=steps, learning_rate=1e-6, logging_steps=10**6, report_to=[],
        save_strategy="no", disable_tqdm=True, gradient_checkpointing=True, seed=0,
        **({"use_vllm": True, "vllm_mode": "colocate"} if vllm else {}),
    )  # fmt: skip
    data = Dataset.from_list([{"prompt": "Add the two numbers: 12 + 34 ="}] * (prompts * steps))
    trainer = GRPOTrainer(
        model=folder, args=config, train_dataset=data, processing_class=policy.tokenizer, callbacks=[Clock()],
        reward_funcs=lambda completions, **_: [float(hash(text) % 2) for text in completions],
    )  # fmt: skip
    trainer.train()
    shutil.rmtree(folder, ignore_errors=True)
    engine = "vLLM in the same process" if vllm else "its own generate"
    yield Line(f"TRL's step with {engine}", f"{min(times[1:] or times):.2f} s", "ours no slower")
