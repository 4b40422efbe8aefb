"""The demos: that they run whole, and what they promise."""

import json
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.cli.demo import main
from palaestra.trainer.demos import frozen_lake
from palaestra.trainer.demos.frozen_lake import FrozenLakeConfig, run_frozen_lake
from palaestra.trainer.demos.ice_cream import IceCreamConfig, run_ice_cream


def test_ice_cream_runs_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    config = IceCreamConfig(
        sft_steps=20, reward_model_steps=8, steps=2, out=str(tmp_path / "demo"), threads=1
    )
    assert run_ice_cream(config) == 0
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text())
    for probabilities in (summary["before"], *summary["after"].values()):
        assert probabilities.keys() == {"cream", "hockey", "donkey"}
        assert 0 < sum(probabilities.values()) <= 1.0001
    assert (tmp_path / "demo" / "ppo" / "overoptimisation.png").is_file()
    assert "PPO, reward model" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ice_cream_goes_from_a_third_to_cream(tmp_path: Path, seed: int):
    assert run_ice_cream(IceCreamConfig(seed=seed, out=str(tmp_path / "demo"), threads=1)) == 0
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text())
    assert 0.28 < summary["before"]["cream"] < 0.39
    assert summary["after"]["ppo"]["cream"] > 0.95
    assert summary["after"]["grpo"]["cream"] > 0.95


def test_frozen_lake_runs_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(frozen_lake, "PROMPTS", 2)  # a model that has learnt nothing writes long turns
    config = FrozenLakeConfig(
        sft_steps=4, demonstrations=200, steps=1, eval_problems=4, out=str(tmp_path / "demo"), threads=1
    )
    assert run_frozen_lake(config) == 0
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text())
    assert summary["ppo"]["gain"]["problems"] == 4
    assert summary["sft"]["sampled"]["samples"] == 2
    assert summary["planner"] == 1


@pytest.mark.slow
def test_frozen_lake_is_crossed_nine_times_in_ten_from_a_weak_start(tmp_path: Path):
    assert run_frozen_lake(FrozenLakeConfig(out=str(tmp_path / "demo"), threads=1)) == 0
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text())
    assert summary["sft"]["greedy"]["pass_at"]["1"]["value"] < 0.6
    for algorithm in ("ppo", "grpo"):
        assert summary[algorithm]["greedy"]["pass_at"]["1"]["value"] >= 0.9
        assert summary[algorithm]["gain"]["low"] > 0.2


def test_an_unknown_demo_names_the_nearest():
    with pytest.raises(UserError, match="Did you mean ice_cream"):
        main(["icecream"])
