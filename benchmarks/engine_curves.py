"""The learning curve of a run with the local engine beside that of the same run with vLLM, seeds in pairs,
and what each engine's steps are made of.

python benchmarks/engine_curves.py --python PATH [--model ID|smollm2] [--task NAME] [--steps N] [--seeds N]
    [--prompts N] [--group N] [--tokens N] [--rate X] [--set NAME=VALUE]... [--out FOLDER] [--proof]

--proof: one run with vLLM in place of the pairs, in which every second load is not proven: what that saves.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median, stdev

from palaestra.trainer.demos.pretrained.weights import find_weights

ENGINES = ("local", "vllm")
WARM_STEPS = 1  # that are not counted in times
LAST_STEPS = 10  # in which a run has risen
QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Of Student's t at 97.5 %, for 1, 2, ... degrees of freedom."""
EVERY_SECOND = """
import sys
from palaestra.trainer.cli.main import main
from palaestra.trainer.engines.sync import SyncProof

load = SyncProof.load

def load_only(proof, engine, policy, version):
    if version % 2:
        proof.settle()
        proof._report = None
        engine.load(policy, version)
    else:
        load(proof, engine, policy, version)

SyncProof.load = load_only
sys.exit(main(sys.argv[1:]))
"""


def write_flags(options: argparse.Namespace, out: Path, engine: str, seed: int) -> list[str]:
    """The settings of a run: the same for both engines."""
    server = ["--engine-python", options.python] if engine == "vllm" else []
    flags = {
        "--task": options.task, "--model": options.source, "--steps": options.steps, "--seed": seed,
        "--prompts-per-step": options.prompts, "--group-size": options.group, "--engine": engine,
        "--max-new-tokens": options.tokens, "--learning-rate": options.rate, "--eval-problems": 8,
        "--eval-samples": 1, "--eval-every": 0, "--save-every": 0, "--preflight-problems": 0,
        "--watch.extracted-min": 0, "--shadow-share": 0, "--threads": 1, "--dtype": "float32",
        "--sft-steps": options.sft_steps, "--out": out,
    }  # fmt: skip
    if options.source != "embedded":
        del flags["--sft-steps"]
    flags |= {f"--{name}": value for name, _, value in (text.partition("=") for text in options.set)}
    given = [part for name, value in flags.items() for part in (name, str(value))]
    return [*given, *(part for option in options.option for part in ("--option", option)), *server]


def run(
    options: argparse.Namespace,
    engine: str,
    seed: int,
    program: Sequence[str] = ("-m", "palaestra"),
    name: str = "",
) -> list[dict]:
    """The steps of a run; of one that is there already, as it is. name: of its folder."""
    out = options.out / (name or f"{engine}{seed}")
    if not (out / "model").is_dir():
        command = [sys.executable, *program, "train", *write_flags(options, out, engine, seed)]
        code = subprocess.run(
            [*command, "--force"], env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL
        ).returncode
        assert code == 0, f"{' '.join(command)} ended with code {code}"
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "step"]


def print_seconds(engine: str, steps: Sequence[dict]) -> None:
    """What a step takes, and its sync in it."""
    counted = steps[WARM_STEPS:]
    sample, update = (fmean([step["seconds"][name] for step in counted]) for name in ("sample", "update"))
    tokens = fmean([step["tokens_sampled"] for step in counted])
    line = f"  {engine}: {sample + update:.2f} s a step (sampling {sample:.2f}, update {update:.2f}), "
    line += f"{tokens:,.0f} tokens sampled in a step, {tokens / sample:,.0f} a second"
    if engine == "vllm":
        load, proof = (
            fmean([step["sync"][name] for step in counted]) for name in ("load_seconds", "proof_seconds")
        )
        line += f"; load {load:.2f} s, proof {proof:.2f} s after it, beside the sampling"
    print(line)


def compare(options: argparse.Namespace) -> None:
    """Run every pair, print it as it comes, and the difference over the seeds."""
    pairs: dict[str, list[float]] = {"all steps": [], f"the last {LAST_STEPS}": []}
    for seed in range(1, options.seeds + 1):
        rates = {}
        print(f"seed {seed}", flush=True)
        for engine in ENGINES:
            steps = run(options, engine, seed)
            passed = [step["pass_rate"] for step in steps]
            rates[engine] = fmean(passed), fmean(passed[-LAST_STEPS:])
            gap = max(step["logprob_difference_mean"] or 0.0 for step in steps)  # None: nothing to learn from
            print(
                f"  {engine}: pass-rate {rates[engine][0]:.3f}, in the last {LAST_STEPS} steps "
                f"{rates[engine][1]:.3f}, sampler and update {gap:.1e} nats apart at most"
            )
            print_seconds(engine, steps)
            sys.stdout.flush()
        for found, local, vllm in zip(pairs.values(), rates["local"], rates["vllm"], strict=True):
            found.append(vllm - local)
    for name, differences in pairs.items():
        said = describe(differences) if len(differences) > 1 else f"{differences[0]:+.3f}"
        print(f"vLLM less local, pass-rate of {name}, {len(differences)} pairs: {said}")


def measure_proof(options: argparse.Namespace) -> None:
    """What the proof adds to a step: of one run, steps with and without it, their sampling (with load) for
    the same number of tokens."""
    steps = run(options, "vllm", 1, ("-c", EVERY_SECOND), "proof")[WARM_STEPS:]
    of = {proven: [step for step in steps if ("sync" in step) == proven] for proven in (True, False)}
    token = {
        proven: median(step["seconds"]["sample"] / step["tokens_sampled"] for step in some)
        for proven, some in of.items()
    }
    tokens = fmean([step["tokens_sampled"] for step in steps])
    update = median(step["seconds"]["update"] for step in steps)
    added, whole = tokens * (token[True] - token[False]), tokens * token[True] + update
    proof = median(step["sync"]["proof_seconds"] for step in of[True])
    print(
        f"{len(of[True])} steps with the proof, {len(of[False])} without, of {tokens:,.0f} tokens: a step "
        f"takes {whole:.2f} s, of which the proof adds {added:+.3f} s: {added / whole:+.1%} (it is there "
        f"{proof:.2f} s after the load, beside the sampling)"
    )


def describe(differences: Sequence[float]) -> str:
    """The mean of paired differences with its 95 % interval by Student's t: 2 to 10 of them."""
    half = QUANTILES[len(differences) - 2] * stdev(differences) / math.sqrt(len(differences))
    mean = fmean(differences)
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--python", default="", help="interpreter that has vLLM (default: the installed one)")
    parser.add_argument("--model", default="embedded", help="a model, or smollm2 (default: embedded)")
    parser.add_argument("--task", default="addition", help="task (default: addition)")
    parser.add_argument("--option", action="append", default=[], help="of the task, as name=value")
    parser.add_argument("--steps", type=int, default=12, help="steps of a run (default: 12)")
    parser.add_argument(
        "--seeds", type=int, default=3, choices=range(1, 11), help="pairs of runs (default: 3)"
    )
    parser.add_argument("--prompts", type=int, default=16, help="problems of a step (default: 16)")
    parser.add_argument("--group", type=int, default=8, help="completions of a problem (default: 8)")
    parser.add_argument("--tokens", type=int, default=24, help="tokens of a completion (default: 24)")
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate (default: 1e-3)")
    parser.add_argument("--sft-steps", type=int, default=300, help="embedded: of SFT before (default: 300)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a further setting of both runs"
    )
    parser.add_argument("--out", type=Path, help="folder of the runs, kept (default: a temporary one)")
    parser.add_argument("--proof", action="store_true", help="what the proof of a load adds to a step")
    options = parser.parse_args()
    options.source = options.model
    if options.model == "smollm2":
        weights = find_weights("auto", print)
        assert weights is not None, "no place has its weights"
        options.source = weights.source
    with tempfile.TemporaryDirectory() as temporary:
        options.out = options.out or Path(temporary)
        measure_proof(options) if options.proof else compare(options)


if __name__ == "__main__":
    main()
