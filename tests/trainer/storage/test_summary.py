"""The five lines of a run, read from its folder."""

import json
from pathlib import Path
from typing import Any

import pytest
from palaestra.trainer.storage.summary import RunSummary, describe_run, write_seconds


def make_run(
    folder: Path, *, config: dict[str, Any], facts: dict[str, Any], lines: list[dict[str, Any]]
) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "facts.json").write_text(json.dumps({"command": "train", **facts}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def measured(step: int, value: float) -> dict[str, Any]:
    found = {"problems": 50, "pass_at": {"1": {"value": value, "low": 0.0, "high": 1.0, "problems": 50}}}
    return {"kind": "evaluation", "step": step, "sampled": found, "greedy": found}


CONFIG = {
    "steps": 9,
    "algorithm": "grpo",
    "task": {"name": "/home/me/my_task.py"},
    "model": {"source": "a/b"},
}
STEP = {"kind": "step", "step": 9, "seconds": {"sample": 60.0, "update": 30.0}}


def test_what_was_trained_how_far_to_what_effect_where_it_is_and_how_it_ended(tmp_path: Path):
    run = make_run(tmp_path / "r", config=CONFIG, facts={}, lines=[measured(0, 0.1), STEP, measured(9, 0.5)])
    (run / "curves.png").touch()
    assert describe_run(run, run / "model", interrupted=False) == [
        f"Run {run}: GRPO of a/b on my_task.py",
        "  9 of 9 steps in 1.5 minutes",
        "  held-out of 50 problems: pass@1 sampled 10.0 % [0.0, 100.0] before, 50.0 % [0.0, 100.0] after; "
        "pass@1 greedy 10.0 % [0.0, 100.0] before, 50.0 % [0.0, 100.0] after",
        f"  the trained model {run / 'model'}, the curves {run / 'curves.png'}",
        "  ended: all of its steps are done",
    ]


def test_a_run_that_was_stopped_says_how_to_go_on(tmp_path: Path):
    run = make_run(tmp_path / "r", config=CONFIG, facts={}, lines=[measured(0, 0.1), {**STEP, "step": 4}])
    lines = describe_run(run, run / "checkpoints/step-000004", interrupted=True)
    assert len(lines) == 5
    assert lines[1] == "  4 of 9 steps in 1.5 minutes"
    assert "after" not in lines[2]
    assert lines[4] == f"  stopped before its end; go on with: palaestra resume {run}"
    assert "start it again" in describe_run(tmp_path, tmp_path / "sft", interrupted=True)[4]


@pytest.mark.parametrize(
    ("config", "facts", "headline"),
    [
        (CONFIG, {"policy": {"source": "embedded"}}, "GRPO of a fresh small model on my_task.py"),
        (CONFIG, {"task": {"name": "my_gcd"}}, "GRPO of a/b on my_gcd"),
        ({**CONFIG, "algorithm": "/x/own.py:Mine"}, {}, "own.py:Mine of a/b on my_task.py"),
        ({**CONFIG, "objective": {"preset": "dapo"}}, {}, "GRPO (dapo) of a/b on my_task.py"),
        ({**CONFIG, "imitation": {"pairs": ["x"]}}, {"command": "sft"}, "SFT of a/b"),
        ({**CONFIG, "task": "gcd"}, {"command": "reward-model"}, "reward model of a/b"),
    ],
)
def test_what_was_trained_in_a_few_words(
    tmp_path: Path, config: dict[str, Any], facts: dict[str, Any], headline: str
):
    assert RunSummary.of(make_run(tmp_path / "r", config=config, facts=facts, lines=[])).headline == headline


def test_a_run_without_a_verifier_shows_its_reward(tmp_path: Path):
    interval = {"value": 0.5, "low": 0.25, "high": 0.75, "problems": 8}
    line = {"kind": "evaluation", "step": 0, "sampled": {"pass_at": {}, "reward_interval": interval}}
    run = make_run(tmp_path / "r", config=CONFIG, facts={}, lines=[line])
    assert RunSummary.of(run).effect == "held-out: reward sampled 0.500 [0.250, 0.750] before"


def test_times_have_the_unit_that_suits_them():
    assert [write_seconds(value) for value in (3, 90, 7200)] == ["3.0 s", "1.5 minutes", "2.0 hours"]
