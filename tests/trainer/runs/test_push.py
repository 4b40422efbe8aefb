"""A run's model for others: what is written, what stays, and what is refused with a sentence."""

import json
import re
import shutil
import tomllib
from dataclasses import asdict
from pathlib import Path

import palaestra as pal
import pytest
import yaml
from huggingface_hub import constants
from palaestra.tasks.core.errors import UserError
from palaestra.tasks.core.markdown import fence
from palaestra.trainer.cli.main import main
from palaestra.trainer.config.settings import merge
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.runs.card import read_licence
from palaestra.trainer.runs.push import push

from ..support.fake_hub import NOBODY, FakeHub, serve_hub
from ..support.runs import say_nothing

ESTIMATES = [
    {"value": value, "low": value - 0.1, "high": value + 0.1, "problems": 200, "excluded": 0}
    for value in (0.2, 0.6)
]
SECRET = "hf_abcdefghij"
FACTS = {
    "command": "train",
    "sources": {},
    "packages": {"palaestra": "0.1.0", "torch": "2.9"},
    "policy": {"source": "maker/base", "parameters": 7},
    "task": {
        "name": "gcd",
        "kind": "math",
        "summary": "Numbers | <script>alert(1)</script>",
        "source": "owner/data (main)",
        "licence": "MIT",
        "citation": "",
        "instruction": "Say it in ```one``` line.",
    },
    "chat_template": None,
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run that has ended, with all that must not leave this machine."""
    folder = tmp_path / "runs" / "mine"
    (folder / "model").mkdir(parents=True)
    config = {
        "steps": 2,
        "task": "gcd",
        "model": "maker/base",
        "preset": "dr-grpo",
        "system": 'Be "brief".\n😀',
    }
    config["prompt_template"] = str(tmp_path / "home" / "chat.jinja")
    (folder / "config.json").write_text(json.dumps(asdict(TrainConfig.of(**config))))
    (folder / "facts.json").write_text(json.dumps(FACTS))
    lines = [
        {
            "kind": "evaluation",
            "step": step,
            "sampled": {"problems": 200, "pass_at": {"1": estimate}},
            "greedy": {"problems": 200, "pass_at": {"1": estimate}},
        }
        for step, estimate in zip((0, 2), ESTIMATES, strict=True)
    ]
    steps = [{"kind": "step", "step": step, "seconds": {"sample": 30, "update": 15}} for step in (1, 2)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines, *steps]))
    (folder / "rollouts.jsonl").write_text("{}\n")
    (folder / "model" / "config.json").write_text(json.dumps({"_name_or_path": "/home/me/secret", "x": 1}))
    for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (folder / "model" / name).write_text("{}")
    for name in (".env", "token.txt", "completions.jsonl", "trainer_state.pt", "notes.json"):
        (folder / "model" / name).write_text(SECRET)
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    with serve_hub() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.endpoint)
        yield served


WRITTEN = ["README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]


def test_a_repository_is_made_private_and_holds_the_model_and_its_card_alone(run: Path, hub: FakeHub):
    hub.cards["maker/base"] = {"license": "apache-2.0"}
    said: list[str] = []
    pushed = push(run, "me/mine", say=said.append)
    assert hub.private == {"me/mine": True}
    assert sorted(hub.files["me/mine"]) == sorted(pushed.files) == WRITTEN
    assert said == ["me/mine: a new private repository."]
    assert pushed.place == f"{hub.endpoint}/me/mine"
    assert hub.messages == ["palaestra: GRPO (dr-grpo) of maker/base on gcd, 2 of 2 steps in 1.5 minutes"]
    assert hub.tokens == {f"Bearer {SECRET}"}
    everything = b"".join(hub.files["me/mine"].values())
    assert SECRET.encode() not in everything
    assert b"/home/" not in everything
    assert str(run.parent).encode() not in everything
    card = hub.files["me/mine"]["README.md"].decode()
    head = yaml.safe_load(card.split("---")[1])
    assert head["license"] == "apache-2.0"
    assert head["base_model"] == "maker/base"
    assert head["datasets"] == ["owner/data"]


def test_a_second_push_adds_a_commit_and_drops_weights_of_other_names(run: Path, hub: FakeHub):
    push(run, "me/mine", public=True, say=say_nothing)
    assert hub.private == {"me/mine": False}
    (run / "model" / "model.safetensors").rename(run / "model" / "model-00001-of-00001.safetensors")
    with pytest.raises(UserError, match=r"there already, and public.*--public"):
        push(run, "me/mine", say=say_nothing)
    push(run, "me/mine", public=True, say=say_nothing)
    assert len(hub.messages) == 2
    assert "model.safetensors" not in hub.files["me/mine"]
    assert "model-00001-of-00001.safetensors" in hub.files["me/mine"]


def test_the_command_writes_to_the_hub(run: Path, hub: FakeHub, capsys: pytest.CaptureFixture[str]):
    assert main(["push", str(run), "--to", "me/mine"]) == 0
    assert f"5 files in {hub.endpoint}/me/mine" in capsys.readouterr().out
    assert hub.private == {"me/mine": True}


def test_the_card_says_what_was_trained_to_what_effect_and_on_whose_terms(run: Path, tmp_path: Path):
    push(run, str(tmp_path / "given"), say=say_nothing)
    assert sorted(path.name for path in (tmp_path / "given").iterdir()) == WRITTEN
    card = (tmp_path / "given" / "README.md").read_text()
    assert "| pass@1 sampled | 20.0 % [10.0, 30.0] | 60.0 % [50.0, 70.0] |" in card
    assert "[maker/base](https://huggingface.co/maker/base), trained by GRPO (dr-grpo) on gcd: 2 of 2" in card
    assert "- the base model: unknown\n- the data of the task gcd: MIT" in card
    assert "<script>" not in card
    assert "system" in card
    settings = tomllib.loads(card.split("```toml\n")[1].split("\n```")[0])
    assert settings["prompt_template"] == "chat.jinja"
    kept = {name: value for name, value in settings.items() if name != "prompt_template"}
    config = merge(TrainConfig(), kept, "card")
    assert config.but(prompt_template=str(tmp_path / "home" / "chat.jinja")) == merge(
        TrainConfig(), json.loads((run / "config.json").read_text()), "run"
    )


def test_the_lines_of_the_card_run_and_the_model_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    fit = pal.sft(
        task="gcd", out="runs/given", steps=1, demonstrations=8, eval_problems=2, threads=1, say=say_nothing
    )
    pushed = pal.push(fit, "./given", say=say_nothing)
    card = Path(pushed.place, "README.md").read_text()
    code = card.split("```python\n")[1].split("\n```")[0].replace("max_new_tokens=256", "max_new_tokens=4")
    assert code.count("max_new_tokens=4") == 1
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.endswith("\n")
    assert "| loss |" in card
    assert "no base model: made from nothing" in card


def test_adapters_are_given_beside_the_merged_weights_without_the_folders_of_this_machine(
    run: Path, tmp_path: Path
):
    (run / "adapter").mkdir()
    (run / "adapter" / "adapter_model.safetensors").write_text("{}")
    (run / "adapter" / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": "/home/me/base", "r": 8})
    )
    pushed = push(run, str(tmp_path / "given"), say=say_nothing)
    assert {"adapter/adapter_config.json", "adapter/adapter_model.safetensors"} <= {*pushed.files}
    written = json.loads((tmp_path / "given" / "adapter" / "adapter_config.json").read_text())
    assert written == {"base_model_name_or_path": "base", "r": 8}
    assert 'subfolder="adapter"' in (tmp_path / "given" / "README.md").read_text()


def test_a_base_that_is_a_runs_own_model_is_followed_to_where_that_began(run: Path, tmp_path: Path):
    second = tmp_path / "runs" / "second"
    shutil.copytree(run, second)
    facts = {**FACTS, "policy": {"source": str(run / "model"), "parameters": 7}}
    (second / "facts.json").write_text(json.dumps(facts))
    push(second, str(tmp_path / "given"), say=say_nothing)
    card = (tmp_path / "given" / "README.md").read_text()
    assert yaml.safe_load(card.split("---")[1])["base_model"] == "maker/base"
    assert "trained by GRPO (dr-grpo) on gcd, then by GRPO (dr-grpo) on gcd:" in card


def test_adapters_of_a_model_that_is_not_on_the_hub_are_not_said_to_be_of_one_that_is(
    run: Path, tmp_path: Path
):
    second = tmp_path / "runs" / "second"
    shutil.copytree(run, second)
    (second / "adapter").mkdir()
    (second / "adapter" / "adapter_config.json").write_text("{}")
    facts = {**FACTS, "policy": {"source": str(run / "model"), "parameters": 7}}
    (second / "facts.json").write_text(json.dumps(facts))
    push(second, str(tmp_path / "given"), say=say_nothing)
    card = (tmp_path / "given" / "README.md").read_text()
    assert "of the model that this run began with, which is not on the hub" in card
    assert "PeftModel" not in card


def test_a_local_base_is_named_by_its_folder_and_its_licence_is_read(run: Path, tmp_path: Path):
    base = tmp_path / "downloads" / "Small-1B"
    base.mkdir(parents=True)
    (base / "README.md").write_text("---\ntags: [x]\nlicense: mit\n---\n# Small\nlicense: gpl\n")
    (run / "facts.json").write_text(json.dumps({**FACTS, "policy": {"source": str(base), "parameters": 7}}))
    push(run, str(tmp_path / "given"), say=say_nothing)
    card = (tmp_path / "given" / "README.md").read_text()
    assert "- the base model: mit" in card
    assert "Small-1B, trained by" in card
    assert str(base.parent) not in card
    assert read_licence(tmp_path) == "unknown"


@pytest.mark.parametrize(
    ("change", "to", "says"),
    [
        (lambda run: shutil.rmtree(run / "model"), "./a", "has not ended.*palaestra resume"),
        (lambda run: (run / "facts.json").unlink(), "./a", "not the folder of a run"),
        (lambda run: (run / "facts.json").write_text("{"), "./a", "damaged"),
        (lambda run: (run / "model" / "model.safetensors").unlink(), "./a", "holds no weights"),
        (lambda run: shutil.rmtree(run), "./a", "There is no folder"),
        (lambda run: None, "mine", "give user/name"),
        (lambda run: None, "a/b/c", "give user/name"),
        (lambda run: None, "", "give user/name"),
        (lambda run: None, f"{NOBODY}/mine", "may not write for nobody"),
    ],
)
def test_what_cannot_be_pushed_is_a_sentence_and_leaves_no_trace(
    run: Path, hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change, to: str, says: str
):
    monkeypatch.chdir(tmp_path)
    change(run)
    with pytest.raises(UserError, match=says):
        push(run, to, say=say_nothing)
    assert not Path("a").exists()
    assert hub.messages == []


def test_the_model_folder_of_a_run_is_taken_for_a_slip(run: Path):
    with pytest.raises(UserError, match=re.escape(f"Did you mean {run}?")):
        push(run / "model", "me/mine", say=say_nothing)


def test_a_run_that_went_on_after_its_end_and_was_stopped_is_refused(run: Path):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "steps": 9}))
    with pytest.raises(UserError, match="2 of 9 steps"):
        push(run, "me/mine", say=say_nothing)


def test_a_folder_that_holds_something_is_refused_and_left_as_it_is(run: Path, tmp_path: Path):
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="there already"):
        push(run, str(tmp_path / "given"), say=say_nothing)
    assert [path.name for path in (tmp_path / "given").iterdir()] == ["mine.txt"]


def test_without_a_token_nothing_is_asked_of_the_hub(
    run: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(tmp_path / "none"))
    with pytest.raises(UserError, match="There is no token for the hub"):
        push(run, "me/mine", say=say_nothing)
    assert hub.asked == []


def test_a_hub_that_cannot_be_reached_is_a_sentence(run: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(UserError, match=r"could not be written.*Check the network"):
        push(run, "me/mine", say=say_nothing)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        push(run, "me/mine", say=say_nothing)


def test_a_block_of_code_is_fenced_by_more_backticks_than_it_has():
    assert fence("a ```` b", "toml").startswith("`````toml\n")
