"""Win-rates against a baseline, by hand; and `palaestra eval` with a reward model and a baseline."""

import json
import math
from pathlib import Path

import pytest
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.cli.eval import main
from palaestra.trainer.evaluation.winrate import compute_win_rate
from palaestra.trainer.intervals import mean_interval
from palaestra.trainer.model.policy import load_policy
from palaestra.trainer.reward_models.model import make_reward_model


def test_every_pair_of_a_problem_counts_and_problems_weigh_alike():
    found = compute_win_rate(
        {"a": [1.0, 3.0], "b": [5.0], "only": [1.0]}, {"a": [2.0], "b": [5.0, 4.0, 6.0, 5.0], "other": [1.0]}
    )
    assert found.rate.value == pytest.approx((0.5 + (0.5 + 1 + 0 + 0.5) / 4) / 2)
    assert (found.wins, found.ties, found.losses) == (
        pytest.approx(2 / 6),
        pytest.approx(2 / 6),
        pytest.approx(2 / 6),
    )
    assert found.unmatched == 2
    assert found.rate.problems == 2


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """200 problems whose completions win with chance 0.6: the interval contains 0.6 in at least 90 of 100
    repetitions."""
    generator = torch.Generator().manual_seed(0)
    hits = 0
    for _ in range(100):
        ours = {str(p): [float(torch.rand((), generator=generator) < 0.6)] for p in range(200)}
        found = compute_win_rate(ours, {key: [0.5] for key in ours})
        hits += found.rate.low <= 0.6 <= found.rate.high
    assert hits >= 90


def test_nothing_in_common_is_no_number():
    found = compute_win_rate({"a": [1.0]}, {"b": [1.0]})
    assert math.isnan(found.rate.value)
    assert (found.rate.low, found.rate.high) == (0.0, 1.0)


def test_means_weigh_problems_alike():
    assert mean_interval([[1.0, 1.0, 1.0], [0.0], []], 0, 1).value == 0.5


def test_the_command_reports_the_learned_reward_and_the_win_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    policy = load_policy("embedded", "cpu", "float32", seed=1)
    policy.save(tmp_path / "policy")
    judge = make_reward_model(policy)
    torch.nn.init.normal_(judge.model.score.weight)
    (tmp_path / "judge").mkdir()
    judge.save(tmp_path / "judge")
    models = ["--model", str(tmp_path / "policy"), "--reward-model", str(tmp_path / "judge")]
    flags = [*["--task", "addition", "--problems", "4", "--max-new-tokens", "5", "--device", "cpu"], *models]
    assert main([*flags, "--out", str(tmp_path / "one")]) == 0
    summary = json.loads((tmp_path / "one" / "summary.json").read_text())
    assert summary["learned"]["reward_model"]["problems"] == 4
    assert summary["pass_at"]["1"]["value"] == 0
    assert summary["extraction"] == "strict"
    assert "lenient" not in capsys.readouterr().out
    assert main([*flags, "--out", str(tmp_path / "read leniently"), "--extraction", "lenient"]) == 0
    assert json.loads((tmp_path / "read leniently" / "summary.json").read_text())["extraction"] == "lenient"
    assert "lenient extraction" in capsys.readouterr().out
    capsys.readouterr()
    assert main([*flags, "--out", str(tmp_path / "two"), "--baseline", str(tmp_path / "one")]) == 0
    win = json.loads((tmp_path / "two" / "summary.json").read_text())["win_rate"]["reward_model"]
    assert win["ties"] == 1, "greedy twice is the same text"
    assert win["rate"]["value"] == 0.5
    said = capsys.readouterr().out
    assert "no pass-rate" in said
    assert "win-rate by reward_model" in said
    with pytest.raises(UserError, match="of other problems"):
        main([*flags, "--seed", "9", "--out", str(tmp_path / "three"), "--baseline", str(tmp_path / "one")])
