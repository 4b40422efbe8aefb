"""The parts of `gpu.py`: what each measures, and against what. Each is a function that gives figures.

python benchmarks/gpu_parts.py PART FILE [--device cpu --tiny]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import palaestra as pal
import torch
from gpu import ROOT, Line
from palaestra.trainer.algorithms.base import Learner
from palaestra.trainer.algorithms.batch import Batch
from palaestra.trainer.algorithms.grpo import GRPO
from palaestra.trainer.algorithms.update import add_gradient
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model import memory, optim
from palaestra.trainer.model.captures import Tape
from palaestra.trainer.model.live_bytes import LiveBytes
from palaestra.trainer.model.policy import Policy, enable_gradient_checkpointing, hold_in
from palaestra.trainer.model.sequences import Sequences
from palaestra.trainer.objective.losses import count_denominators
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config

GIB = 2**30
PEAKS = {
    # words in a card's name -> (bytes a second of its memory, dense bfloat16 operations a second), as sold
    "H200": (4.8e12, 989e12),
    "H100 PCIe": (2.0e12, 756e12),
    "H100": (3.35e12, 989e12),
    "A100": (1.94e12, 312e12),
    "L40S": (0.864e12, 362e12),
    "RTX 4090": (1.008e12, 165e12),
}
Figures = Iterator[Line]


@dataclass(frozen=True)
class Case:
    """device: that is measured.  tiny: reduced, to see that it runs.  model: folder of SmolLM2, or ""."""

    device: torch.device
    tiny: bool
    model: str

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def time(self, run: Callable[[], object]) -> float:
        """Seconds of one run."""
        self.wait()
        began = time.perf_counter()
        run()
        self.wait()
        return time.perf_counter() - began


SHAPES = {"0.5B": (896, 4864, 24, 14, 2), "1.5B": (1536, 8960, 28, 12, 2)}  # of Qwen2.5
TINY = {"0.5B": (64, 176, 2, 4, 2), "1.5B": (64, 192, 3, 4, 2)}


def make_tokenizer(size: int) -> PreTrainedTokenizerFast:
    """Every character of prompts, and words up to `size`: what is said does not matter here."""
    characters = ["<pad>", "<eos>", "<unk>", "\n", *map(chr, range(32, 127))]
    words = {
        word: place
        for place, word in enumerate([*characters, *(f"w{n}" for n in range(size - len(characters)))])
    }
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )


def make_policy(case: Case, name: str, weights: torch.dtype = torch.bfloat16) -> Policy:
    """A model of a shape of Qwen2.5 with random weights, in bfloat16."""
    hidden, inner, layers, heads, kv_heads = (TINY if case.tiny else SHAPES)[name]
    config = Qwen2Config(
        vocab_size=512 if case.tiny else 151_936, hidden_size=hidden, intermediate_size=inner,
        num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv_heads,
        tie_word_embeddings=True, max_position_embeddings=32768, eos_token_id=1, pad_token_id=0,
        bos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    with torch.device(case.device):
        model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    hold_in(model, weights)
    return Policy(model.eval(), make_tokenizer(config.vocab_size), case.device, torch.bfloat16, name)


def find_peaks(case: Case) -> tuple[float, float]:
    """Bytes and bfloat16 operations a second, as sold; measured here where the card is not known."""
    name = torch.cuda.get_device_name(case.device) if case.device.type == "cuda" else ""
    for words, peaks in PEAKS.items():
        if all(word in name for word in words.split()):
            return peaks
    return measure_bandwidth(case), measure_products(case)


def measure_bandwidth(case: Case) -> float:
    """Bytes a second of a copy, read and written."""
    source = torch.empty((1 << 22) if case.tiny else 1 << 30, dtype=torch.uint8, device=case.device)
    target = torch.empty_like(source)
    case.time(lambda: target.copy_(source))
    times = [case.time(lambda: target.copy_(source)) for _ in range(10)]
    return 2 * source.numel() / min(times)


def measure_products(case: Case) -> float:
    """Operations a second of a product of two square matrices in bfloat16."""
    size = 256 if case.tiny else 8192
    left, right = torch.randn(2, size, size, device=case.device, dtype=torch.bfloat16)
    case.time(lambda: left @ right)
    return 2 * size**3 / min(case.time(lambda: left @ right) for _ in range(10))


def list_limits(case: Case) -> Figures:
    """What the card gives to the operations that everything else is made of."""
    yield Line("copy of 1 GiB", f"{measure_bandwidth(case) / 1e12:.3f} TB/s")
    yield Line("product of 8192 x 8192 in bfloat16", f"{measure_products(case) / 1e12:.1f} TFLOP/s")
    bandwidth, operations = find_peaks(case)
    yield Line("taken as limits", f"{bandwidth / 1e12:.2f} TB/s, {operations / 1e12:.0f} TFLOP/s")


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
    plan, bills = memory.plan, list[memory.Bill]()

    def planned(*arguments: Any, **settings: Any) -> memory.Bill:
        bills.append(plan(*arguments, **settings))
        if case.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(case.device)
        meter.peak = meter.live
        return bills[-1]

    memory.plan = planned
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
