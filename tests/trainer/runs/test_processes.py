"""Runs in several processes: what they draw and learn is what one process would, they resume in any number,
and none of them hangs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.together import check_ranks
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.distributed.world import ALONE, World
from palaestra.trainer.model.policy import load_policy
from palaestra.trainer.runs import warm_up
from palaestra.trainer.runs.places import check_processes, take_least
from palaestra.trainer.storage.folders import WARM_UP
from safetensors.torch import load_file

SETTINGS = {
    "--task": "gcd", "--steps": "6", "--sft-steps": "40", "--eval-problems": "5", "--eval-every": "0",
    "--prompts-per-step": "5", "--preflight-problems": "4", "--max-new-tokens": "16", "--rows": "64",
    "--watch.extracted-min": "0", "--save-every": "2", "--threads": "1",
}  # fmt: skip
FLAGS = [part for pair in SETTINGS.items() for part in pair] + ["--force"]


def start(arguments: list[str], log: Path, **variables: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **variables}
    with log.open("a") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "palaestra", *arguments], env=environment, stdout=file, stderr=file
        )


def run(arguments: list[str], log: Path, code: int = 0, **variables: str) -> str:
    before = log.stat().st_size if log.exists() else 0
    assert start(arguments, log, **variables).wait(300) == code, log.read_text()
    return log.read_text()[before:]


def read(folder: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def completions(folder: Path) -> list[tuple]:
    return [
        (row["step"], row["id"], row["completion"], row["reward"]) for row in read(folder, "rollouts.jsonl")
    ]


def norms(folder: Path) -> list[float]:
    return [line["grad_norm"] for line in read(folder, "metrics.jsonl") if line["kind"] == "step"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [[], ["--shard", "fsdp", "--loss.kl-coef", "0.05"], ["--shard", "fsdp", "--lora-rank", "4"],
     ["--shard", "fsdp", "--algorithm", "ppo", "--ppo.critic", "shared"]],
    ids=["none", "fsdp", "lora", "ppo"],
)  # fmt: skip
def test_what_processes_draw_and_learn_is_what_one_does(more: list[str], tmp_path: Path):
    log, whole, parts, alone = (tmp_path / name for name in ("log", "whole", "parts", "alone"))
    flags = [*FLAGS, *more]
    run(["train", *[each for each in flags if each not in ("--shard", "fsdp")], "--out", str(alone)], log)
    run(["train", *flags, "--out", str(whole), "--processes", "2"], log)
    first = [row for row in completions(alone) if row[0] == 1]
    assert [row for row in completions(whole) if row[0] == 1] == first
    assert norms(whole)[0] == pytest.approx(norms(alone)[0], rel=1e-3, abs=1e-6)
    # Stopped and taken up again in as many processes: the same bits.
    run(["train", *flags, "--out", str(parts), "--processes", "2", "--stop-after", "2"], log, 130)
    run(["resume", str(parts), "--stop-after", "2"], log, 130)
    run(["resume", str(parts)], log)
    assert completions(parts) == completions(whole)
    assert norms(parts) == norms(whole)
    ends = [load_file(folder / "model" / "model.safetensors") for folder in (whole, parts)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    # In other numbers it goes on, too: 2, 4, 1.
    said = run(["resume", str(parts), "--steps", "8", "--processes", "4"], log)
    assert "Changed: --processes from 2 to 4" in said
    run(["resume", str(parts), "--steps", "9", "--processes", "1"], log)
    assert len(norms(parts)) == 9
    assert json.loads((parts / "config.json").read_text())["ranks"]["processes"] == 1
    assert not (parts / "stacks").exists()


def wait_for(path: Path, process: subprocess.Popen, log: Path) -> None:
    for _ in range(2400):
        if path.exists():
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(f"{path} never came: {log.read_text()}")


def find_rank(folder: Path, rank: int) -> int:
    """The process of a rank, by what the system says of it."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line, variables = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in line and f"RANK={rank}".encode() in variables.split(b"\0"):
                return int(entry.name)
    raise AssertionError("no such rank")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGKILL, "is gone"), (signal.SIGSTOP, "The deadline of that phase is 8 s")]
)
def test_a_rank_that_is_killed_or_asleep_ends_the_run(number: signal.Signals, said: str, tmp_path: Path):
    folder, log = tmp_path / "run", tmp_path / "log"
    deadlines = [
        part for name in ("gather", "update", "sample", "verify") for part in (f"--deadline.{name}", "8")
    ]
    long = {**SETTINGS, "--steps": "100000", "--processes": "2", "--out": str(folder)}
    flags = [*(part for pair in long.items() for part in pair), "--force", *deadlines]
    process = start(["train", *flags], log)
    wait_for(folder / "checkpoints" / "step-000002", process, log)
    os.kill(find_rank(folder, 1), number)
    begun = time.monotonic()
    assert process.wait(60) == 3, log.read_text()
    seconds = time.monotonic() - begun
    assert seconds < 8 + 10, f"{seconds} s from the signal to the end"
    (line,) = [line for line in log.read_text().splitlines() if line.startswith("palaestra: Rank 1 (process")]
    assert said in line
    assert f"palaestra resume {folder}" in line
    assert "Thread" in (folder / "stacks" / "rank0.txt").read_text()
    assert "wrote no stack" in (folder / "stacks" / "rank1.txt").read_text()
    assert json.loads((folder / "end.json").read_text())["state"] == "halted"
    done = len(norms(folder))
    run(["resume", str(folder), "--steps", str(done + 1)], log)
    assert len(norms(folder)) == done + 1


@pytest.mark.slow
def test_a_sleeping_verifier_and_a_full_disk_end_the_run(tmp_path: Path):
    """A reward that sleeps on rank 1 alone, then files of rank 1 alone that may not grow."""
    reward, data, log = tmp_path / "reward.py", tmp_path / "data.jsonl", tmp_path / "log"
    reward.write_text(
        "import os, time\n"
        "def reward(completion, reference):\n"
        "    if os.environ.get('RANK') == '1' and os.path.exists(os.environ.get('SLEEPY', '')):\n"
        "        time.sleep(1000)\n"
        "    return len(completion) % 2\n"
    )
    data.write_text("".join(json.dumps({"question": f"{n}?", "answer": str(n)}) + "\n" for n in range(40)))
    flags = ["--data", str(data), "--verify", f"{reward}:reward", "--sft-steps", "0", "--steps", "4"]
    flags += [
        "--eval-problems",
        "2",
        "--prompts-per-step",
        "4",
        "--preflight-problems",
        "0",
        "--processes",
        "2",
    ]
    flags += ["--max-new-tokens", "8", "--watch.extracted-min", "0", "--force", "--test-share", "0.2"]
    folder = tmp_path / "sleepy"
    asleep_from = str(folder / "checkpoints" / "step-000000")
    said = run(["train", *flags, "--out", str(folder), "--deadline.verify", "3"], log, 3, SLEEPY=asleep_from)
    assert "is in phase verify since" in said
    assert "rank 0 in phase gather waits for it" in said
    assert (
        "sleep" in (folder / "stacks" / "rank1.txt").read_text()
        or "reward.py" in (folder / "stacks" / "rank1.txt").read_text()
    )
    folder = tmp_path / "full"
    limit = tmp_path / "sitecustomize.py"
    limit.write_text(
        "import os, resource, signal, sys\n"
        "if os.environ.get('RANK') == '1' and 'train' in sys.argv:\n"
        "    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
    )
    said = run(["train", *flags, "--out", str(folder), "--shard", "fsdp"], log, 2, PYTHONPATH=str(tmp_path))
    assert "could not be written by rank 1: the disk is full" in said


def test_a_warm_up_that_was_stopped_is_kept_by_one_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    config, policy = TrainConfig.of(task="gcd", processes=2), load_policy("embedded")
    for rank in (1, 0):
        monkeypatch.setattr(warm_up, "find_world", lambda rank=rank: World(rank, 2))
        found = warm_up.save_warm_up(policy, config, tmp_path, "SIGINT", "train", print)
        assert found.interrupted
        assert any(tmp_path.iterdir()) == (rank == 0)
    assert (tmp_path / WARM_UP / "config.json").is_file()


def test_what_does_not_go_together_is_refused(monkeypatch: pytest.MonkeyPatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="torchrun --nproc-per-node 3 FILE"):
        check_processes(TrainConfig.of(processes=3))
    check_processes(TrainConfig.of(processes=1))
    for settings in ({"moments": "8bit"}, {"weights": "bfloat16"}):
        with pytest.raises(UserError, match="--shard fsdp and --"):
            check_ranks(TrainConfig.of(shard="fsdp", **settings))
        check_ranks(TrainConfig.of(**settings))
    with pytest.raises(UserError, match="--processes 2 and --engine vllm"):
        check_ranks(TrainConfig.of(processes=2, engine="vllm"))
    with pytest.raises(UserError, match="--processes 2 and --staleness 1"):
        check_ranks(TrainConfig.of(processes=2, staleness=1))
    check_ranks(TrainConfig.of(engine="vllm", staleness=1))
    assert take_least(ALONE, {"rows": 4, "fast_path": "auto"}) == {"rows": 4, "fast_path": "auto"}
