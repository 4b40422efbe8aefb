"""Whole runs whose episodes are branches: kept, gone on with to the bit, judged again, and refused early."""

import json
from pathlib import Path

import pytest
from palaestra.tasks import UserError, get
from palaestra.trainer import api
from palaestra.trainer.api import evaluate
from palaestra.trainer.config.chat import ChatConfig
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.config.reward_model import RewardModelConfig
from palaestra.trainer.config.sft import SFTConfig
from palaestra.trainer.evaluation.chat import chat
from palaestra.trainer.model.policy import load_policy
from palaestra.trainer.rescoring.rescore import rescore
from palaestra.trainer.runs import setup
from palaestra.trainer.runs.checks import check_eval, check_reward_model, check_sft, check_train
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train

from ..support.runs import SMALL, have_same_weights, say_nothing
from ..support.taught import teach

EXAMPLE = str(Path(__file__).parents[3] / "examples" / "own_episode.py")
TEMPLATE = (  # of an earlier answer its last digit is left
    "{% for m in messages %}{{ m.content[-1:] + ';' if m.role == 'assistant' else m.content }}"
    "{{ '\\n' }}{% endfor %}"
)
SETTINGS = {
    **{"task": EXAMPLE, "option": (), "max_new_tokens": 90, "steps": 2, "trajectories": "branching"},
    **{"eval_problems": 4, "eval_samples": 1, "preflight_problems": 0, "eval_every": 0, "save_every": 1},
}


@pytest.fixture(scope="module")
def begin(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("player")
    model = str(teach(get(EXAMPLE), folder / "model"))
    template = folder / "chat_template.jinja"
    template.write_text(TEMPLATE)

    def run(out: Path, **settings) -> Path:
        chosen = SETTINGS | {"model": model, "prompt_template": str(template), "out": str(out)} | settings
        train(SMALL.but(**chosen), say=say_nothing)
        return out

    return run


def read_rows(file: Path) -> list[dict]:
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for row in rows:
        for verdict in row["verdicts"].values():
            verdict.pop("seconds")
    return rows


def test_a_run_is_gone_on_with_to_the_bit_and_its_record_is_a_conversation(begin, tmp_path: Path):
    whole, parts = begin(tmp_path / "whole"), begin(tmp_path / "parts", stop_after=1)
    resume(parts, {}, say_nothing)
    rows = read_rows(whole / "rollouts.jsonl")
    assert read_rows(parts / "rollouts.jsonl") == rows
    assert have_same_weights(parts / "model", whole / "model")
    assert len({row["reward"] for row in rows}) > 1
    talked = [row for row in rows if "rewinds" in row]
    assert talked
    for row in talked:
        said = [turn["text"] for turn in row["turns"] if turn["role"] == "policy"]
        assert row["completion"] == "\n".join(said)
        counts = row["tokens_by_turn"]
        assert len(counts[::2]) == len(said) == len(row["rewinds"]) + 1
        assert sum(counts) == len(row["token_ids"]) <= 90
        assert sum(counts[::2]) == row["tokens"]
        places = [rewind["place"] for rewind in row["rewinds"]]
        assert places == [sum(counts[: 2 * turn + 1]) for turn in range(len(places))]
    metrics = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    differences = [line["logprob_difference_max"] for line in metrics if line.get("logprob_difference_max")]
    assert differences
    assert max(differences) < 1e-4


@pytest.mark.slow
def test_a_run_is_judged_again_alike(begin, tmp_path: Path):
    whole = begin(tmp_path / "whole")
    rows = read_rows(whole / "rollouts.jsonl")
    judged = rescore(whole, say=say_nothing)
    assert judged.same_rubric
    assert judged.changes.equal == judged.changes.completions == len(rows)
    credited = [each for group in judged.credits.groups for each in group.before_G]
    assert credited == pytest.approx([row["advantage"] for row in rows], abs=2e-5)


@pytest.mark.slow
def test_learning_by_a_critic_from_branches(begin, tmp_path: Path):
    out = begin(tmp_path / "ppo", algorithm="ppo", steps=1, **{"ppo.critic": "shared"})
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert max(line.get("logprob_difference_max") or 0 for line in metrics) < 1e-4


@pytest.mark.parametrize(
    ("check", "config", "reason"),
    [
        (
            check_train,
            SMALL.but(trajectories="branching"),
            "no effect, since problems of addition have single",
        ),
        (check_train, SMALL.but(**SETTINGS), "the warm-up of .* grow.* Give --sft-steps 0"),
        (check_train, SMALL.but(**SETTINGS, shard="fsdp", sft_steps=0), "a policy in shards"),
        (check_eval, EvalConfig.of(trajectories="branching", model="x"), "no effect, since problems of"),
        (check_sft, SFTConfig.of(trajectories="branching"), "SFT imitates conversations that only grow"),
        (
            check_reward_model,
            RewardModelConfig.of(trajectories="branching", data=(EXAMPLE,)),
            "no effect, since a reward model",
        ),
        (
            check_eval,
            EvalConfig.of(trajectories="branching", task=EXAMPLE, model="x", endpoint="http://127.0.0.1:9"),
            "an endpoint renders the conversation",
        ),
        (
            lambda config: chat(config, (), say_nothing),
            ChatConfig.of(trajectories="branching", task="gcd", model="embedded"),
            "no effect, since problems of gcd have single",
        ),
        (
            lambda config: evaluate(config, policy=load_policy("embedded")),
            EvalConfig.of(trajectories="branching", task="gcd"),
            "no effect, since problems of gcd have single",
        ),
    ],
)
def test_what_can_t_have_branches_is_refused_before_anything_is_loaded(check, config, reason):
    with pytest.raises(UserError, match=rf"^--trajectories branching: .*{reason}"):
        check(config)


def test_a_model_in_memory_has_no_warm_up_that_refuses_branches(monkeypatch):
    begun = []
    monkeypatch.setattr(setup, "train", lambda config, policy, _say: begun.append((config, policy)))
    config, policy = SMALL.but(**SETTINGS), load_policy("embedded")
    api.train(config, policy=policy)
    assert begun == [(config, policy)]
