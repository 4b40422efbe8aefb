"""Shapes of public models: as many parameters as their authors count, and config files that are read or
refused."""

import json

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.plan import PlanConfig
from palaestra.trainer.planning.checks import check_plan
from palaestra.trainer.planning.shapes import find_shape

PUBLISHED = {  # parameters, from the models' safetensors
    "Qwen/Qwen2.5-0.5B": 494_032_768,
    "Qwen/Qwen2.5-7B": 7_615_616_512,
    "Qwen/Qwen2.5-72B": 72_706_203_648,
    "Qwen/Qwen3-0.6B": 596_049_920,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "meta-llama/Llama-3.1-70B": 70_553_706_496,
    "HuggingFaceTB/SmolLM2-135M": 134_515_008,
    "mistralai/Mistral-7B-v0.3": 7_248_023_552,
    "embedded": 390_784,
}
CONFIG = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100, "tie_word_embeddings": True,
}  # fmt: skip


@pytest.mark.parametrize(("name", "parameters"), PUBLISHED.items())
def test_a_known_shape_has_the_published_parameters(name: str, parameters: int):
    assert find_shape(name).parameters == parameters


def test_a_name_is_found_without_its_owner_and_as_the_instructed_model():
    assert find_shape("qwen2.5-7b-instruct") is find_shape("Qwen/Qwen2.5-7B")


def test_a_config_file_or_its_folder_gives_the_shape(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    shape = find_shape(str(tmp_path))
    assert shape == find_shape(str(tmp_path / "config.json"))
    layer = 64 * (2 * 64 + 2 * 32) + 3 * 64 * 160
    assert (shape.layer_weights, shape.head_size) == (layer, 16)
    assert shape.parameters == 3 * (layer + 2 * 64) + 100 * 64 + 64


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "mixtral"}, "model_type is 'mixtral'"),
        ({"hidden_size": "wide"}, "hidden_size is 'wide'"),
        ({"num_hidden_layers": -1}, "num_hidden_layers is -1"),
    ],
)
def test_a_config_that_is_no_dense_decoder_is_refused(tmp_path, change, words: str):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG | change))
    with pytest.raises(UserError, match=words):
        find_shape(str(path))
    path.write_text("[")
    with pytest.raises(UserError, match=r"can't be read"):
        find_shape(str(path))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": "Qwen/Qwen2.5-8B"}, r"Did you mean .*Qwen2.5-"),
        ({"gpu": "h1000"}, "Did you mean h100"),
        ({"sampler_gpus": 2}, "--engine vllm"),
        ({"shard": "fsdp"}, "--gpus 2 or more"),
        ({"gpu": "here", "gpus": 2}, "this machine alone"),
        ({"mean_tokens": 300}, "above --max-new-tokens 256"),
        ({"gpus": 64}, "Raise --prompts-per-step"),
    ],
)
def test_settings_that_make_no_plan_are_a_sentence(settings, words: str):
    with pytest.raises(UserError, match=words):
        check_plan(PlanConfig.of(**settings))
