"""Packing: what fits into a file, what is left out first, and that nothing in it is markup."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from palaestra.trainer.model.embedded import make_character_tokenizer
from palaestra.trainer.pages.chunks import Packer, is_by_character, pack, thin_out
from palaestra.trainer.pages.gather import Page, gather
from palaestra.trainer.pages.tokens import TokenPlaces

from ..support.run_folders import make_evaluated, make_run

ROOMY = 10_000_000


def unpack(text: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(text)))


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return gather([make_run(tmp_path / "run", steps=100)])


def test_all_of_a_small_run_is_in_the_file(page):
    packed = pack(page, ROOMY)
    columns = unpack(packed.columns)
    assert columns["count"] == len(page.table) == 800
    assert packed.with_tokens == len(packed.chunks) == 4
    chunks = [unpack(chunk) for chunk in packed.chunks]
    rows = [(row, chunk["shared"]) for chunk in chunks for row in chunk["rows"]]
    for number, (row, shared) in enumerate(rows):
        record = page.table.read_record(number)
        answer, reason = row["verdicts"]["number"]
        assert row["text"] == record["completion"]
        assert shared[row["prompt"]] == record["prompt"]
        assert shared[row["reference"]] == record["reference"]
        assert shared[answer] == record["verdicts"]["number"]["answer"]
        assert shared[reason] == record["verdicts"]["number"]["reason"]
        assert row["logprobs"] == [-10, -200, 0]
    assert pack(page, ROOMY) == packed


def test_tokens_go_first_then_steps_between_the_ends(page):
    bare = sum(len(chunk) for chunk in pack(page, ROOMY).chunks) + len(pack(page, ROOMY).columns)
    packed = pack(page, bare - 500)
    assert len(packed.rows) == 800
    assert packed.with_tokens < 4
    packed = pack(page, bare // 3)
    kept = {page.table.columns["step"][row] for row in packed.rows}
    assert {1, 100} <= kept
    assert 10 < len(kept) < 50
    assert packed.size <= bare // 3
    assert unpack(packed.columns)["count"] == len(packed.rows)


def test_a_budget_of_nothing_still_packs_something(page):
    assert 0 < len(pack(page, 0).rows) <= 16


def test_of_an_evaluation_problems_are_left_out(tmp_path):
    table = gather([make_evaluated(tmp_path / "eval", problems=10)]).table
    rows = thin_out(table, range(len(table)), 0.4)
    assert {table.columns["problem"][row] for row in rows} == {0, 3, 6, 9}


def test_a_row_that_is_gone_says_so(page):
    page.table.files[0].path.write_text("cut\n")
    assert Packer(page).make_chunk([5], tokens=True)["rows"] == [{"text": "", "gone": True}]


def test_places_of_tokens(tmp_path):
    tokenizer = make_character_tokenizer()
    (tmp_path / "model").mkdir()
    tokenizer.save_pretrained(tmp_path / "model")
    places = TokenPlaces(tmp_path)
    text = "<think>1+2=3</think>"
    ids = [*tokenizer(text).input_ids, tokenizer.eos_token_id]
    assert places.find(ids, text) == [7, 1, 1, 1, 1, 1, 8, 0]
    assert places.find(ids[:3], text) == [7, 1, 1]
    assert places.find(ids, "another text") is None
    assert places.find([], text) is None
    assert TokenPlaces(tmp_path / "nowhere").find(ids, text) is None


def test_parts_of_characters_are_put_together(tmp_path):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: n for n, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    (tmp_path / "model").mkdir()
    tokenizer.save(str(tmp_path / "model" / "tokenizer.json"))
    text = "a\u00e9\U0001f600b"
    ids = tokenizer.encode(text).ids
    assert len(ids) == 8
    assert TokenPlaces(tmp_path).find(ids, text) == [1, 0, 1, 0, 0, 0, 2, 1]  # UTF-16 units


def test_characters_need_no_places():
    assert is_by_character([1, 1, 1, 0])
    assert is_by_character([])
    assert not is_by_character([1, 0, 1])
    assert not is_by_character([2, 1])
