"""Runs of SFT: pairs and chats from files, held-out loss, stop and resume."""

import gzip
import json
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import DataError, UserError
from palaestra.tasks.core.rowfiles import Row
from palaestra.trainer.cli.train import resume
from palaestra.trainer.config.sft import SFTConfig
from palaestra.trainer.model.embedded import make_character_tokenizer
from palaestra.trainer.model.policy import load_policy
from palaestra.trainer.model.prompts import PromptFormat
from palaestra.trainer.sft.data import encode_pairs
from palaestra.trainer.sft.pairs import Pair, parse_pairs, read_pairs, split_pairs
from palaestra.trainer.sft.run import sft
from transformers import BertConfig, BertLMHeadModel

from ..support.policies import make_policy
from ..support.runs import have_same_weights
from ..support.tiny import make_tiny


def parse(**values) -> list[Pair]:
    return parse_pairs(Row(values, "here, line 3"))


def test_columns_of_many_names_and_chats_are_read():
    assert parse(prompt="a", completion="b") == [Pair("a", "b")]
    assert parse(question="a", answer="b", id=3) == [Pair("a", "b")]
    user, said = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    assert parse(prompt=[user], completion=[said]) == [Pair([user], "b")]
    assert parse(messages=[user, said]) == [Pair([user], "b")]
    assert [pair.completion for pair in parse(messages=[user, said, user, {**said, "content": "c"}])] == [
        "b",
        "c",
    ]
    assert parse(messages=[user]) == []
    assert parse(prompt="a", completion="  ") == []


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            {"text": "a"},
            "here, line 3: the row has text; columns prompt",
        ),
        ({"messages": "a"}, "a chat is a list of messages"),
        ({"messages": [{"role": "user"}]}, "a chat is a list of messages"),
        ({"prompt": "a", "completion": 3}, "not a text"),
        ({"prompt": "a", "completion": [{"role": "user", "content": "b"}]}, "one message of the assistant"),
    ],
)
def test_rows_of_another_form_are_sentences_with_their_place(row: dict, says: str):
    with pytest.raises(DataError, match=says):
        parse(**row)


def test_a_missing_file_and_an_empty_one_are_sentences(tmp_path: Path):
    with pytest.raises(DataError, match="There is no file"):
        read_pairs([str(tmp_path / "none.jsonl")])
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(DataError, match="nothing to imitate"):
        read_pairs([str(tmp_path / "empty.jsonl")])


def test_no_prompt_is_on_both_sides_of_the_split():
    train, held_out = split_pairs([Pair(f"p{n % 50}", str(n)) for n in range(200)], 0.3)
    assert train
    assert held_out
    assert not {pair.prompt for pair in train} & {pair.prompt for pair in held_out}


def test_loss_is_on_the_completion_and_its_end_alone():
    policy = load_policy("embedded", "cpu", "float32")
    (made,) = encode_pairs(PromptFormat.of(policy.tokenizer), [Pair("1+1=", "2")], 100)
    assert policy.tokenizer.decode(list(made.prompt)) == "1+1="
    assert list(made.completion) == [*policy.tokenizer("2").input_ids, policy.tokenizer.eos_token_id]
    assert encode_pairs(PromptFormat.of(policy.tokenizer), [Pair("1+1=", "2")], 5) == []


@pytest.fixture
def settings(tmp_path: Path) -> SFTConfig:
    rows = [{"prompt": f"{a}+{b}=", "completion": str(a + b)} for a in range(10) for b in range(10)]
    with gzip.open(tmp_path / "pairs.jsonl.gz", "wt") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))
    return SFTConfig.of(
        pairs=(str(tmp_path / "pairs.jsonl.gz"),),
        eval_share=0.2,
        steps=12,
        batch_size=16,
        save_every=5,
        eval_every=4,
        warmup_steps=2,
        device="cpu",
        threads=1,
    )


@pytest.mark.parametrize("first", [3, 7])
def test_stop_and_resume_ends_in_the_same_bits_and_logs(settings: SFTConfig, tmp_path: Path, first: int):
    assert not sft(settings.but(out=str(tmp_path / "whole"))).interrupted
    assert sft(settings.but(out=str(tmp_path / "run"), stop_after=first)).interrupted
    assert not (tmp_path / "run" / "model").exists()
    assert resume([str(tmp_path / "run")]) == 0
    assert have_same_weights(tmp_path / "whole" / "model", tmp_path / "run" / "model")
    summaries = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("whole", "run")]
    assert summaries[0]["held_out"] == summaries[1]["held_out"]
    assert summaries[0]["losses"] == summaries[1]["losses"]
    assert len(summaries[0]["losses"]) == 12
    assert summaries[0]["held_out"]["after"]["loss"] < 0.7 * summaries[0]["held_out"]["before"]["loss"]
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "held_out" in line] == [4, 8]


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_finished_fit_goes_on_with_more_steps_to_the_bits_of_one_long_run_where_the_schedule_allows(
    settings: SFTConfig, tmp_path: Path, schedule: str
):
    """A constant learning rate knows nothing of `steps`.

    A falling one does: the first half has then run under the schedule of a short run, so the whole is another
    run than a long one.
    """
    settings = settings.but(schedule=schedule, save_every=0)
    sft(settings.but(out=str(tmp_path / "long")))
    sft(settings.but(out=str(tmp_path / "run"), steps=6))
    assert resume([str(tmp_path / "run"), "--steps", "12"]) == 0
    same = have_same_weights(tmp_path / "long" / "model", tmp_path / "run" / "model")
    assert same == (schedule == "constant")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["steps"], len(summary["losses"])) == (12, 12)


def test_a_model_that_reads_both_ways_is_refused(tmp_path: Path):
    bert = BertConfig(
        vocab_size=103, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        initializer_range=0.2, is_decoder=False,
    )  # fmt: skip
    policy = make_policy(BertLMHeadModel(bert).eval(), make_character_tokenizer())
    config = SFTConfig.of(task="addition", steps=1, demonstrations=8, eval_problems=2, threads=1)
    with pytest.raises(UserError, match="can't be sampled from"):
        sft(config.but(out=tmp_path / "run"), policy, say=lambda _line: None)


def test_where_positions_are_the_bound_they_are_named(tmp_path: Path):
    policy = make_policy(make_tiny("gpt2", n_positions=16), make_character_tokenizer())
    config = SFTConfig.of(task="gcd", steps=1, demonstrations=8, eval_problems=2, threads=1)
    with pytest.raises(UserError, match="within the model's 16 positions"):
        sft(config.but(out=tmp_path / "run"), policy, say=lambda _line: None)
