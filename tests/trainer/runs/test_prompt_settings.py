"""What is said around a problem goes into every prompt of a run, is kept with it, and can't change in it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.cli.main import main as palaestra
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.config.reward_model import RewardModelConfig
from palaestra.trainer.config.settings import SettingError
from palaestra.trainer.config.sft import SFTConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.evaluation.run import evaluate_model
from palaestra.trainer.model.policy import load_policy
from palaestra.trainer.model.prompts import PromptFormat
from palaestra.trainer.reward_models.model import RewardModel
from palaestra.trainer.reward_models.run import fit_to_comparisons
from palaestra.trainer.runs.replay import replay
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train
from palaestra.trainer.sft import fit as sft_fit
from palaestra.trainer.sft.run import sft
from palaestra.trainer.storage.folders import open_existing

from ..support.runs import SMALL, have_same_weights, say_nothing

TEMPLATE = (
    "{% if mark %}{{ mark }}{% endif %}{% for m in messages %}[{{ m.role[0] }}]{{ m.content }}{% endfor %}="
)
SAID = {"system": "Add.", "instruction": "Go", "chat_template_kwargs": {"mark": "#"}}
BEGIN, END = "#[s]Add.[u]", "\n\nGo="


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prompts that reach an engine from here on, as text."""
    texts: list[str] = []
    sample = LocalEngine.sample

    def listen(self, requests, *arguments):
        texts.extend(self.policy.tokenizer.decode(list(request.ids)) for request in requests)
        return sample(self, requests, *arguments)

    monkeypatch.setattr(LocalEngine, "sample", listen)
    return texts


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "chat_template.jinja"
    path.write_text(TEMPLATE)
    return path


def assert_told(texts: list[str]) -> None:
    assert texts
    assert all(text.startswith(BEGIN) and text.endswith(END) for text in texts)


def test_a_run_keeps_its_prompts_to_the_end_and_hands_its_template_on(
    warm_model: Path, template: Path, seen: list[str], tmp_path: Path
):
    """Preflight, rollouts, evaluations, after a stop, in a replay; the file is not read again."""
    config = SMALL.but(model=str(warm_model), prompt_template=str(template), **SAID, force=True)
    train(config.but(out=str(tmp_path / "whole")), say=say_nothing)
    train(config.but(out=str(tmp_path / "run"), stop_after=2), say=say_nothing)
    assert_told(seen)
    template.unlink()
    seen.clear()
    assert resume(tmp_path / "run", {}, say=say_nothing)
    assert have_same_weights(tmp_path / "whole" / "model", tmp_path / "run" / "model")
    assert replay(tmp_path / "run", 3).matches
    assert_told(seen)
    folder = open_existing(tmp_path / "run")
    assert folder.read_facts()["chat_template"] == TEMPLATE
    assert folder.read_config(TrainConfig).prompt.chat_template_kwargs == '{"mark": "#"}'
    seen.clear()
    asked = EvalConfig.of(
        task="addition", model=str(folder.model), problems=3, max_new_tokens=2, out=str(tmp_path / "a")
    )
    evaluate_model(asked, say=say_nothing)
    assert all(text.startswith("[u]") and text.endswith("=") for text in seen), "the template was to be saved"
    seen.clear()
    evaluate_model(asked.but(out=str(tmp_path / "b"), **SAID), say=say_nothing)
    assert_told(seen)


@pytest.mark.parametrize(
    "flags",
    [["--system", "Other"], ["--instruction", ""], ["--prompt-template", "t.jinja"],
     ["--chat-template-kwargs", '{"mark": "!"}']],
)  # fmt: skip
def test_prompts_cannot_change_in_a_run_that_has_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture, flags: list[str]
):
    out = tmp_path / "run"
    config = SFTConfig.of(
        task="addition", steps=2, demonstrations=8, eval_problems=2, threads=1, device="cpu"
    )
    sft(config.but(out=out, stop_after=1), say=say_nothing)
    assert palaestra(["resume", str(out), *flags]) == 2
    assert f"{flags[0]} can't change in a run that has begun" in capsys.readouterr().err


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The prompts of all demonstrations and judged answers from here on, as text."""
    texts: list[str] = []
    tokenizer = load_policy("embedded", "cpu").tokenizer
    prompts = PromptFormat.of(tokenizer)
    make, encode = sft_fit._make_sequences, RewardModel.encode

    def listen(policy, data):
        texts.extend(tokenizer.decode(list(each.prompt)) for each in data)
        return make(policy, data)

    def listen_to_rows(self, problem, text, instruction=""):
        ids = encode(self, problem, text, instruction)
        texts.append(tokenizer.decode(ids[: len(ids) - len(prompts.encode_completion(text))]))
        return ids

    monkeypatch.setattr(sft_fit, "_make_sequences", listen)
    monkeypatch.setattr(RewardModel, "encode", listen_to_rows)
    return texts


def test_demonstrations_and_comparisons_have_them_too(template: Path, encoded: list[str], tmp_path: Path):
    rows = [{"prompt": f"{n}+1", "completion": "2", "chosen": "3", "rejected": "4"} for n in range(40)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = {**SAID, "prompt_template": str(template), "steps": 1, "threads": 1, "device": "cpu"}
    sft(
        SFTConfig.of(pairs=str(tmp_path / "rows.jsonl"), eval_share=0.2, out=tmp_path / "p", **said),
        say=say_nothing,
    )
    assert_told(encoded)
    encoded.clear()
    demonstrated = SFTConfig.of(
        task="addition", demonstrations=4, eval_problems=2, out=tmp_path / "d", **said
    )
    sft(demonstrated, say=say_nothing)
    assert_told(encoded)
    encoded.clear()
    compared = RewardModelConfig.of(
        data=str(tmp_path / "rows.jsonl"), eval_share=0.2, out=tmp_path / "r", **said
    )
    judge = fit_to_comparisons(compared, say=say_nothing).model
    assert_told(encoded)
    encoded.clear()
    asked = EvalConfig.of(
        task="addition", model="embedded", reward_model=str(judge), problems=2, max_new_tokens=2
    )
    said = {**SAID, "prompt_template": str(template), "threads": 1, "device": "cpu"}
    evaluate_model(asked.but(out=tmp_path / "e", **said), say=say_nothing)
    assert_told(encoded)


@pytest.mark.parametrize(
    "value", ["[1]", "{", "3", "null", '{"messages": []}', '{"tokenize": true}', 3, ["x"], None]
)
def test_variables_that_are_no_object_or_not_for_templates_are_refused(value):
    with pytest.raises(SettingError, match="chat_template_kwargs"):
        TrainConfig.of(chat_template_kwargs=value)


def test_variables_may_be_a_table_of_a_file_or_of_python(tmp_path: Path):
    wanted = TrainConfig.of(chat_template_kwargs='{"a": 1, "b": {"c": []}}').prompt
    assert TrainConfig.of(chat_template_kwargs={"b": {"c": []}, "a": 1}).prompt == wanted
    assert TrainConfig.of(**{"prompt.chat_template_kwargs": {"b": {"c": []}, "a": 1}}).prompt == wanted
    assert (
        TrainConfig.of(chat_template_kwargs={}) == TrainConfig.of(chat_template_kwargs="{}") == TrainConfig()
    )


def test_a_template_that_is_not_there_is_found_before_a_model_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture
):
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n' * 2)
    for command in (
        ["train"],
        ["sft"],
        ["eval", "--model", "embedded", "--task", "gcd"],
        ["reward-model", "--data", str(tmp_path / "rows.jsonl")],
    ):
        assert (
            palaestra(
                [*command, "--prompt-template", str(tmp_path / "no.jinja"), "--out", str(tmp_path / "out")]
            )
            == 2
        )
        assert "no.jinja can't be read" in capsys.readouterr().err
    with pytest.raises(UserError, match="has no chat template"):
        train(SMALL.but(chat_template_kwargs={"a": 1}, out=str(tmp_path / "run")), say=say_nothing)


def test_a_run_imitates_the_end_of_the_models_turns_and_sampling_stops_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    policy = load_policy("embedded", "cpu")
    policy.tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}</answer>{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    turn_end = policy.tokenizer.convert_tokens_to_ids("</answer>")
    policy.model.generation_config.eos_token_id = [policy.tokenizer.eos_token_id, turn_end]
    policy.save(tmp_path / "model")
    ends: set[int] = set()
    make = sft_fit._make_sequences

    def listen(policy, data):
        ends.update(each.completion[-1] for each in data)
        return make(policy, data)

    monkeypatch.setattr(sft_fit, "_make_sequences", listen)
    config = SFTConfig.of(task="addition", steps=2, demonstrations=8, eval_problems=2, threads=1)
    model = str(tmp_path / "model")
    sft(config.but(model=model, device="cpu", out=tmp_path / "run", stop_after=1), say=say_nothing)
    assert ends == {turn_end}
    ends.clear()
    assert palaestra(["resume", str(tmp_path / "run")]) == 0
    assert ends == {turn_end}
    assert turn_end in LocalEngine(load_policy(str(tmp_path / "run" / "model"), "cpu")).end_ids
