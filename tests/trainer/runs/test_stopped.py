"""Whatever stops a run says how to go on, in a command that works as it stands."""

import errno
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from palaestra.tasks.core.errors import RunError, UserError
from palaestra.trainer.cli.main import main as palaestra
from palaestra.trainer.config.sft import SFTConfig
from palaestra.trainer.runs import loop, warm_up
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train
from palaestra.trainer.sft.run import sft
from palaestra.trainer.storage.folders import RunFolder
from palaestra.trainer.storage.starts import LOCK

from ..support.runs import SMALL, have_same_weights, say_nothing

QUICK = SMALL.but(steps=3, eval_every=0, eval_problems=2, eval_samples=1, save_every=1, preflight_problems=0)
PATIENCE_S = 600


def find_command(failure: pytest.ExceptionInfo[BaseException]) -> list[str]:
    """The command at the end of a sentence."""
    found = re.search(r"palaestra (resume .*)$", str(failure.value))
    assert found, str(failure.value)
    return shlex.split(found[1])


def break_step(monkeypatch: pytest.MonkeyPatch, norm: float | None = None, **metrics: float) -> None:
    """Let every step after the first look broken."""
    look = loop.halt_if_broken

    def look_at_broken(run, groups, result, measured):
        if measured["step"] > 1:
            result = replace(result, grad_norms=[norm]) if norm is not None else result
            measured = {**measured, **metrics}
        look(run, groups, result, measured)

    monkeypatch.setattr(loop, "halt_if_broken", look_at_broken)


@pytest.mark.parametrize(
    ("metrics", "flags"),
    [
        ({"abstained": 0.62}, "--max-abstained 0.65"),
        ({"logprob_difference_mean": 0.5}, "--max-logprob-difference 1"),
        ({"norm": float("nan")}, "--learning-rate 7.5e-05"),
    ],
)
def test_what_a_guard_advises_can_be_followed_word_for_word(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metrics: dict, flags: str
):
    out = tmp_path / "a run"
    with monkeypatch.context() as patch:
        break_step(patch, **metrics)
        with pytest.raises(UserError, match=r"Step 2: .* Go on from step 1: ") as stopped:
            train(QUICK.but(model=warm_model, out=out), say=say_nothing)
        command = find_command(stopped)
        assert command == ["resume", str(out), *flags.split()]
        if "norm" not in metrics:  # what stopped the run is still there
            assert palaestra(command) == 0
    if "norm" in metrics:
        assert palaestra(command) == 0
    assert (out / "model").is_dir()


def test_memory_that_ran_out_is_answered_with_options_that_need_less(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def run_out(*_arguments: object) -> None:
        raise RunError("Memory ran out in the update.", "--tokens-per-microbatch 64")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "update_policy", run_out)
        with pytest.raises(
            UserError, match=r"^Memory ran out in the update\. Go on from step 0: "
        ) as stopped:
            train(QUICK.but(model=warm_model, out=tmp_path / "run"), say=say_nothing)
    command = find_command(stopped)
    assert command[2:] == ["--tokens-per-microbatch", "64"]
    assert palaestra(command) == 0


@pytest.mark.parametrize("where", ["checkpoint", "log"])
def test_a_full_disk_loses_nothing(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
):
    config = QUICK.but(model=warm_model)
    train(config.but(out=tmp_path / "whole"), say=say_nothing)
    full = OSError(errno.ENOSPC, "No space left on device", "somewhere")
    save, log = torch.save, RunFolder.log

    def save_on_full_disk(state, place):
        if state["progress"]["step"] > 1:
            raise full
        save(state, place)

    def log_on_full_disk(folder: RunFolder, line: dict) -> None:
        if line["kind"] == "step" and line["step"] > 1:
            with (folder.path / "metrics.jsonl").open("a") as file:
                file.write('{"kind": "step", "st')
            raise full
        log(folder, line)

    with monkeypatch.context() as patch:
        if where == "checkpoint":
            patch.setattr(torch, "save", save_on_full_disk)
        else:
            patch.setattr(RunFolder, "log", log_on_full_disk)
        with pytest.raises(
            UserError, match=r"could not be written.*Free some disk.*from step 1: "
        ) as stopped:
            train(config.but(out=tmp_path / "run"), say=say_nothing)
    assert palaestra(find_command(stopped)) == 0
    assert have_same_weights(tmp_path / "run/model", tmp_path / "whole/model")


@pytest.mark.parametrize("command", ["train", "sft"])
def test_an_interrupt_that_could_not_wait_names_the_command(
    warm_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
):
    out, log = tmp_path / "run", RunFolder.log

    def interrupt(folder: RunFolder, line: dict) -> None:
        log(folder, line)
        if line["kind"] == "step" and line["step"] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "log", interrupt)
        flags = shlex.split("--steps 3 --save-every 1 --eval-problems 2 --threads 1 --eval-every 0")
        own = {
            "train": "--prompts-per-step 4 --group-size 4 --max-new-tokens 24 --preflight-problems 0 --force",
            "sft": "--demonstrations 8",
        }
        code = palaestra(
            [command, "--model", str(warm_model), "--out", str(out), *flags, *own[command].split()]
        )
    assert code == 130
    error = capsys.readouterr().err
    assert error.endswith(f"palaestra: Interrupted. Go on from step 1: palaestra resume {out}\n")
    assert palaestra(["resume", str(out)]) == 0


def test_a_start_that_was_killed_is_started_again_by_the_same_command(tmp_path: Path, warm_model: Path):
    out = tmp_path / "run"
    code = "import sys; from palaestra.trainer.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = ["train", "--sft-steps", "100000", "--threads", "1", "--out", str(out)]
    start = subprocess.Popen(
        [sys.executable, "-c", code, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert start.stdout is not None
    for line in start.stdout:
        if "CPU thread(s)" in line:  # the last that is said before the warm-up, which would take hours
            break
    start.kill()
    start.communicate(timeout=PATIENCE_S)
    assert [path.name for path in out.iterdir()] == [LOCK], "nothing is written before the checks are over"
    said: list[str] = []
    train(QUICK.but(model=warm_model, out=out, steps=1), say=said.append)
    assert (out / "model").is_dir()
    assert not any("holds a start" in line for line in said), "there was nothing to start again"


def test_a_warm_up_that_was_stopped_is_put_aside_by_the_next_start(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out, said = tmp_path / "run", list[str]()

    def stop_at_once(_policy, _task, _data, _settings, stop) -> None:
        stop.requested = "SIGINT"

    with monkeypatch.context() as patch:
        patch.setattr(warm_up, "fit", stop_at_once)
        stopped = train(QUICK.but(out=out), say=said.append)
    assert stopped.interrupted
    assert said[-1].endswith("The same command starts the run again, and puts that model aside.")
    train(QUICK.but(out=out, model=warm_model, steps=1), say=said.append)
    assert (out / "earlier-1/sft/config.json").is_file()
    assert (out / "model").is_dir()


def test_steps_without_a_checkpoint_are_put_aside_and_done_again(tmp_path: Path):
    config = SFTConfig.of(
        task="gcd", steps=2, demonstrations=8, eval_problems=2, threads=1, out=tmp_path / "run"
    )
    sft(config, say=say_nothing)
    for name in ("checkpoints", "model"):
        (tmp_path / "run" / name).rename(tmp_path / name)
    with pytest.raises(
        UserError, match=r"holds no checkpoint.*Start it again: palaestra sft --config "
    ) as none:
        resume(tmp_path / "run", {}, say=say_nothing)
    (tmp_path / "run/summary.json").unlink()
    (tmp_path / "run/curves.png").unlink()
    again = shlex.split(str(none.value).partition("Start it again: palaestra ")[2])
    assert palaestra(again) == 0
    assert (tmp_path / "run/earlier-1/metrics.jsonl").is_file()
    assert have_same_weights(tmp_path / "run/model", tmp_path / "model")
    assert (tmp_path / "run/curves.png").read_bytes().startswith(b"\x89PNG")
