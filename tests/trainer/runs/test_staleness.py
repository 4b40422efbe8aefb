"""Runs whose sampling is ahead of the updates: versions, problems, resume, what is refused."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.engines.vllm.engine import VLLMEngine
from palaestra.trainer.engines.vllm.transfer import FileTransfer
from palaestra.trainer.model.policy import Policy
from palaestra.trainer.runs import setup
from palaestra.trainer.runs.replayable import find_start
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train
from palaestra.trainer.storage.background import Twin
from transformers import AutoModelForCausalLM

from ..support.fake_vllm import serve
from ..support.runs import EACH_STEP, SMALL, have_same_weights, say_nothing

KEPT = {"eval_problems": 4, "eval_samples": 1, "preflight_problems": 0, "eval_every": 0, "save_every": 1}
SERVED = {"engine": "vllm", "engine_python": sys.executable}
PATIENCE_S = 1200  # of a run on a machine that has other things to do


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What ends with the test."""
    with ExitStack() as stack:
        yield stack


def begin(model: Path, out: Path, staleness: int, **settings: object):
    config = SMALL.but(model=str(model), out=str(out), staleness=staleness, **(KEPT | settings))
    return train(config, say=say_nothing)


def read_rows(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "rollouts.jsonl").read_text().splitlines()]


def list_problems(run: Path) -> list[tuple[int, str]]:
    """Step and problem of each group, in their order."""
    return list(dict.fromkeys((row["step"], row["id"]) for row in read_rows(run)))


def test_one_step_ahead_every_completion_knows_its_version_and_the_problems_are_those_of_staleness_0(
    warm_model: Path, tmp_path: Path
):
    plain = begin(warm_model, tmp_path / "plain", 0)
    ahead = begin(warm_model, tmp_path / "ahead", 1)
    assert list_problems(tmp_path / "ahead") == list_problems(tmp_path / "plain")
    versions = {(row["step"], row["version"]) for row in read_rows(tmp_path / "ahead")}
    assert versions == {(1, 0), (2, 0), (3, 1), (4, 2)}
    lines = ahead.metrics()
    assert [line["staleness"] for line in lines] == [{"mean": lag, "max": lag} for lag in (0, 1, 1, 1)]
    assert all(line["logprob_difference_mean"] < 1e-3 for line in lines[:1])
    assert lines[1]["sampler_weight"] == pytest.approx(1, abs=0.2)
    assert not any("staleness" in line for line in plain.metrics())
    assert not any("version" in row for row in read_rows(tmp_path / "plain"))
    first = [
        [row["completion"] for row in read_rows(tmp_path / name) if row["step"] == 1]
        for name in ("plain", "ahead")
    ]
    assert first[0] == first[1]  # by the same weights the same seeds draw the same
    with pytest.raises(UserError, match=r"step 2 with --staleness 1: its completions were drawn ahead"):
        find_start(tmp_path / "ahead", 2)


def test_one_step_ahead_a_run_can_be_repeated_and_goes_on_with_the_same_problems(
    warm_model: Path, tmp_path: Path
):
    begin(warm_model, tmp_path / "whole", 1)
    begin(warm_model, tmp_path / "again", 1)
    assert have_same_weights(tmp_path / "whole" / "model", tmp_path / "again" / "model")
    assert begin(warm_model, tmp_path / "parts", 1, stop_after=2).interrupted
    resume(tmp_path / "parts", {}, say_nothing)
    assert list_problems(tmp_path / "parts") == list_problems(tmp_path / "whole")


def test_further_ahead_resampling_and_the_curriculum_go_on_working(warm_model: Path, tmp_path: Path):
    settings = {"resample": 1, "curriculum": True, "option": ("operands=2", "digits=2"), "eval_every": 2}
    run = begin(warm_model, tmp_path / "run", 3, **settings)
    lags = [line["staleness"] for line in run.metrics()]
    assert all(0 <= lag["mean"] <= lag["max"] <= 3 for lag in lags)
    places = [line["prompts"]["next"] for line in run.metrics()]
    assert places == sorted(places)
    assert len({name for _, name in list_problems(tmp_path / "run")}) == len(list_problems(tmp_path / "run"))


def test_a_sampler_that_keeps_old_weights_ends_the_run_with_a_sentence(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Twin, "refresh", lambda _twin: None)
    settings = {"learning_rate": 0.01, "warmup_steps": 0}
    with pytest.raises(UserError, match=r"(trainer disagree|had no effect).* \(--staleness 0\)"):
        begin(warm_model, tmp_path / "run", 1, **settings)


def test_what_fails_while_sampling_is_told_and_the_checkpoint_is_there(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from palaestra.tasks.core.errors import RunError
    from palaestra.trainer.runs.source import SamplerWeights

    sample = SamplerWeights.sample

    def fail(self, problems, step):
        if step == 2:
            raise RunError("No more of it.", "--steps 2")
        return sample(self, problems, step)

    monkeypatch.setattr(SamplerWeights, "sample", fail)
    with pytest.raises(UserError, match=r"No more of it\. Go on from step 2: palaestra resume"):
        begin(warm_model, tmp_path / "run", 1)
    monkeypatch.undo()
    resume(tmp_path / "run", {}, say_nothing)
    assert [step for step, _ in list_problems(tmp_path / "run")][-1] == SMALL.steps


@pytest.mark.parametrize("staleness", [1, 2])
def test_a_server_samples_ahead_and_evaluations_have_it_in_between(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: ExitStack, staleness: int
):
    settings = {"steps": 3, "max_new_tokens": 14, "eval_every": 1, "eval_problems": 1, "save_every": 0}
    settings |= {"learning_rate": 0.01, "warmup_steps": 0, **SERVED}
    loads: list[str] = []

    def make_engine(policy: Policy, *_: object) -> VLLMEngine:
        server, wire = stack.enter_context(serve(tmp_path, policy.model))
        server.change["/update_weight_version"] = lambda reply: loads.append(server.version) or reply
        return VLLMEngine(policy, wire, FileTransfer(wire, tmp_path / "weights"), rows=4)

    monkeypatch.setattr(setup, "make_engine", make_engine)
    run = begin(warm_model, tmp_path / "run", staleness, **settings)
    versions = [(row["step"], row["version"]) for row in read_rows(tmp_path / "run")]
    assert len(versions) == 3 * 4 * 4
    assert any(line["grad_norm"] for line in run.metrics()), "the weights move, so others would be noticed"
    assert {step - 1 - version for step, version in versions} <= {*range(staleness + 1)}
    if staleness == 1:
        assert set(versions) == {(1, 0), (2, 0), (3, 1)}
    assert len(run.evaluations) == 4
    engines = {label.partition("/")[0] for label in loads}
    assert len(engines) == 2, "the sampler that runs ahead, and the evaluations"
    assert len(list_problems(tmp_path / "run")) == 12
    assert len(loads) >= len({version for _, version in versions}) + len(run.evaluations)


def test_a_server_that_keeps_old_weights_ends_a_run_that_samples_ahead(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: ExitStack
):
    settings = {"max_new_tokens": 14, "eval_problems": 1, "learning_rate": 0.01, "warmup_steps": 0, **SERVED}

    def make_engine(policy: Policy, *_: object) -> VLLMEngine:
        server, wire = stack.enter_context(serve(tmp_path, policy.model))
        server.change_weights = lambda _: None
        return VLLMEngine(policy, wire, FileTransfer(wire, tmp_path / "weights"), rows=4)

    monkeypatch.setattr(setup, "make_engine", make_engine)
    with pytest.raises(UserError, match=r"(disagree|no effect).* \(--staleness 0\)"):
        begin(warm_model, tmp_path / "run", 1, **settings)


COMMAND = """
import os, signal, sys
from pathlib import Path
from palaestra.trainer.cli.main import main
from palaestra.trainer.engines.vllm.engine import VLLMEngine
from palaestra.trainer.engines.vllm.transfer import FileTransfer
from palaestra.trainer.engines.vllm.wire import Wire
from palaestra.trainer.runs import setup
from palaestra.trainer.storage import checkpoint

if address := os.environ.get("SERVED"):
    folder = Path(address.partition(":")[2]).with_name("weights")
    wire = Wire(address, 600.0)
    setup.make_engine = lambda policy, *_: VLLMEngine(policy, wire, FileTransfer(wire, folder), rows=16)

seconds, saved, begun = float(sys.argv[1]), checkpoint.save, []

def save(folder, step, *rest):
    saved(folder, step, *rest)
    if seconds and step >= int(sys.argv[2]) and not begun:
        begun.append(step)
        signal.setitimer(signal.ITIMER_PROF, seconds)

checkpoint.save = save
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("served", [False, True], ids=["local", "served"])
@pytest.mark.parametrize("staleness", [1, 3])
def test_a_run_killed_at_random_moments_uses_the_problems_of_one_that_never_stopped(
    warm_model: Path, tmp_path: Path, staleness: int, served: bool, stack: ExitStack
):
    """Counted in processor time from a checkpoint on; SIGPROF ends the process where it is, as SIGKILL
    does."""

    environment, engine = dict(os.environ), list[str]()
    if served:
        _, wire = stack.enter_context(serve(tmp_path, AutoModelForCausalLM.from_pretrained(warm_model)))
        environment["SERVED"] = wire.address
        engine = ["--engine", "vllm", "--engine-python", sys.executable]

    def run(seconds: float, step: int, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", COMMAND, f"{seconds:.6f}", str(step), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S,
            env=environment,
        )  # fmt: skip

    flags = [*engine, *EACH_STEP, "--max-new-tokens=14", "--eval-problems=4", "--eval-every=0"]
    flags += ["--preflight-problems=0", f"--staleness={staleness}", "--steps=40"]
    flags += ["--model", str(warm_model), "--out"]
    done = run(0.0, 0, "train", *flags, str(tmp_path / "whole"))
    assert done.returncode == 0, done.stdout
    rng, out, kills = random.Random(staleness), tmp_path / "run", 6
    for kill in range(kills):
        command = ["train", *flags] if kill == 0 else ["resume"]
        killed = run(rng.uniform(0.001, 0.3), 4 * kill + 1, *command, str(out))
        assert killed.returncode == -signal.SIGPROF, killed.stdout
    done = run(0.0, 0, "resume", str(out))
    assert done.returncode == 0, done.stdout
    assert list_problems(out) == list_problems(tmp_path / "whole")
    assert all(0 <= row["step"] - 1 - row["version"] <= staleness for row in read_rows(out))
