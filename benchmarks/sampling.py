"""Tokens per second while sampling: our engine, `generate` of transformers, and vLLM, on the same CPU.

    python benchmarks/sampling.py                                   # ours and transformers
    python benchmarks/sampling.py --vllm /path/to/vllm/env/bin/python
    python benchmarks/sampling.py --model FOLDER --prompts 32 --samples 1

Every measurement is a process of its own with the same number of threads; the sides take turns, `--rounds`
times. The model is loaded and has sampled the same batch once before the clock starts. No completion ends
early, so every side draws the same number of tokens; temperature 1, no truncation.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

QUESTION = "What is {} + {}? Explain how you get there."


def make_prompts(count: int) -> list[str]:
    rng = random.Random(0)
    return [QUESTION.format(rng.randrange(100), rng.randrange(100)) for _ in range(count)]


def encode(tokenizer, text: str) -> list[int]:
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False
    )
    return list(tokenizer(chat, add_special_tokens=False).input_ids)


def prepare_palaestra(options) -> Callable[[], int]:
    import palaestra as pal
    import torch

    torch.set_num_threads(options.threads)
    policy = pal.load_policy(options.model, "cpu", "float32")
    engine = pal.LocalEngine(policy, rows=options.prompts * options.samples)
    engine.end_ids = []
    requests = [
        pal.Request(encode(policy.tokenizer, text), options.samples, stream)
        for stream, text in enumerate(make_prompts(options.prompts))
    ]
    sampling = pal.Sampling(max_new_tokens=options.tokens)
    return lambda: sum(len(one.ids) for group in engine.sample(requests, sampling) for one in group)


def prepare_transformers(options) -> Callable[[], int]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(options.threads)
    tokenizer = AutoTokenizer.from_pretrained(options.model, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    prompts = [encode(tokenizer, text) for text in make_prompts(options.prompts)]
    batch = tokenizer.pad({"input_ids": prompts}, return_tensors="pt")
    length = batch["input_ids"].shape[1]

    def sample() -> int:
        drawn = model.generate(
            **batch, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=options.tokens,
            min_new_tokens=options.tokens, num_return_sequences=options.samples,
        )  # fmt: skip
        return (drawn.shape[1] - length) * len(drawn)

    return sample


def prepare_vllm(options) -> Callable[[], int]:
    from vllm import LLM, SamplingParams

    llm = LLM(
        options.model, dtype="float32", max_model_len=1024, max_num_seqs=options.prompts * options.samples
    )
    tokenizer = llm.get_tokenizer()
    prompts = [{"prompt_token_ids": encode(tokenizer, text)} for text in make_prompts(options.prompts)]
    params = SamplingParams(n=options.samples, temperature=1.0, max_tokens=options.tokens, ignore_eos=True)

    def sample() -> int:
        outputs = llm.generate(prompts, params, use_tqdm=False)
        return sum(len(one.token_ids) for output in outputs for one in output.outputs)

    return sample


SIDES = {"palaestra": prepare_palaestra, "transformers": prepare_transformers, "vllm": prepare_vllm}


def work(options) -> None:
    """One side in this process."""
    sample = SIDES[options.worker](options)
    sample()
    began = time.perf_counter()
    tokens = sample()
    print("RESULT " + json.dumps({"tokens": tokens, "seconds": time.perf_counter() - began}))


def measure(side: str, python: str, options) -> float:
    """Tokens per second of one process."""
    command = [python, __file__, "--worker", side]
    for name in ("model", "prompts", "samples", "tokens", "threads"):
        command += [f"--{name}", str(getattr(options, name))]
    environment = os.environ | {
        "OMP_NUM_THREADS": str(options.threads),
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": f"0-{options.threads - 1}",
        "VLLM_CPU_KVCACHE_SPACE": "2",
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise SystemExit(f"{side} failed:\n{done.stderr[-3000:]}")
    found = json.loads(line[7:])
    wanted = options.prompts * options.samples * options.tokens
    if found["tokens"] != wanted:
        raise SystemExit(f"{side} drew {found['tokens']} tokens, not {wanted}.")
    return found["tokens"] / found["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", default="", help="folder; none: SmolLM2-135M-Instruct, as the demo finds it"
    )
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--samples", type=int, default=8, help="completions of each prompt")
    parser.add_argument("--tokens", type=int, default=64, help="of a completion")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vllm", default="", help="Python of an environment that has vLLM")
    parser.add_argument("--worker", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options)
        return
    if not options.model:
        from palaestra.trainer.demos.pretrained.weights import find_weights

        weights = find_weights("auto", print)
        if weights is None:
            raise SystemExit("Give a model's folder with --model.")
        options.model = weights.source
    pythons = {"palaestra": sys.executable, "transformers": sys.executable}
    if options.vllm:
        pythons["vllm"] = options.vllm
    found: dict[str, list[float]] = {side: [] for side in pythons}
    for _ in range(options.rounds):
        for side, python in pythons.items():
            found[side].append(measure(side, python, options))
    ours = statistics.median(found["palaestra"])
    print(
        f"{options.prompts} prompts x {options.samples} x {options.tokens} tokens, {options.threads} threads"
    )
    for side, rates in found.items():
        middle = statistics.median(rates)
        spread = f"({min(rates):.0f} to {max(rates):.0f})"
        print(f"{side:14}{middle:9.0f} tokens/s  {spread:20}  here / it {ours / middle:.2f}")


if __name__ == "__main__":
    main()
