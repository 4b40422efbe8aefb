"""Folders that something has damaged, or that are another's: sentences with the file and the fix."""

import json
import shutil
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.sft import SFTConfig
from palaestra.trainer.model.policy import load_policy
from palaestra.trainer.reward_models.model import load_reward_model
from palaestra.trainer.runs.replay import replay
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.sft.run import sft

from ..support.runs import say_nothing


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "s1"
    config = SFTConfig.of(
        task="addition",
        steps=4,
        stop_after=2,
        demonstrations=8,
        eval_problems=2,
        threads=1,
        device="cpu",
        out=out,
    )
    sft(config, say=say_nothing)
    return out


@pytest.fixture
def run(stopped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "s1"))


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("facts.json", "{}", r"facts\.json is damaged: it has no 'command'.*another --out"),
        ("facts.json", "[]", r"facts\.json is damaged: it has no 'command'"),
        ("facts.json", "{", r"facts\.json is damaged: it is no JSON"),
        ("config.json", "", r"config\.json is damaged: it is no JSON"),
        ("config.json", "[]", r"config\.json is damaged: it holds no keys"),
        ("metrics.jsonl", '{"kind": "st\n', r"metrics\.jsonl, line 1 is damaged.*Remove that line"),
        ("metrics.jsonl", "[]\n", r"metrics\.jsonl, line 1 is damaged"),
        (
            "checkpoints/step-000002/trainer_state.pt",
            "no",
            r"trainer_state\.pt is damaged.*Remove the folder",
        ),
        ("checkpoints/step-000002/trainer_state.pt", "", r"trainer_state\.pt is damaged"),
    ],
)
def test_a_damaged_file_is_named_with_the_fix(run: Path, file: str, text: str, says: str):
    (run / file).write_text(text)
    with pytest.raises(UserError, match=says):
        resume(run, {}, say=say_nothing)


def test_a_last_line_that_a_crash_cut_is_forgotten(run: Path):
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "step", "st')
    resume(run, {}, say=say_nothing)
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]


def test_replay_is_for_runs_of_train(run: Path):
    with pytest.raises(UserError, match=r"a run of `palaestra sft`; replay is for runs of `palaestra train`"):
        replay(run, 1)


def test_the_folder_of_a_run_in_place_of_its_model_names_the_model(run: Path):
    for load in (load_policy, load_reward_model):
        with pytest.raises(UserError, match=r"Did you mean .*s1/checkpoints/step-000002\?"):
            load(str(run))
    resume(run, {}, say=say_nothing)
    with pytest.raises(UserError, match=r"Did you mean .*s1/model\?"):
        load_policy(str(run))
