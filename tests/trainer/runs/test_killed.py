"""A run that is killed at any moment resumes, and ends in the weights of one that never stopped."""

import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ..support.runs import EACH_STEP, have_same_weights

# The moments are counted in processor time of the run, from a checkpoint on, so that no load of the machine
# moves them. The kernel ends the process where it is, as kill -9 does, and while it writes, too: nothing
# handles SIGPROF.
COMMAND = """
import os, re, signal, sys, time
from palaestra.trainer.cli.main import main

step, seconds, begun = int(sys.argv[1]), float(sys.argv[2]), []

def look(event, arguments):
    if event != "os.rename":
        return
    written = re.fullmatch(r"step-(\\d+)", os.path.basename(os.fspath(arguments[1])))
    if written and int(written[1]) >= step and not begun:
        begun.append(time.process_time())
        signal.setitimer(signal.ITIMER_PROF, seconds)

sys.addaudithook(look)
code = main(sys.argv[3:])
print(f"{time.process_time() - begun[0]:.3f} s from checkpoint {step} on" if begun else "no checkpoint")
sys.exit(code)
"""
SMALL = [*EACH_STEP, "--max-new-tokens=24", "--eval-problems=5", "--eval-every=4"]
NEVER = 0.0  # seconds for which no timer is set
PATIENCE_S = 1200  # of a run on a machine that has other things to do


def run(*arguments: str, step: int = 1, seconds: float = NEVER) -> subprocess.CompletedProcess[str]:
    """One command, killed `seconds` of its processor time after it began to put a checkpoint of `step` or
    later in its place."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND, str(step), f"{seconds:.6f}", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
    )


@pytest.mark.parametrize(
    ("kills", "background"),
    [(3, "no"), (3, "yes"), *(pytest.param(30, way, marks=pytest.mark.slow) for way in ("no", "yes"))],
)
def test_a_run_killed_at_random_moments_always_resumes_and_ends_in_the_same_weights(
    warm_model: Path, tmp_path: Path, kills: int, background: str
):
    """At seeded moments of the steps and of the saving: a checkpoint is written at every step, by the run
    itself or beside it."""
    rng, steps, whole, out = random.Random(kills), 4 * kills + 4, tmp_path / "whole", tmp_path / "run"
    start = ["train", "--model", str(warm_model), *SMALL, "--steps", str(steps)]
    start += ["--background-saving", background, "--out"]
    done = run(*start, str(whole))
    assert done.returncode == 0, done.stdout
    taken = re.search(r"(\S+) s from checkpoint 1 on", done.stdout)
    assert taken
    seconds_per_step = float(taken[1]) / (steps - 1)
    for kill in range(kills):
        command = start if kill == 0 else ["resume"]
        after = rng.uniform(0.001, 2 * seconds_per_step)
        killed = run(*command, str(out), step=4 * kill + 1, seconds=after)
        assert killed.returncode == -signal.SIGPROF, killed.stdout
    done = run("resume", str(out))
    assert done.returncode == 0, done.stdout
    assert have_same_weights(whole / "model", out / "model")
