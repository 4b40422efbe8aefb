"""The demo in which a model learns to call a tool: its habits, that it runs whole, and what it promises."""

import json
from pathlib import Path

import pytest
from palaestra.tasks.core import registry
from palaestra.tasks.core.episode import play
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.demos import calculator as demo
from palaestra.trainer.demos.settings import CalculatorConfig
from palaestra.trainer.supervised.loop import choose_batch
from palaestra.verifiers import Completion
from transformers import AutoModelForCausalLM


def test_one_demonstration_in_so_many_calls_the_tool_and_all_of_them_pass():
    task = registry.get("calculator")
    problems = task.problems("train", 4 * demo.EVERY, 0, demo.LEVEL)
    mixed = demo.mix_habits(task, problems)
    played = [play(mixed, problem) for problem in problems]
    called = [demo.has_called(completion) for completion in played]
    assert [at for at, calls in enumerate(called) if calls] == [0, demo.EVERY, 2 * demo.EVERY, 3 * demo.EVERY]
    assert all(task.score(each, problem).passed for each, problem in zip(played, problems, strict=True))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_fit_takes_the_demonstrations_in_the_order_given(seed: int):
    placed = demo.order_for_fit(range(4 * demo.BATCH), seed)
    for step in range(4):
        taken = [placed[place] for place in choose_batch(len(placed), demo.BATCH, step, seed)]
        assert taken == list(range(step * demo.BATCH, (step + 1) * demo.BATCH))


def test_only_a_call_that_ran_to_its_end_is_counted():
    ran, failed = ({"name": "calculator", "result": "1", "ok": ok} for ok in (True, False))
    assert demo.has_called(Completion("x", state={"calls": [failed, ran]}))
    assert not demo.has_called(Completion("x", state={"calls": [failed]}))
    assert not demo.has_called(Completion("<tool_call>", state={"calls": []}))
    assert not demo.has_called(Completion("cut before the world was asked"))


def test_without_weights_the_demo_says_what_to_give(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(demo, "find_weights", lambda *_: None)
    with pytest.raises(UserError, match="as --model"):
        demo.run_calculator(CalculatorConfig(out=str(tmp_path / "demo")))
    assert not (tmp_path / "demo").exists()


def test_the_demo_runs_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    config = CalculatorConfig(
        model="embedded", sft_steps=1, steps=1, control_steps=1, eval_problems=2, out=str(tmp_path / "demo"),
        threads=1,
    )  # fmt: skip
    assert demo.run_calculator(config) == 0
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text())
    assert list(summary["arms"]) == ["as it comes", "after SFT", "then GRPO", "instead more SFT"]
    assert all(arm["sampled"]["problems"] == 2 for arm in summary["arms"].values())
    assert all(arm["calls"]["greedy"]["problems"] == 2 for arm in summary["arms"].values())
    assert summary["gain"]["problems"] == 2
    said = capsys.readouterr().out
    assert "then GRPO (" in said
    assert f"--model {tmp_path / 'demo' / 'model'}" in said
    AutoModelForCausalLM.from_pretrained(tmp_path / "demo" / "model")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_real_model_learns_to_call_the_tool(tmp_path: Path, seed: int):
    config = CalculatorConfig(seed=seed, controls=False, out=str(tmp_path / "demo"))
    assert demo.run_calculator(config) == 0
    arms = json.loads((tmp_path / "demo" / "summary.json").read_text())["arms"]
    for measured in (
        {name: arm["sampled"]["pass_at"]["1"]["value"] for name, arm in arms.items()},
        {name: arm["calls"]["sampled"]["value"] for name, arm in arms.items()},
    ):
        assert measured["as it comes"] < 0.1
        assert measured["after SFT"] < 0.1
        assert measured["then GRPO"] >= 0.8
