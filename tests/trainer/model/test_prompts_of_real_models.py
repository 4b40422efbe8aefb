"""Prompts by the chat templates of real models, which lie beside the checkout; skipped where they don't."""

import pytest
from palaestra.tasks import Problem
from palaestra.trainer.config.shared import PromptConfig
from palaestra.trainer.model.prompts import PromptFormat, decode

from ..support.real_templates import TEMPLATES, list_templates, make_real_tokenizer
from ..support.runs import say_nothing
from ..support.tokenizers import BOS

pytestmark = pytest.mark.skipif(not TEMPLATES.is_dir(), reason="the chat templates of real models are absent")
CHATS = {
    "single": [{"role": "user", "content": "What is 2+3?"}],
    "system": [{"role": "system", "content": "Be terse."}, {"role": "user", "content": "What is 2+3?"}],
    "several": [
        {"role": "system", "content": "Be terse."},
        {"role": "user", "content": "What is 1+1?"},
        {"role": "assistant", "content": "It is 2."},
        {"role": "user", "content": "What is 2+3?"},
    ],
    "begun": [{"role": "user", "content": "What is 2+3?"}, {"role": "assistant", "content": "The answer is"}],
}


@pytest.mark.parametrize("name", CHATS)
def test_real_templates_put_every_text_in_its_place(name: str):
    messages = CHATS[name]
    last_user = max(place for place, message in enumerate(messages) if message["role"] == "user")
    for path in list_templates():
        tokenizer = make_real_tokenizer(path)
        ids = PromptFormat.of(tokenizer, say=say_nothing).encode(Problem(messages, id=path.stem), "Box it.")
        text = decode(tokenizer, ids)
        places = [text.index(message["content"]) for message in messages]
        told = text.index("Box it.")
        assert places == sorted(places), path.stem
        assert places[last_user] < told < min([*places[last_user + 1 :], len(text)]), path.stem
        assert "<" not in text[places[last_user] : told], (
            "nothing stands between the question and what it asks for"
        )
        assert ids.count(tokenizer.bos_token_id) <= 1, path.stem
        assert ids[-1] != tokenizer.eos_token_id, path.stem
        assert text.endswith("The answer is") == (name == "begun"), path.stem


def test_ids_are_those_of_apply_chat_template():
    taken = 0
    for path in list_templates():
        tokenizer = make_real_tokenizer(path)
        prompts = PromptFormat.of(tokenizer, say=say_nothing)
        for name in ("single", "system", "several"):
            if prompts.template.takes_parts or (path.stem == "gemma" and name != "single"):
                continue  # the messages are put otherwise
            theirs = tokenizer.apply_chat_template(
                CHATS[name], add_generation_prompt=True, tokenize=True, return_dict=False
            )
            assert prompts.encode(Problem(CHATS[name])) == theirs, path.stem
            taken += 1
    assert taken >= 55


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("gemma", "<end_of_turn>"),
        ("gemma3", "<end_of_turn>"),
        ("llama3", "<|eot_id|>"),
        ("llama3_2", "<|eot_id|>"),
        ("qwen2_5", "<|im_end|>"),
        ("qwen3", "<|im_end|>"),
        ("phi3", "<|end|>"),
        ("gptoss", "<|return|>"),
    ],
)
def test_completions_end_as_real_templates_end_a_turn(name: str, end: str):
    tokenizer = make_real_tokenizer(TEMPLATES / f"{name}.jinja")
    ends = [tokenizer.convert_tokens_to_ids(end)]
    assert decode(tokenizer, PromptFormat.of(tokenizer, end_ids=ends).encode_completion("4")) == f"4{end}"
    assert decode(tokenizer, PromptFormat.of(tokenizer).encode_completion("4")) == "4<eos>", (
        "no end token of the model"
    )


def test_thinking_can_be_switched_off_in_real_templates():
    problem = Problem("What is 2+3?")
    for name in ("qwen3", "qwen3_6", "glm4moe"):
        tokenizer = make_real_tokenizer(TEMPLATES / f"{name}.jinja")
        off = PromptFormat.of(tokenizer, PromptConfig(chat_template_kwargs={"enable_thinking": False}))
        assert off.render(problem).endswith(("</think>\n\n", "</think>", "</think>\n")), name
        assert not PromptFormat.of(tokenizer).render(problem).rstrip().endswith("</think>"), name
        assert off.render(problem).startswith(BOS) == PromptFormat.of(tokenizer).render(problem).startswith(
            BOS
        )
