"""Does it still learn? Three runs of the embedded recipe against runs that were recorded.

    python benchmarks/learn_check.py                 # three seeds that are not among the recorded ones
    python benchmarks/learn_check.py --record 16     # record anew, after a change for the better

A run is SFT from nothing, then GRPO, on two-digit sums (`RECIPE`). Two numbers are looked at: the held-out
pass@1 that SFT ends with, and the points that GRPO adds to it. Fails (exit code 1) where the mean of the
three runs lies below the one-sided 99.5 % prediction interval for the mean of three more runs like the
recorded ones: what is as good as ever then fails once in 200 times for each number.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import palaestra as pal

RECORDED = Path(__file__).with_suffix(".json")
RECIPE = {
    "task": "addition", "option": ("operands=2", "digits=2"), "sft_steps": 300, "steps": 60,
    "prompts_per_step": 8, "group_size": 8, "max_new_tokens": 48, "eval_problems": 200, "eval_samples": 2,
    "eval_every": 0, "save_every": 0, "keep": 1, "threads": 1, "device": "cpu", "dtype": "float32",
}  # fmt: skip
FIRST_SEED, SEEDS = 1000, 3
CONFIDENCE = 0.995  # one-sided
T_DRAWS = 2_000_000


@dataclass(frozen=True)
class Outcome:
    """Of one run. start: held-out pass@1 after SFT, sampled, in [0, 1].  gain: what GRPO added to it."""

    seed: int
    start: float
    gain: float


@dataclass(frozen=True)
class Finding:
    """mean: of the new runs.  least: what it must not be below.  recorded: mean of the recorded runs."""

    name: str
    mean: float
    least: float
    recorded: float

    @property
    def holds(self) -> bool:
        return self.mean >= self.least

    def __str__(self) -> str:
        word = "as good as recorded" if self.holds else "WORSE than recorded"
        return (
            f"{self.name}: {self.mean:.3f}, at least {self.least:.3f} (recorded {self.recorded:.3f}): {word}"
        )


def run_once(seed: int, **changes: object) -> Outcome:
    """One run in a folder that is removed. changes: of the recipe."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {**RECIPE, "seed": seed, "out": f"{folder}/run", **changes}
        first, *_, last = pal.train(say=lambda _line: None, **settings).evaluations
    start, end = (each.sampled.pass_at[1].value for each in (first, last))
    return Outcome(seed, start, end - start)


def find_t(freedom: int, confidence: float = CONFIDENCE) -> float:
    """Quantile of Student's t, by drawing: to about 1 %, and without a further package."""
    return float(np.quantile(np.random.default_rng(0).standard_t(freedom, T_DRAWS), confidence))


def compare(new: Sequence[Outcome], recorded: Sequence[Outcome]) -> list[Finding]:
    """Each number's mean over the new runs against the prediction interval of the recorded ones.

    Raises ValueError for fewer than two recorded runs.
    """
    if len(recorded) < 2:
        raise ValueError("Two recorded runs or more make a distribution; run with --record 16.")
    findings = []
    factor = find_t(len(recorded) - 1) * math.sqrt(1 / len(new) + 1 / len(recorded))
    for name in ("start", "gain"):
        before = [getattr(outcome, name) for outcome in recorded]
        mean = fmean(getattr(outcome, name) for outcome in new)
        findings.append(Finding(name, mean, fmean(before) - factor * stdev(before), fmean(before)))
    return findings


def read_recorded(path: Path = RECORDED) -> list[Outcome]:
    """The recorded runs. Raises ValueError where they are of another recipe."""
    values = json.loads(path.read_text(encoding="utf-8"))
    if values["recipe"] != json.loads(json.dumps(RECIPE)):
        raise ValueError(f"{path} was recorded with another recipe; run with --record 16.")
    return [Outcome(**outcome) for outcome in values["runs"]]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", type=int, default=0, help="runs to record anew, 2 or more; 0 checks")
    parser.add_argument("--learning-rate", type=float, help="of GRPO, to see the check fail")
    options = parser.parse_args()
    changes = {"learning_rate": options.learning_rate} if options.learning_rate else {}
    start = time.perf_counter()
    seeds = range(options.record) if options.record else range(FIRST_SEED, FIRST_SEED + SEEDS)
    outcomes = []
    for seed in seeds:
        outcomes.append(run_once(seed, **changes))
        print(
            f"seed {seed}: pass@1 {outcomes[-1].start:.3f} after SFT, {outcomes[-1].gain:+.3f} by GRPO",
            flush=True,
        )
    print(f"{time.perf_counter() - start:.0f} s")
    if options.record:
        values = {"recipe": RECIPE, "runs": [asdict(outcome) for outcome in outcomes]}
        RECORDED.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        return 0
    findings = compare(outcomes, read_recorded())
    print("\n".join(map(str, findings)))
    return 0 if all(finding.holds for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
