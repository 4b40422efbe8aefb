"""The tools of a task in the prompt: by the template where it tells of them, else as a system text."""

import json

import palaestra as pal
import pytest
from palaestra.tasks import Problem
from palaestra.trainer.config.shared import PromptConfig
from palaestra.trainer.model.conversations import Conversations
from palaestra.trainer.model.prompts import PromptFormat

from ..support.real_templates import TEMPLATES, list_templates, make_real_tokenizer
from ..support.runs import say_nothing
from ..support.tokenizers import make_byte_tokenizer

REAL = pytest.mark.skipif(not TEMPLATES.is_dir(), reason="the chat templates of real models are absent")
PLAIN = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}<assistant>"
TELLS = "{% for t in tools or [] %}<tool>{{ t.function.name }}{% endfor %}" + PLAIN


@pytest.fixture
def problem() -> Problem:
    return pal.tasks.get("calculator").problem("test", 0)


def test_a_template_that_knows_tools_tells_of_them(problem):
    prompts = PromptFormat.of(make_byte_tokenizer(TELLS))
    assert prompts.render(problem) == f"<tool>calculator<user>{problem.prompt}<assistant>"
    assert prompts.render(Problem("Hi.")) == "<user>Hi.<assistant>"


def test_another_template_has_a_system_text(problem):
    config = PromptConfig(system="Be brief.")
    text = PromptFormat.of(make_byte_tokenizer(PLAIN), config).render(problem)
    assert text.startswith("<system>Be brief.\n\nYou may use a tool:\n- calculator(expression): ")
    assert text.endswith(f"<user>{problem.prompt}<assistant>")
    own = Problem(
        [{"role": "system", "content": "Own."}, {"role": "user", "content": "Hi."}], tools=problem.tools
    )
    assert (
        PromptFormat.of(make_byte_tokenizer(PLAIN))
        .render(own)
        .startswith("<system>Own.\n\nYou may use a tool")
    )


def test_without_a_template_the_transcript_begins_with_it(problem):
    text = PromptFormat.of(make_byte_tokenizer()).render(problem)
    assert text.startswith("System: You may use a tool:\n")
    assert text.endswith(f"\n\nHuman: {problem.prompt}\n\nAssistant:")
    assert Conversations().converse(problem)[0]["role"] == "system"


@REAL
def test_real_templates_tell_of_tools_somehow(problem):
    by_template = 0
    for path in list_templates():
        prompts = PromptFormat.of(make_real_tokenizer(path), say=say_nothing)
        text = prompts.render(problem)
        assert "calculator" in text, path.stem
        assert "for example 12 * (34 - 5)." in text, path.stem
        assert ("You may use a tool:" in text) != prompts.template.knows_tools, path.stem
        by_template += prompts.template.knows_tools
        assert json.dumps(problem.tools)
    assert by_template == 10
