"""The search of a server finds what a scan finds."""

import random

from palaestra.trainer.pages.rows import Table
from palaestra.trainer.pages.search import TextIndex

from ..support.run_folders import make_row, write_lines


def make_index(path, texts):
    write_lines(path, [make_row(1, 1, 0, passed=True, text=text) for text in texts])
    table = Table()
    table.add_file(path, 0)
    table.read_new()
    index = TextIndex(table)
    index.take_in()
    return index


def test_as_a_scan_does(tmp_path):
    rng = random.Random(3)
    texts = ["".join(rng.choices("aAbB \x00é", k=rng.randrange(1, 9))) for _ in range(500)]
    index = make_index(tmp_path / "rows.jsonl", texts)
    for wanted in ("a", "AB", "ba ", "é", "zebra", "a b", "bb"):
        found = [n for n, text in enumerate(texts) if wanted.lower() in text.lower().replace("\x00", "")]
        assert index.find(wanted) == found
    assert index.find("") == list(range(500))


def test_no_match_across_two_texts_and_odd_characters(tmp_path):
    index = make_index(tmp_path / "rows.jsonl", ["one", "two", "\ud800 x"])
    assert index.find("eto") == []
    assert index.find("e\x00t") == []
    assert index.find("\ud800") == [2]


def test_a_file_that_was_cut_while_another_grew_is_searched_as_it_is(tmp_path):
    paths = [tmp_path / name for name in ("a.jsonl", "b.jsonl")]
    texts = [[f"alpha{n}" for n in range(4)], [f"beta{n}" for n in range(4)]]
    table = Table()
    for number, path in enumerate(paths):
        write_lines(path, [make_row(1, 1, 0, passed=True, text=text) for text in texts[number]])
        table.add_file(path, number)
        table.read_new()
    index = TextIndex(table)
    index.take_in()
    texts = [texts[0][:2], [*texts[1], "beta4", "beta5", "beta6"]]
    for path, said in zip(paths, texts, strict=True):
        write_lines(path, [make_row(1, 1, 0, passed=True, text=text) for text in said])
    table.read_new()
    index.take_in()
    assert len(table) == 9
    assert table.generation == 1
    for wanted in ("beta0", "alpha1", "beta6"):
        assert [table.read_record(row)["completion"] for row in index.find(wanted)] == [wanted]
    assert index.find("alpha3") == []


def test_new_rows_are_found(tmp_path):
    path = tmp_path / "rows.jsonl"
    index = make_index(path, ["one"])
    write_lines(path, [make_row(1, 1, 0, passed=True, text=text) for text in ("one", "two")])
    index._table.read_new()
    index.take_in()
    assert index.find("t") == [1]
