"""Prompts as models read them, by small templates; texts as verifiers do."""

import datetime
from pathlib import Path

import pytest
from palaestra.tasks import Problem
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.shared import PromptConfig
from palaestra.trainer.model.embedded import make_character_tokenizer
from palaestra.trainer.model.prompts import PromptFormat, decode
from palaestra.trainer.model.templates import ChatTemplate
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from ..support.runs import say_nothing
from ..support.tokenizers import EOS, make_byte_tokenizer

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
STRICT = (  # as Gemma's: no system message, turns alternate, contents are trimmed
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system here') }}"
    "{% endif %}"
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}[{{ m['role'] }}]{{ m['content'] | trim }}[end]"
    "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
PARTS = (  # as SmolVLM's
    "{% for m in messages %}[{{ m['role'] }}]{% for part in m['content'] %}{% if part['type'] == 'text' %}"
    "{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
USER, ASK, ANSWER = (
    {"role": role, "content": text} for role, text in (("user", "Q1"), ("user", "Q2"), ("assistant", "A1"))
)
SYSTEM = {"role": "system", "content": "S"}


def render(tokenizer, prompt, task_says: str = "", **settings) -> str:
    """The prompt as the model reads it, from its token ids."""
    prompts = PromptFormat.of(tokenizer, PromptConfig(**settings), say_nothing)
    return decode(tokenizer, prompts.encode(Problem(prompt, id="a/train/1"), task_says))


def refuse(tokenizer, prompt, task_says: str = "", **settings) -> str:
    with pytest.raises(UserError) as caught:
        render(tokenizer, prompt, task_says, **settings)
    return str(caught.value)


def test_the_instruction_goes_to_the_last_message_of_the_user():
    chatml = make_byte_tokenizer(CHATML)
    assert render(chatml, "Q", "I") == "<|im_start|>user\nQ\n\nI<|im_end|>\n<|im_start|>assistant\n"
    told = render(chatml, [USER, ANSWER, ASK], "I")
    assert told.endswith("A1<|im_end|>\n<|im_start|>user\nQ2\n\nI<|im_end|>\n<|im_start|>assistant\n")
    assert told.count("I<|im_end|>") == 1
    plain = make_byte_tokenizer()
    assert render(plain, "Q", "I") == "Q\nI\n"
    assert render(plain, "Q") == "Q"
    assert (
        render(plain, [USER, ANSWER, ASK], "I") == "Human: Q1\n\nAssistant: A1\n\nHuman: Q2\nI\n\nAssistant:"
    )
    for nobody_asks in ([SYSTEM, ANSWER], [ANSWER], [SYSTEM]):
        assert "no message of the user" in refuse(plain, nobody_asks, "I")
    assert '--instruction ""' in refuse(chatml, [SYSTEM], "I")
    assert (
        render(chatml, [SYSTEM], "I", instruction="")
        == "<|im_start|>system\nS<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_chat_that_ends_with_the_assistant_is_gone_on_with():
    begun = [USER, {"role": "assistant", "content": "Sure: "}]
    assert render(make_byte_tokenizer(), begun, "I") == "Human: Q1\nI\n\nAssistant: Sure: "
    assert render(make_byte_tokenizer(CHATML), begun, "I").endswith(
        "Q1\n\nI<|im_end|>\n<|im_start|>assistant\nSure: "
    )
    assert (
        render(make_byte_tokenizer(STRICT, bos=True), begun, "I") == "<bos>[user]Q1\n\nI[end][assistant]Sure:"
    )
    assert render(make_byte_tokenizer(PARTS), begun, "I") == "[user]Q1\n\nI[assistant]Sure: "


def test_a_system_message_goes_before_the_users_where_the_template_takes_none_and_this_is_said_once():
    said: list[str] = []
    tokenizer = make_byte_tokenizer(STRICT, bos=True)
    prompts = PromptFormat.of(tokenizer, say=said.append)
    texts = {prompts.render(Problem([SYSTEM, USER]), "I") for _ in range(3)}
    assert texts == {"<bos>[user]S\n\nQ1\n\nI[end][assistant]"}
    assert said == ["The chat template takes no system message: its text goes before the user's."]
    ignoring = make_byte_tokenizer(
        CHATML.replace("%}<|im", "%}{% if m['role'] != 'system' %}<|im", 1).replace(
            "\n{% endfor", "\n{% endif %}{% endfor"
        )
    )
    assert render(ignoring, [SYSTEM, USER]) == "<|im_start|>user\nS\n\nQ1<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("chat", "why"),
    [
        ([USER, ASK], "must alternate"),
        ([{"role": "tool", "content": "T"}, USER], "must alternate"),
        ([SYSTEM, ANSWER, USER], "No system here"),
    ],
)
def test_a_chat_that_the_template_refuses_is_a_sentence_with_the_problem_and_the_reason(chat, why: str):
    sentence = refuse(make_byte_tokenizer(STRICT, bos=True), chat, "I")
    assert sentence.startswith("Problem a/train/1: the chat template refuses")
    assert why in sentence
    assert "--prompt-template" in sentence


@pytest.mark.parametrize(
    "template",
    [
        "hello",
        "{# nothing #}",
        "{% for m in messages %}{{ m.x.y }}{% endfor %}",
        "{{ messages[0].content + 1 }}",
        "{{ 1 / 0 }}",
        "{% macro again(x) %}{{ again(x) }}{% endmacro %}{{ again(messages) }}",
        "{{ messages[0].content * 10 ** 13 }}",
    ],
)
def test_a_template_that_loses_the_problem_or_breaks_is_a_sentence(template):
    assert refuse(make_byte_tokenizer(template), "What is 2 + 3?").startswith(
        "Problem a/train/1: the chat template"
    )


def test_a_message_that_the_template_leaves_out_is_named():
    only_users = "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}"
    sentence = refuse(make_byte_tokenizer(only_users), [USER, {"role": "tool", "content": "42"}, ASK])
    assert "leaves out the message of role 'tool'" in sentence


def test_what_a_template_leaves_out_is_tried_once_for_each_order_of_roles(monkeypatch: pytest.MonkeyPatch):
    written: list[int] = []
    write = ChatTemplate.write
    monkeypatch.setattr(
        ChatTemplate, "write", lambda self, chat, **how: written.append(len(chat)) or write(self, chat, **how)
    )
    prompts = PromptFormat.of(make_byte_tokenizer(CHATML), say=say_nothing)
    written.clear()
    for text in ("one", "two", "three"):
        assert text in decode(prompts.tokenizer, prompts.encode(Problem(text)))
    assert written == [1] * 4  # the trial, and three prompts
    prompts.encode(Problem((SYSTEM, USER)))
    prompts.encode(Problem((SYSTEM, ASK)))
    assert written == [1] * 4 + [2] * 3


def test_what_a_template_does_to_texts_does_not_matter():
    asked = 'He said "hi" <b>'
    for does, shown in (
        ("tojson", '"He said \\"hi\\" <b>"'),
        ("e", "He said &#34;hi&#34; &lt;b&gt;"),
        ("upper", 'HE SAID "HI" <B>'),
    ):
        writes = make_byte_tokenizer(
            f"{{% for m in messages %}}{{{{ m.content | {does} }}}} {{% endfor %}}A:"
        )
        assert render(writes, asked, system=asked) == f"{shown} {shown} A:"


def test_a_dropped_system_message_is_seen_where_the_user_says_its_words_too():
    users = "{% for m in messages %}{% if m.role == 'user' %}[U]{{ m.content }}{% endif %}{% endfor %}[A]"
    assert render(make_byte_tokenizer(users), "What is 2+2?", system="What") == "[U]What\n\nWhat is 2+2?[A]"


@pytest.mark.parametrize("template", [None, "{% for m in messages %}{{ m.content }}{% endfor %}"])
def test_a_prompt_that_ends_with_an_end_token_is_refused(template):
    tokenizer = make_byte_tokenizer(template, special=["<end>"])
    assert "ends with the end token '<eos>'" in refuse(tokenizer, "hi<eos>")
    assert render(tokenizer, "hi<eos> you") == "hi<eos> you"
    ends = [*tokenizer("<end>\n", add_special_tokens=False).input_ids]
    prompts = PromptFormat.of(tokenizer, end_ids=ends)
    with pytest.raises(UserError, match="ends with the end token '<end>'"):
        prompts.encode(Problem("hi<end>"))
    assert decode(tokenizer, prompts.encode(Problem("hi\n"))) == "hi\n", "a line break is an ordinary token"
    assert "begins" in refuse(make_byte_tokenizer("{{ messages[0].content }}{{ eos_token }}"), "hi")


def test_what_the_tokenizer_does_not_know_is_said_once_with_the_problem():
    said: list[str] = []
    prompts = PromptFormat.of(make_character_tokenizer(), say=said.append)
    prompts.encode(Problem("2+2? <unk>"))
    assert said == [], "an unknown token that the text spells is what it says"
    for number in (1, 2):
        prompts.encode(Problem("Say \u6f22\u5b57 now", id=f"a/train/{number}"))
        prompts.encode_completion("\u6f22")
    (sentence,) = said
    assert sentence.startswith("Problem a/train/1: the tokenizer has no token for '\u6f22\u5b57'")


def test_several_templates_without_a_default_are_refused_with_the_remedy():
    several = make_byte_tokenizer({"tool_use": CHATML, "rag": CHATML})
    sentence = refuse(several, "Q")
    assert "several chat templates (rag, tool_use)" in sentence
    assert "--prompt-template" in sentence


def test_a_reason_is_cut_between_words_before_the_remedy():
    tokenizer = make_byte_tokenizer("{{ raise_exception('word ' * 200) }}")
    assert " word ...." in refuse(tokenizer, "Q")
    assert "wor " not in refuse(tokenizer, "Q")


@pytest.mark.parametrize(
    ("template", "end_ids", "end"),
    [
        (None, ["<turn>"], EOS),
        (CHATML.replace("im_end", "turn"), [], EOS),
        (CHATML.replace("im_end", "turn"), ["<|turn|>"], "<|turn|>"),
        (CHATML.replace("<|im_end|>", " <|turn|>"), ["<|turn|>"], "<|turn|>"),
        (CHATML.replace("<|im_end|>", "{{ eos_token }}"), ["<|turn|>"], EOS),
        (CHATML.replace("<|im_end|>", ""), ["<|turn|>"], EOS),
        (PARTS + "<|turn|>", ["<|turn|>"], "<|turn|>"),
        ("{{ raise_exception('no') }}", ["<|turn|>"], EOS),
    ],
)
def test_a_completion_ends_as_the_template_ends_a_turn_where_the_model_ends_there(template, end_ids, end):
    tokenizer = make_byte_tokenizer(template, special=["<|turn|>"])
    prompts = PromptFormat.of(tokenizer, end_ids=tokenizer.convert_tokens_to_ids(end_ids))
    assert decode(tokenizer, prompts.encode_completion("4")) == f"4{end}"


def test_the_default_of_several_templates_is_taken():
    assert "user\nQ<" in render(make_byte_tokenizer({"default": CHATML, "tool_use": "x"}), "Q")


@pytest.mark.parametrize("template", [None, CHATML, STRICT, PARTS], ids=["none", "chatml", "strict", "parts"])
def test_contents_may_be_lists_of_texts(template):
    parts = [{"role": "user", "content": [{"type": "text", "text": "Q1 "}, {"type": "text", "text": "Q2"}]}]
    tokenizer = make_byte_tokenizer(template, bos=True)
    assert render(tokenizer, parts, "I") == render(tokenizer, "Q1 Q2", "I")
    assert "Q1 Q2" in render(tokenizer, parts, "I")
    picture = [{"role": "user", "content": [{"type": "image", "url": "x"}, {"type": "text", "text": "Q"}]}]
    assert "only parts that are texts" in refuse(tokenizer, picture)


@pytest.mark.parametrize(
    "chat",
    [[], [{}], ["hi"], [{"role": "user"}], [{"content": "x"}], [{"role": "user", "content": None}], None, 3,
     [{"role": "user", "content": 3}], [{"role": 1, "content": "x"}], [{"role": "user", "content": []}],
     [{"role": "user", "content": [{"type": "text"}]}], {"role": "user", "content": "x"}],
)  # fmt: skip
@pytest.mark.parametrize("template", [None, CHATML], ids=["none", "chatml"])
def test_what_is_no_chat_is_a_sentence_with_the_problem(chat, template):
    assert refuse(make_byte_tokenizer(template), chat, "I").startswith("Problem a/train/1: ")


@pytest.mark.parametrize("template", [None, "{{ bos_token }}" + CHATML], ids=["none", "with BOS"])
def test_one_bos_before_and_no_end_token_after_whatever_the_tokenizer_adds(template):
    tokenizer = make_byte_tokenizer(template, adds_bos=True, adds_eos=True)
    prompts = PromptFormat.of(tokenizer)
    for text in ("Q", "a\n", " Q "):
        ids = prompts.encode(Problem(text), "I")
        assert ids[0] == tokenizer.bos_token_id
        assert ids.count(tokenizer.bos_token_id) == 1
        assert tokenizer.eos_token_id not in ids
    if not template:
        assert prompts.encode(Problem("<bos>Q")).count(tokenizer.bos_token_id) == 1
        assert prompts.encode(Problem("Q")) == tokenizer("Q").input_ids[:-1]


def test_an_empty_prompt_begins_with_bos_or_is_a_sentence():
    with_bos = make_byte_tokenizer(bos=True)
    for tokenizer in (with_bos, make_byte_tokenizer(adds_bos=True, adds_eos=True)):
        assert PromptFormat.of(tokenizer).encode(Problem("")) == [tokenizer.bos_token_id]
    assert refuse(make_byte_tokenizer(), "").startswith("Problem a/train/1: its prompt has no token")


def test_settings_replace_what_is_said_around_the_problem():
    chatml = make_byte_tokenizer(CHATML)
    asked = "<|im_start|>user\nQ1\n\nJ<|im_end|>\n<|im_start|>assistant\n"
    for prompt in ("Q1", [USER], [SYSTEM, USER]):
        told = render(chatml, prompt, "I", system="T", instruction="J")
        assert told == f"<|im_start|>system\nT<|im_end|>\n{asked}"
    assert render(chatml, "Q1", "J") == render(chatml, "Q1", "I", instruction="J") == asked
    assert "user\nQ1<|im_end|>" in render(chatml, "Q1", "I", instruction="")
    assert render(make_byte_tokenizer(), "Q", system="T") == "System: T\n\nHuman: Q\n\nAssistant:"


def test_variables_reach_the_template_and_those_it_does_not_read_are_refused():
    thinks = "{{ messages[0].content }}|{{ enable_thinking }}"
    told = render(make_byte_tokenizer(thinks), "Q", chat_template_kwargs={"enable_thinking": False})
    assert told == "Q|False"
    assert "no 'enable_thinkin'" in refuse(
        make_byte_tokenizer(thinks), "Q", chat_template_kwargs='{"enable_thinkin": 1}'
    )
    assert "has no chat template" in refuse(make_byte_tokenizer(), "Q", chat_template_kwargs='{"x": 1}')
    for word in ("content", "role", "user", "m"):
        assert f"no '{word}'" in refuse(make_byte_tokenizer(CHATML), "Q", chat_template_kwargs={word: 1})
    marked = "{% generation %}{{ x }}{% endgeneration %}" + CHATML
    assert render(make_byte_tokenizer(marked), "Q", chat_template_kwargs={"x": 1}).startswith("1<")


def test_a_template_file_replaces_the_tokenizers_own_and_is_saved_with_it(tmp_path: Path):
    file = tmp_path / "chat_template.jinja"
    file.write_text(CHATML)
    for own in (None, STRICT):
        tokenizer = make_byte_tokenizer(own)
        told = render(tokenizer, "Q", template=str(file))
        assert told == "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n"
        tokenizer.save_pretrained(tmp_path / "saved")
        assert render(PreTrainedTokenizerFast.from_pretrained(tmp_path / "saved"), "Q") == told
    file.write_text("{% for m in messages %}")
    assert "line 1" in refuse(make_byte_tokenizer(), "Q", template=str(file))
    file.write_text(" \n")
    assert "is empty" in refuse(make_byte_tokenizer(), "Q", template=str(file))
    file.write_bytes(b"\xff\xfe\xff")
    for unreadable in (file, tmp_path, tmp_path / "none"):
        assert "can't be read" in refuse(make_byte_tokenizer(), "Q", template=str(unreadable))


def test_a_template_that_writes_the_date_writes_that_of_the_runs_start():
    tokenizer = make_byte_tokenizer(
        "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% endif %} " + CHATML
    )
    today = PromptFormat.of(tokenizer)
    assert today.render(Problem("Q")).startswith(datetime.date.today().strftime("%d %b %Y"))
    again = PromptFormat.of_run(tokenizer, PromptConfig(), {"prompt_date": "2024-07-26"})
    assert again.render(Problem("Q")).startswith("26 Jul 2024")
    assert again.for_reader(tokenizer).facts == again.facts
    for told in (
        "{% set fmt = '%d %b %Y' %}{{ strftime_now(fmt) }}",
        "{% set fmt = '%-d %% %B' %}{% macro day() %}{{ strftime_now(fmt) }}{% endmacro %}{{ day() }}",
        "{% if not date_string is defined %}{% set date_string = strftime_now('%Y' ~ '-%j') %}{% endif %}"
        "{{ date_string }}",
    ):
        begun = datetime.date(2024, 7, 6)
        prompts = PromptFormat.of(make_byte_tokenizer(f"{told}|{CHATML}"), date=str(begun))
        shown = {"06 Jul 2024", "6 % July", "2024-188"}
        assert prompts.render(Problem("Q")).split("|")[0] in shown


def test_another_model_reads_the_same_conversation_by_its_own_template(tmp_path: Path):
    file = tmp_path / "t.jinja"
    file.write_text(CHATML + "{{ x }}")
    config = PromptConfig(system="T", instruction="J", template=str(file), chat_template_kwargs={"x": 1})
    prompts = PromptFormat.of(make_byte_tokenizer(), config)
    other = make_byte_tokenizer("{% for m in messages %}({{ m.role }}) {{ m.content }} {% endfor %}")
    assert prompts.for_reader(other).render(Problem("Q"), "I") == "(system) T (user) Q\n\nJ "


def test_every_token_stays_in_the_text_and_no_space_is_changed():
    tags = ("<think>", "</think>")
    tokenizer = make_byte_tokenizer(special=tags)
    text = "<think>a , b</think> is n't <pad>x ?"
    ids = PromptFormat.of(tokenizer).encode_completion(text)
    assert decode(tokenizer, ids[:-1]) == text
    assert decode(tokenizer, ids) == text + EOS
    words = Tokenizer(
        models.WordLevel(
            {word: place for place, word in enumerate(["<unk>", "a", ",", "n't"])}, unk_token="<unk>"
        )
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    cleaning = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", clean_up_tokenization_spaces=True
    )
    assert cleaning.decode([1, 2, 3]) == "a,n't", "the tokenizer was to change spaces by itself"
    assert decode(cleaning, [1, 2, 3]) == "a , n't"
