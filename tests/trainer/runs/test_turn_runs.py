"""Whole runs with credit by turns: recorded, gone on with to the bit, judged anew; and what is refused."""

import json
from pathlib import Path

import pytest
from palaestra.tasks import get
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.rescoring.rescore import rescore
from palaestra.trainer.runs.checks import check_train
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train

from ..support.runs import SMALL, have_same_weights, say_nothing
from ..support.taught import teach

PAID = '''
import palaestra as pal

class Nearing:
    """Pays a guess by how much nearer it is than the best so far."""

    def __init__(self, problem):
        self.secret, self.best, self.state, self.reward = int(problem.reference), 10, "open", 0.0

    def reply(self, said):
        guess = said.strip()
        away = abs(int(guess) - self.secret) if guess.isdecimal() and len(guess) < 4 else 10
        self.reward, self.best = max(0, self.best - away) / 10, min(self.best, away)
        if away == 0:
            self.state = "found"
            return None
        return "higher" if guess.isdecimal() and int(guess) < self.secret else "lower"

def halve(problem):
    low, high = 1, 10
    while True:
        guess = (low + high) // 2
        heard = yield str(guess)
        low, high = (guess + 1, high) if heard == "higher" else (low, guess - 1)

found = pal.criteria.reached(lambda state: state == "found")

@pal.task(
    "nearing",
    rubric=pal.Rubric(found, pal.criteria.turn_rewards()),
    episode=Nearing,
    player=halve,
    limits=pal.EpisodeLimits(turns=5, tokens_per_turn=8),
)
def nearing(rng, level):
    """Guess a number."""
    secret = rng.randint(1, 10)
    yield pal.Problem("Guess a number from 1 to 10.", str(secret), key=str(rng.random()))
'''
BY_TURN = {"advantages.turns": "gigpo", "advantages.turn_gamma": 0.9}


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("task") / "nearing.py"
    path.write_text(PAID)
    return str(path)


@pytest.fixture(scope="module")
def model(task: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a model that guesses right now and then."""
    return str(teach(get(task), tmp_path_factory.mktemp("player")))


def begin(task: str, model: str, out: Path, **settings: object) -> Path:
    plain = {
        **{"task": task, "option": (), "model": model, "max_new_tokens": 60, "steps": 3, "eval_problems": 4},
        **{"eval_samples": 1, "preflight_problems": 0, "eval_every": 0, "save_every": 1},
    }
    train(SMALL.but(out=str(out), **(plain | settings)), say=say_nothing)
    return out


def read(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.slow
def test_a_run_with_credit_by_turns_is_gone_on_with_to_the_bit_and_judged_anew(
    task: str, model: str, tmp_path: Path
):
    whole = begin(task, model, tmp_path / "whole", **BY_TURN)
    parts = begin(task, model, tmp_path / "parts", stop_after=2, **BY_TURN)
    resume(parts, {}, say_nothing)
    plain = begin(task, model, tmp_path / "plain")
    assert have_same_weights(parts / "model", whole / "model")
    assert not have_same_weights(plain / "model", whole / "model")
    rows = read(whole / "rollouts.jsonl")
    assert any(turn.get("reward", 0) > 0 for row in rows for turn in row["turns"])
    assert any(sum(row["verdicts"]["turn_rewards"]["by_turn"]) > 0 for row in rows)
    steps = [line for line in read(whole / "metrics.jsonl") if line["kind"] == "step"]
    assert all(0 <= step["episodes"]["turn_rewards"]["1"] <= 0.5 for step in steps)
    found = rescore(whole)
    assert found.same_rubric
    assert found.changes.equal == found.changes.completions == len(rows)
    assert found.credits is not None
    credited = [each for group in found.credits.groups for each in group.before_G]
    assert credited == pytest.approx([row["advantage"] for row in rows], abs=2e-5)
    assert credited == [each for group in found.credits.groups for each in group.after_G]


@pytest.mark.slow
def test_ppo_with_turn_rewards_is_gone_on_with_to_the_bit(task: str, model: str, tmp_path: Path):
    settings = {"algorithm": "ppo", "ppo.turn_rewards": True, "ppo.turn_gamma": 0.9, "ppo.kl.kl_coef": 0.0}
    whole = begin(task, model, tmp_path / "whole", **settings)
    parts = begin(task, model, tmp_path / "parts", stop_after=2, **settings)
    resume(parts, {}, say_nothing)
    assert have_same_weights(parts / "model", whole / "model")


@pytest.mark.slow
def test_a_mixture_with_single_turns_ahead_of_the_updates_is_trained(task: str, model: str, tmp_path: Path):
    both = f"{task}:1,gcd:1"
    for name in ("returns", "mt_grpo", "gigpo"):
        settings = {"advantages.turns": name, "advantages.turn_gamma": 0.9, "staleness": 1, "steps": 2}
        out = begin(both, model, tmp_path / name, **settings)
        assert len({row["id"].partition("/")[0] for row in read(out / "rollouts.jsonl")}) == 2


REFUSED = [
    ({"advantages.turn_gamma": 0.9}, "turn_gamma=0.9 would have no effect"),
    ({"advantages.turns": "returns", "advantages.turn_weight": 2.0}, "turns='gigpo' alone reads it"),
    ({"advantages.turns": "gigpo", "advantages.baseline": "none"}, "baseline='none' compares nothing"),
    (
        {
            "advantages.turns": "returns",
            "advantages.aggregation": "normalise_then_sum",
            "advantages.scale": "group",
        },
        "compares each criterion of whole completions",
    ),
    ({"preset": "gmpo", "advantages.turns": "returns"}, "gmpo is one number per sequence"),
    ({"algorithm": "ppo", "advantages.turns": "returns"}, "does not compare the completions of a prompt"),
    ({"ppo.turn_rewards": True}, "--algorithm ppo would"),
    ({"task": "gcd", "advantages.turns": "returns"}, "the problems of gcd have single turns"),
    ({"task": "gcd", "algorithm": "ppo", "ppo.turn_lam": 0.5}, "--ppo.turn-lam 0.5 would have no effect"),
    ({"task": "number_guess", "algorithm": "ppo", "ppo.turn_rewards": True}, "no criterion of number_guess"),
    ({"task": "number_guess", "advantages.turns": "mt_grpo"}, "no criterion of number_guess judges turn by"),
]


@pytest.mark.parametrize(("settings", "says"), REFUSED, ids=str)
def test_what_would_have_no_effect_is_refused(settings: dict, says: str, task: str, tmp_path: Path):
    with pytest.raises(UserError, match=says):
        check_train(TrainConfig.of(**({"task": task, "out": str(tmp_path / "out")} | settings)))


@pytest.mark.parametrize(
    "settings",
    [BY_TURN, {"advantages.turns": "mt_grpo"}, {"algorithm": "ppo", "ppo.turn_rewards": True}],
    ids=str,
)
def test_what_acts_is_taken(settings: dict, task: str, tmp_path: Path):
    check_train(TrainConfig.of(task=task, out=str(tmp_path / "out"), **settings))
