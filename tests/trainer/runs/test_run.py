"""Whole runs, small: what they leave on disk, that they can be repeated and resumed to the bit,
and how they stop."""

import copy
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.algorithms.update import update_policy
from palaestra.trainer.engines import choice
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.engines.vllm.engine import VLLMEngine
from palaestra.trainer.engines.vllm.sleep import SleepMode
from palaestra.trainer.engines.vllm.transfer import FileTransfer
from palaestra.trainer.model.policy import Policy, load_policy
from palaestra.trainer.reports.curves import read_metrics
from palaestra.trainer.runs import loop, setup
from palaestra.trainer.runs.replay import replay
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train
from palaestra.trainer.storage import checkpoint
from transformers import AutoTokenizer

from ..support.fake_vllm import FakeVLLM, serve
from ..support.runs import SMALL, have_same_weights, load_weights, say_nothing

PATIENCE_S = 600  # with a run on a machine that has other things to do


@pytest.fixture(scope="module")
def whole(warm_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    train(SMALL.but(model=str(warm_model), out=str(out)), say=say_nothing)
    return out


def test_a_run_leaves_metrics_rollouts_curves_and_a_model_that_loads(whole: Path, warm_model: Path):
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "step"]
    assert [line["step"] for line in steps] == [1, 2, 3, 4]
    assert [line["step"] for line in lines if line["kind"] == "evaluation"] == [0, 2, 4]
    assert all(0 <= line["reward"] <= 1 and line["tokens"] > 0 for line in steps)
    [ahead] = [line for line in lines if line["kind"] == "preflight"]
    assert sum(ahead["histogram"]) == ahead["problems"] > 0
    assert 0 < ahead["signal"] <= 1
    rollouts = [json.loads(line) for line in (whole / "rollouts.jsonl").read_text().splitlines()]
    assert len(rollouts) == 4 * 4 * 4
    assert {"completion", "reward", "verdicts", "id"} <= rollouts[0].keys()
    assert (whole / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert not have_same_weights(whole / "model", warm_model), "four steps changed nothing"
    assert AutoTokenizer.from_pretrained(whole / "model")("1+2=").input_ids


def test_the_sampler_agrees_with_the_update(whole: Path):
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    differences = [
        line["logprob_difference_max"] for line in lines if line.get("logprob_difference_max") is not None
    ]
    assert differences
    assert max(differences) < 5e-5


def test_an_engine_with_weights_of_its_own_is_loaded_before_every_use(
    whole: Path, warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The same bits as from the local engine: nothing samples from weights that were not loaded.

    Neither preflight nor steps nor evaluations.
    """
    versions = []

    class Copying(LocalEngine):
        def __init__(self, policy, rows, **settings):
            super().__init__(self.copy_policy(policy), rows, **settings)
            for parameter in self.policy.model.parameters():
                parameter.data.fill_(torch.nan)

        def copy_policy(self, policy):
            return replace(policy, model=copy.deepcopy(policy.model))

        def load(self, policy, version):
            versions.append(version)
            super().load(self.copy_policy(policy), version)

    monkeypatch.setattr(choice, "LocalEngine", Copying)
    train(SMALL.but(model=str(warm_model), out=str(tmp_path / "copying")), say=say_nothing)
    assert have_same_weights(whole / "model", tmp_path / "copying" / "model")
    lines, expected = (
        [line for line in read_metrics(folder) if line["kind"] != "preflight"]
        for folder in (tmp_path / "copying", whole)
    )
    assert [line.get("reward") for line in lines] == [line.get("reward") for line in expected]
    assert [line["sampled"]["reward"] for line in lines if "sampled" in line] == [
        line["sampled"]["reward"] for line in expected if "sampled" in line
    ]
    assert versions == sorted(versions)
    assert set(versions) == {0, 1, 2, 3, 4}, "the version is the number of steps done"


@pytest.mark.parametrize("keeps", ["auto", "no"])
def test_what_the_sampler_keeps_is_freed_before_an_update_where_that_is_asked_for(
    whole: Path, warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeps: str
):
    """And after an evaluation, before a checkpoint; not between two shares of either."""
    calls: list[str] = []

    class Told(LocalEngine):
        def sample(self, *given):
            calls.append("sample")
            return super().sample(*given)

        def free(self):
            calls.append("free")
            super().free()

    def update(*given):
        calls.append("update")
        return update_policy(*given)

    monkeypatch.setattr(choice, "LocalEngine", Told)
    monkeypatch.setattr(loop, "update_policy", update)
    settings = SMALL.but(model=str(warm_model), out=str(tmp_path / "run"), keep_sampler=keeps)
    train(settings, say=say_nothing)
    assert have_same_weights(whole / "model", tmp_path / "run" / "model")
    assert calls.pop(0) == "free", "as the engine is made"
    found = [name for name, _ in itertools.groupby(calls)]
    evaluated, updated = ["sample", "free"], ["sample", "free", "update"]
    wanted = [*evaluated, *updated * 2, *evaluated, *updated * 2, *evaluated]
    assert found == (wanted if keeps == "no" else ["sample", "update"] * 4 + ["sample"])


def test_a_server_sleeps_during_updates_and_after_evaluations(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asleep: list[bool] = []
    with ExitStack() as stack:

        def make_engine(policy: Policy, *_: object) -> VLLMEngine:
            server, wire = stack.enter_context(serve(tmp_path, policy.model))
            servers.append(server)
            files = FileTransfer(wire, tmp_path / "weights")
            return VLLMEngine(policy, wire, files, rows=4, sleep_mode=SleepMode(wire))

        def update(*given):
            asleep.append(servers[0].sleep.paused)
            return update_policy(*given)

        servers: list[FakeVLLM] = []
        monkeypatch.setattr(setup, "make_engine", make_engine)
        monkeypatch.setattr(loop, "update_policy", update)
        settings = {"engine": "vllm", "engine_python": sys.executable, "keep_sampler": "no", "steps": 2}
        settings |= {"eval_every": 1, "eval_problems": 2, "max_new_tokens": 14, "out": str(tmp_path / "run")}
        run = train(SMALL.but(model=str(warm_model), **settings), say=say_nothing)
        asked = servers[0].asked
    assert asleep == [True, True]
    assert asked.count("/sleep?level=2") == 5, "after three evaluations, before two updates"
    assert asked.count("/wake_up?tags=kv_cache") == 4
    assert [line["sync"]["difference_mean"] < 1e-5 for line in run.metrics()] == [True, True]


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(
    whole: Path, warm_model: Path, tmp_path: Path
):
    train(SMALL.but(model=str(warm_model), out=str(tmp_path / "again")), say=say_nothing)
    assert have_same_weights(whole / "model", tmp_path / "again" / "model")
    train(SMALL.but(model=str(warm_model), out=str(tmp_path / "other"), seed=5), say=say_nothing)
    assert not have_same_weights(whole / "model", tmp_path / "other" / "model")


@pytest.mark.parametrize("first", [1, 2, 3])
def test_stop_and_resume_ends_in_the_same_bits(whole: Path, warm_model: Path, tmp_path: Path, first: int):
    out = tmp_path / "run"
    stopped = train(SMALL.but(model=str(warm_model), out=str(out), stop_after=first), say=say_nothing)
    assert stopped.interrupted
    assert not (out / "model").exists()
    resume(out, {}, say=say_nothing)
    assert have_same_weights(whole / "model", out / "model")
    kept = [
        json.loads(line)["reward"]
        for line in (out / "metrics.jsonl").read_text().splitlines()
        if '"step"' in line[:20]
    ]
    assert kept == [
        json.loads(line)["reward"]
        for line in (whole / "metrics.jsonl").read_text().splitlines()
        if '"step"' in line[:20]
    ]


def test_micro_batch_size_does_not_change_the_run(whole: Path, warm_model: Path, tmp_path: Path):
    train(
        SMALL.but(model=str(warm_model), out=str(tmp_path / "run"), tokens_per_microbatch=64), say=say_nothing
    )
    left, right = load_weights(whole / "model"), load_weights(tmp_path / "run" / "model")
    assert all(torch.allclose(left[name], right[name], rtol=1e-3, atol=2e-5) for name in left)


def test_a_kl_to_the_reference_is_kept_across_a_resume(warm_model: Path, tmp_path: Path):
    config = SMALL.but(model=str(warm_model), loss=replace(SMALL.objective.loss, kl_coef=0.1), eval_every=0)
    train(config.but(out=str(tmp_path / "whole")), say=say_nothing)
    train(config.but(out=str(tmp_path / "run"), stop_after=2), say=say_nothing)
    resume(tmp_path / "run", {}, say=say_nothing)
    assert have_same_weights(tmp_path / "run" / "model", tmp_path / "whole" / "model")


def test_a_step_in_which_every_group_is_dead_changes_nothing_and_goes_on(warm_model: Path, tmp_path: Path):
    """All rewards equal in every group: under the format arm a policy that always keeps the form earns 1
    everywhere."""
    file = tmp_path / "easy.py"
    file.write_text(
        "from palaestra.tasks import Problem, task\n"
        "from palaestra.verifiers import Criterion, Rubric\n"
        "from palaestra.verifiers.types import correct\n"
        "@task('easy', rubric=Rubric(Criterion('any', lambda completion, problem: correct())))\n"
        "def easy(rng, level):\n    return Problem(str(rng.random()), 'x')\n"
    )
    config = SMALL.but(task=str(file), option=(), model=str(warm_model), out=str(tmp_path / "run"), steps=2)
    with pytest.raises(UserError, match="passed already"):
        train(config, say=say_nothing)
    train(config.but(out=str(tmp_path / "forced"), force=True), say=say_nothing)
    assert have_same_weights(tmp_path / "forced" / "model", warm_model)
    steps = [line for line in read_metrics(tmp_path / "forced") if line["kind"] == "step"]
    assert [(line["dead_groups"], line["grad_norm"]) for line in steps] == [(1.0, 0.0)] * 2


def start(out: Path, model: Path, *flags: str) -> subprocess.Popen[str]:
    code = "import sys; from palaestra.trainer.cli.main import main; sys.exit(main(['train', *sys.argv[1:]]))"
    small = (
        "--option operands=2 --option digits=1 --prompts-per-step 4 --group-size 4 --max-new-tokens 24 "
        "--eval-every 0 "
    )
    small += "--eval-problems 5 --eval-samples 1 --threads 1"
    command = [sys.executable, "-u", "-c", code, "--model", str(model), "--out", str(out)]
    command += [*small.split(), *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for_steps(out: Path, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        path = out / "metrics.jsonl"
        if path.exists() and path.read_text().count('"kind": "step"') >= count:
            return
        time.sleep(0.02)
    raise AssertionError("the run made no steps")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_and_saves_without_a_stack_trace(
    warm_model: Path, tmp_path: Path, number: int
):
    run = start(tmp_path / "run", warm_model, "--steps", "10000", "--save-every", "0")
    wait_for_steps(tmp_path / "run", 2)
    os.kill(run.pid, number)
    output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 130
    assert "Traceback" not in output
    assert "palaestra resume" in output
    assert (
        len(checkpoint.list_checkpoints(tmp_path / "run" / "checkpoints")) == 2
    )  # the start, and the step that it finished


def test_a_signal_during_the_warm_up_keeps_the_model_and_starts_no_reinforcement(tmp_path: Path):
    run = start(tmp_path / "run", Path("embedded"), "--sft-steps", "100000")
    assert run.stdout is not None
    for line in run.stdout:
        if "CPU thread(s)" in line:  # the last that is said before the warm-up, which would take hours
            break
    os.kill(run.pid, signal.SIGINT)
    output, _ = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 130
    assert "Traceback" not in output
    assert (tmp_path / "run" / "sft" / "config.json").exists()
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_an_occupied_folder_is_refused(whole: Path, warm_model: Path):
    with pytest.raises(UserError, match="not empty"):
        train(SMALL.but(model=str(warm_model), out=str(whole)), say=say_nothing)


def test_a_policy_in_memory_gets_no_hidden_warm_up(tmp_path: Path):
    policy = load_policy("embedded", "cpu", "float32", seed=2)
    before = policy.model.get_input_embeddings().weight.detach().clone()
    config = SMALL.but(out=str(tmp_path / "run"), steps=1, force=True, model="embedded", eval_problems=2)
    train(config, policy, say=say_nothing)
    start = load_policy(str(tmp_path / "run" / "checkpoints" / "step-000000"), "cpu", "float32").model
    assert torch.equal(start.get_input_embeddings().weight, before)


@pytest.mark.parametrize(
    ("change", "says"), [({"group_size": 1}, "Sample 2 or more"), ({"temperature": 0.0}, "above 0")]
)
def test_settings_that_cannot_learn_are_refused(warm_model: Path, tmp_path: Path, change: dict, says: str):
    with pytest.raises(UserError, match=says):
        train(SMALL.but(model=str(warm_model), out=str(tmp_path / "run"), **change), say=say_nothing)


def test_prompts_over_the_budget_stop_the_run_with_a_sentence(warm_model: Path, tmp_path: Path):
    config = SMALL.but(model=str(warm_model), out=str(tmp_path / "run"), max_prompt_tokens=2, eval_problems=1)
    with pytest.raises(UserError, match="max-prompt-tokens"):
        train(config, say=say_nothing)


def test_replay_re_creates_a_step_and_notices_a_changed_record(whole: Path, tmp_path: Path):
    assert replay(whole, 3).matches
    forged = tmp_path / "forged"
    shutil.copytree(whole, forged)
    lines = (forged / "metrics.jsonl").read_text().splitlines()
    lines = [line.replace('"grad_norm": 0.', '"grad_norm": 1.') for line in lines]
    (forged / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    assert [difference.split(":")[0] for difference in replay(forged, 3).differences] == ["grad_norm"]
    with pytest.raises(UserError, match="no record of step 9"):
        replay(whole, 9)
