"""Loading: the embedded model and its tokenizer, and what is said of folders that are no models."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from palaestra.tasks import Problem
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.model.embedded import CHARACTERS, TAGS, make_character_tokenizer
from palaestra.trainer.model.policy import ALIGNMENT, enable_gradient_checkpointing, load_policy
from palaestra.trainer.model.prompts import PromptFormat
from transformers import AutoModelForCausalLM, AutoTokenizer

from ..support.tiny import make_tiny

TOKENIZER = make_character_tokenizer()


@given(st.lists(st.sampled_from([*CHARACTERS, *TAGS])).map("".join))
def test_the_character_tokenizer_round_trips(text: str):
    assert TOKENIZER.decode(TOKENIZER(text).input_ids) == text


def test_it_round_trips_through_auto_tokenizer_with_a_real_unknown_token(tmp_path: Path):
    TOKENIZER.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "12+3=é<think>1\n2</think><answer>15</answer>"
    assert loaded(text).input_ids == TOKENIZER(text).input_ids
    assert TOKENIZER(text).input_ids.count(TOKENIZER.unk_token_id) == 1
    assert (loaded.eos_token_id, loaded.pad_token_id) == (TOKENIZER.eos_token_id, TOKENIZER.pad_token_id)
    assert len({loaded.eos_token_id, loaded.pad_token_id, loaded.unk_token_id}) == 3


def test_the_embedded_model_depends_on_its_seed_alone_and_leaves_the_global_generator_alone():
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    first, again, other = (load_policy("embedded", "cpu", "float32", seed=seed).model for seed in (1, 1, 2))
    assert torch.rand(1) == expected
    left, right, third = (model.get_input_embeddings().weight for model in (first, again, other))
    assert torch.equal(left, right)
    assert not torch.equal(left, third)
    assert 380_000 < sum(p.numel() for p in first.parameters()) < 400_000


def test_loaded_weights_lie_where_torch_would_put_them(tmp_path: Path):
    """Else a resumed run rounds otherwise than the one that went on."""
    made = load_policy("embedded", "cpu", "float32")
    made.save(tmp_path)
    raw = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert any(weight.data_ptr() % ALIGNMENT for weight in raw.parameters()), "the file's layout was to show"
    loaded = load_policy(str(tmp_path), "cpu", "float32").model
    assert not any(weight.data_ptr() % ALIGNMENT for weight in loaded.parameters())
    for one, other in zip(made.model.parameters(), loaded.parameters(), strict=True):
        assert torch.equal(one, other)
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight


def test_a_chat_template_is_used_where_there_is_one():
    tokenizer = make_character_tokenizer()
    problem = Problem("2+2=")
    assert tokenizer.decode(PromptFormat.of(tokenizer).encode(problem, "Be brief.")) == "2+2=\nBe brief.\n"
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}{% if "
        "add_generation_prompt %}[me] {% endif %}"
    )
    assert (
        tokenizer.decode(PromptFormat.of(tokenizer).encode(problem, "Be brief."))
        == "[user] 2+2=\n\nBe brief.[me] "
    )
    chat = Problem([{"role": "system", "content": "S"}, {"role": "user", "content": "U"}])
    assert tokenizer.decode(PromptFormat.of(tokenizer).encode(chat)) == "[system] S[user] U[me] "
    assert chat.prompt[-1]["content"] == "U", "the problem itself must not change"


def test_a_completion_to_imitate_ends_with_the_end_token():
    assert PromptFormat.of(TOKENIZER).encode_completion("4")[-1] == TOKENIZER.eos_token_id


def test_a_folder_that_is_no_model_is_refused_with_the_fix(tmp_path: Path):
    with pytest.raises(UserError, match="is not a model folder"):
        load_policy(str(tmp_path))
    with pytest.raises(UserError, match="There is no model folder"):
        load_policy(str(tmp_path / "none"))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="could not be loaded"):
        load_policy(str(tmp_path))
    inner = tmp_path / "run" / "model"
    load_policy("embedded", "cpu").save(inner)
    with pytest.raises(UserError, match=f"Did you mean {inner}"):
        load_policy(str(tmp_path / "run"))


def test_an_end_token_beyond_the_vocabulary_is_a_sentence(tmp_path: Path):
    policy = load_policy("embedded", "cpu")
    policy.tokenizer.add_special_tokens({"eos_token": "<late>"})
    policy.save(tmp_path)
    with pytest.raises(UserError, match=r"end token <late> is number 103, and the model has 103 tokens"):
        load_policy(str(tmp_path))


def test_asking_for_a_missing_gpu_is_a_sentence():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(UserError, match="--device cpu"):
        load_policy("embedded", device="cuda")


def test_gradient_checkpointing_of_a_model_that_has_none_is_refused():
    model = make_tiny("gpt2")
    model.supports_gradient_checkpointing = False
    with pytest.raises(UserError, match=r"type gpt2 .* leave out --gradient-checkpointing"):
        enable_gradient_checkpointing(model)
    enable_gradient_checkpointing(make_tiny("gpt2"))


LOAD_FROM_CACHE = """
import sys
from palaestra.trainer.model.policy import load_policy

print(load_policy("org/tiny", "cpu").parameters)
"""


def test_a_model_in_the_hub_s_cache_is_loaded_without_the_hub(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    cache = tmp_path / "hub/models--org--tiny"
    load_policy("embedded", "cpu").save(cache / "snapshots/abc")
    (cache / "refs").mkdir()
    (cache / "refs/main").write_text("abc")
    asked = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": f"http://127.0.0.1:{closed}"}
    switches = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE")
    kept = {name: value for name, value in os.environ.items() if name not in switches}
    done = subprocess.run(
        [sys.executable, "-c", LOAD_FROM_CACHE],
        env={**kept, **asked},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.stdout == "390784\n", done.stderr
    assert "Retrying" not in done.stderr
