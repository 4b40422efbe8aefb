"""A run whose task executes programs: layers in its record, and no run without the required ones."""

import json
from pathlib import Path

import pytest
from palaestra.sandbox import ALLOW_WEAK, SandboxPool, layers, pool
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.cli.main import main
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train

from ..support.runs import say_nothing

FIXTURES = Path(__file__).parents[2] / "fixtures"
LAYERS = ["namespaces", "root", "rlimits", "privileges", "landlock", "seccomp"]
# There is a cgroup where this user may make one.
LAYERS += [layer.name for layer in layers() if layer.active and layer.name == "cgroup"]
NO_SECCOMP = {"seccomp": "not in this kernel", "cgroup": "none can be made"}
TASK = """
from palaestra.tasks import Problem, task
from palaestra.verifiers import Rubric, code

@task("times", rubric=Rubric(code()))
def times(rng, level):
    n = rng.randrange(1000)
    calls = [{"args": [2], "expected": 2 * n}]
    yield Problem(f"Multiply by {n}", {"entry_point": "f", "calls": calls}, key=str(n))
"""
SMALL = TrainConfig.of(
    steps=1,
    prompts_per_step=2,
    group_size=2,
    max_new_tokens=8,
    force=True,
    eval_problems=2,
    eval_samples=1,
    eval_every=0,
    save_every=1,
    threads=1,
    device="cpu",
    dtype="float32",
)


@pytest.fixture(autouse=True)
def fresh_pools(monkeypatch):
    monkeypatch.setattr(pool, "_shared", {})
    monkeypatch.setenv(ALLOW_WEAK, "0")
    yield
    for made in pool._shared.values():
        made.close()


@pytest.fixture
def task_file(tmp_path: Path) -> str:
    (tmp_path / "times.py").write_text(TASK)
    return str(tmp_path / "times.py")


def test_a_run_names_its_layers_and_keeps_them(warm_model: Path, tmp_path: Path, task_file: str):
    said: list[str] = []
    train(SMALL.but(task=task_file, model=str(warm_model), out=str(tmp_path / "run")), say=said.append)
    assert json.loads((tmp_path / "run" / "facts.json").read_text())["sandbox_layers"] == LAYERS
    assert f"Sandbox layers: {', '.join(LAYERS)}" in said
    said.clear()
    resume(tmp_path / "run", {"steps": 2}, say=said.append)
    assert f"Sandbox layers: {', '.join(LAYERS)}" in said


def test_no_run_starts_below_the_required_layers(
    warm_model: Path, tmp_path: Path, task_file: str, monkeypatch
):
    monkeypatch.setattr(SandboxPool, "missing_layers", lambda self: NO_SECCOMP)
    config = SMALL.but(task=task_file, model=str(warm_model), out=str(tmp_path / "run"))
    with pytest.raises(UserError, match=r"not in this kernel.*--allow-weak-sandbox"):
        train(config)
    assert not (tmp_path / "run").exists()
    train(config.but(allow_weak_sandbox=True), say=say_nothing)
    kept = json.loads((tmp_path / "run" / "facts.json").read_text())
    assert kept["sandbox_layers"] == ["namespaces", "root", "rlimits", "privileges", "landlock"]
    settings = json.loads((tmp_path / "run" / "config.json").read_text())
    assert settings["task"]["allow_weak_sandbox"] is True


def test_eval_keeps_the_layers_in_its_facts(warm_model: Path, tmp_path: Path, capsys):
    flags = [
        "--task",
        "mbpp_plus",
        "--data",
        str(FIXTURES / "mbpp_plus.jsonl"),
        "--model",
        str(warm_model),
        "--out",
        str(tmp_path),
        "--problems",
        "2",
    ]
    assert main(["eval", *flags, "--max-new-tokens", "8", "--device", "cpu"]) == 0
    assert json.loads((tmp_path / "facts.json").read_text())["sandbox_layers"] == LAYERS
    assert f"Sandbox layers: {', '.join(LAYERS)}" in capsys.readouterr().out
