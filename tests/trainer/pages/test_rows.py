"""Columns of completions: damaged lines are left out and named, files that grow are gone on with."""

import json

import pytest
from palaestra.trainer.pages.rows import Table, group_by_step, list_criteria, parse_record
from palaestra.trainer.storage.records import hash_tail

from ..support.run_folders import make_row, make_run, write_lines


def test_columns_are_those_of_the_rows(tmp_path):
    run = make_run(tmp_path / "run", steps=3)
    table = Table()
    table.add_file(run / "rollouts.jsonl", 0)
    table.read_new()
    rows = [json.loads(line) for line in (run / "rollouts.jsonl").read_text().splitlines()]
    assert len(table) == len(rows) == 24
    assert table.columns["step"] == [row["step"] for row in rows]
    assert table.columns["tokens"] == [row["tokens"] for row in rows]
    problems = [table.words["problem"].texts[code] for code in table.columns["problem"]]
    assert problems == [row["id"] for row in rows]
    statuses = [table.words["status"].texts[code] for code in table.columns["status number"]]
    assert statuses == [row["verdicts"]["number"]["status"] for row in rows]
    assert list_criteria(table) == ["number", "answer_tag"]
    assert table.read_record(7) == rows[7]
    assert list(table.read_records([3, 0, 23])) == [rows[3], rows[0], rows[23]]


def test_a_damaged_line_is_left_out_and_named(tmp_path):
    run = make_run(tmp_path / "run", steps=2)
    path = run / "rollouts.jsonl"
    lines = path.read_text().splitlines()
    lines[4] = lines[4][:-9]
    lines[6] = json.dumps([1, 2])
    lines[9] = lines[9].replace('"reward": ', '"reward": "high", "old": ')
    path.write_text("\n".join(lines) + "\n")
    table = Table()
    table.add_file(path, 0)
    table.read_new()
    assert len(table) == 13
    assert table.files[0].damaged == [5, 7, 10]


def test_rows_that_lack_a_criterion_have_no_value(tmp_path):
    path = tmp_path / "rows.jsonl"
    late = make_row(2, 1, 0, passed=True)
    late["verdicts"]["length"] = {"status": "partial", "value": 0.5}
    early = make_row(1, 1, 0, passed=True)
    del early["advantage"]
    path.write_text("".join(json.dumps(row) + "\n" for row in (early, late, early)))
    table = Table()
    table.add_file(path, 0)
    table.read_new()
    assert table.columns["value length"] == [None, 0.5, None]
    assert table.columns["status length"][0] == table.columns["status length"][2] == -1
    assert table.columns["advantage"] == [None, 0.5, None]
    assert {len(column) for column in table.columns.values()} == {3}


def test_a_file_that_grows_is_gone_on_with_and_half_a_line_waits(tmp_path):
    path = tmp_path / "rollouts.jsonl"
    table = Table()
    table.add_file(path, 0)
    table.read_new()
    assert len(table) == 0
    line = json.dumps(make_row(1, 2, 0, passed=True))
    path.write_text(line + "\n" + line[:30])
    assert table.read_new() == 1
    with path.open("a") as file:
        file.write(line[30:] + "\n")
    assert table.read_new() == 1
    assert table.read_new() == 0
    path.write_text(line + "\n")  # a resume cut it
    table.read_new()
    assert len(table) == 1


def test_a_file_that_stands_as_it_stood_is_not_read_again(tmp_path, monkeypatch):
    table = Table()
    for number in range(5):
        write_lines(tmp_path / f"{number}.jsonl", [make_row(1, number, 0, passed=True)])
        table.add_file(tmp_path / f"{number}.jsonl", 0)
        table.add_file(tmp_path / f"{number}.jsonl", 0)
    read = []

    def hash_and_count(stream, end):
        read.append(stream.name)
        return hash_tail(stream, end)

    monkeypatch.setattr("palaestra.trainer.pages.rows.hash_tail", hash_and_count)
    assert table.read_new() == 5
    assert len(read) == 5
    assert table.read_new() == 0
    assert len(read) == 5
    with (tmp_path / "3.jsonl").open("a") as file:
        file.write(json.dumps(make_row(2, 3, 0, passed=True)) + "\n")
    assert table.read_new() == 1
    assert {*read[5:]} == {str(tmp_path / "3.jsonl")}


@pytest.mark.parametrize("replaced", [False, True], ids=["in place", "another file"])
def test_a_file_that_was_cut_and_has_grown_beyond_is_read_anew(tmp_path, replaced):
    path = tmp_path / "rollouts.jsonl"
    rows = [make_row(1, n, 0, passed=True, text=f"old {n}") for n in range(4)]
    write_lines(path, rows)
    table = Table()
    table.add_file(path, 0)
    table.read_new()
    later = [make_row(1, n, 0, passed=True, text=f"a new and longer text {n}") for n in range(2, 8)]
    if replaced:
        path.unlink()
    write_lines(path, [*rows[:2], *later])
    table.read_new()
    texts = [table.read_record(row)["completion"] for row in range(len(table))]
    assert texts == ["old 0", "old 1", *(row["completion"] for row in later)]
    assert table.files[0].damaged == []
    assert table.generation == 1


def test_a_file_that_a_resume_removed_has_no_rows_any_more(tmp_path):
    paths = [tmp_path / name for name in ("rollouts.jsonl", "completions.jsonl")]
    table = Table()
    for path in paths:
        write_lines(path, [make_row(1, n, 0, passed=True) for n in range(3)])
        table.add_file(path, 0)
        table.read_new()
    paths[1].unlink()
    table.read_new()
    assert len(table) == 3
    assert len(list(table.read_records(range(3)))) == 3


def test_values_of_a_step_are_gathered_by_problem(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [make_row(1, problem, sample, passed=sample == 0) for problem in (1, 2) for sample in (0, 1)]
    rows[3]["abstained"] = True
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = Table()
    table.add_file(path, 0)
    table.read_new()
    assert group_by_step(table, 0, "passed") == {1: {0: [1, 0], 1: [1]}}
    assert group_by_step(table, 1, "passed") == {}
    assert group_by_step(table, 0, "nothing") == {}


def test_what_is_no_record_is_none():
    good = make_row(1, 2, 0, passed=True)
    assert parse_record(json.dumps(good).encode()) == good
    for bad in (
        "",
        "null",
        "[]",
        "{}",
        json.dumps({**good, "verdicts": 3}),
        json.dumps({**good, "passed": 1}),
    ):
        assert parse_record(bad.encode()) is None
    assert parse_record(b"\xff\xfe{}") is None
