"""Prompts as a model reads them: those that training makes, from the tokenizer alone."""

from pathlib import Path

import pytest
from palaestra.tasks import Problem, get
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.shared import PromptConfig
from palaestra.trainer.model.embedded import make_character_tokenizer
from palaestra.trainer.model.prompts import PromptFormat
from palaestra.trainer.model.rendering import render_prompts

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if think %}<think>{% endif %}{% endif %}"
)
TASK = get("gcd")
PROBLEMS = TASK.problems("test", 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder that holds a tokenizer and no weights."""
    tokenizer = make_character_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "qwen3"}')
    return tmp_path / "model"


def test_the_prompt_is_what_training_encodes_and_its_special_tokens_are_counted(folder: Path):
    config = PromptConfig(system="Be brief.", chat_template_kwargs={"think": True})
    [first, _] = render_prompts(TASK, PROBLEMS, str(folder), config)
    prompts = PromptFormat.of(make_character_tokenizer_of(folder), config)
    ids = prompts.encode(PROBLEMS[0], TASK.instruction)
    assert (first.tokens, first.text) == (len(ids), prompts.decode(ids))
    assert first.text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        f"<|im_start|>user\n{PROBLEMS[0].text}\n\n{TASK.instruction}<|im_end|>\n<|im_start|>assistant\n<think>"
    )
    assert first.special == ("<|im_start|> x3", "<|im_end|> x2", "<answer>", "</answer>", "<think>")
    assert f"{PROBLEMS[0].id}: {len(ids)} tokens" in str(first)


def make_character_tokenizer_of(folder: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def test_a_template_of_ones_own_is_read(folder: Path, tmp_path: Path):
    path = tmp_path / "own.jinja"
    path.write_text("Q: {{ messages[0].content }}{% if add_generation_prompt %} A:{% endif %}")
    [first] = render_prompts(
        TASK, PROBLEMS[:1], str(folder), PromptConfig(template=str(path), instruction="")
    )
    assert first.text == f"Q: {PROBLEMS[0].text} A:"


def test_a_prompt_that_ends_as_the_model_ends_is_refused_as_in_training(folder: Path):
    """By the generation config, too, which is read without the weights."""
    end = make_character_tokenizer_of(folder).convert_tokens_to_ids("<|im_end|>")
    (folder / "generation_config.json").write_text(f'{{"eos_token_id": [1, {end}]}}')
    problem = Problem([{"role": "user", "content": "Hi"}], id="t/test/0")
    config = PromptConfig(template=str(folder / "end.jinja"), instruction="")
    (folder / "end.jinja").write_text("{{ messages[0].content }}<|im_end|>")
    with pytest.raises(UserError, match=r"t/test/0: its prompt ends with the end token '<\|im_end\|>'"):
        list(render_prompts(TASK, [problem], str(folder), config))


def test_what_is_no_model_is_a_sentence(tmp_path: Path):
    with pytest.raises(UserError, match="is not a model folder"):
        list(render_prompts(TASK, PROBLEMS, str(tmp_path), PromptConfig()))
