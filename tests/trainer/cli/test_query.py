"""`palaestra query` from the command line: what it prints and writes."""

import csv
import io
import json

import pytest
from palaestra.trainer.cli.main import main

from ..support.run_folders import make_run


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run", steps=10, texts=('two\nlines, "quoted" \x1b[31m \u202e',))


def test_without_a_query_it_lists_the_tables(run, capsys):
    assert main(["query", str(run)]) == 0
    said = capsys.readouterr().out
    assert "rollouts" in said
    assert "80 rows" in said
    assert "finish_reason" in said


def test_a_table_is_cut_and_says_so_and_nothing_acts_on_the_terminal(run, capsys):
    assert main(["query", str(run), "select line, completion from rollouts order by line"]) == 0
    said = capsys.readouterr().out
    assert len(said.splitlines()) == 52
    assert "the first 50 rows" in said
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert main(["query", str(run), "select 1 as one", "--limit", "1"]) == 0
    assert capsys.readouterr().out == "one\n1\n(1 rows)\n"


def test_rows_are_exported_whole(run, tmp_path, capsys):
    sql = "select id, completion, reward, null as none from rollouts order by line"
    out = tmp_path / "new" / "rows.jsonl"
    assert main(["query", str(run), sql, "--out", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    recorded = [json.loads(line) for line in (run / "rollouts.jsonl").read_text().splitlines()]
    assert [row["completion"] for row in rows] == [row["completion"] for row in recorded]
    assert rows[0]["none"] is None
    assert "80 rows" in capsys.readouterr().out
    assert main(["query", str(run), sql, "--format", "csv"]) == 0
    table = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert table[0] == ["id", "completion", "reward", "none"]
    assert table[1][1] == recorded[0]["completion"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere", "select 1"], "There is no folder nowhere"),
        (["RUN", "select 1", "--limit", "-1"], "0 or more"),
        (["RUN", "select 1", "--out", "RUN/rollouts.jsonl"], "is there already"),
        (["RUN", "select 1", "--out", "RUN/new.txt", "--format", "table"], "Give jsonl or csv"),
        (["RUN", "drop table _rows"], "only reads"),
        ([], "required"),
    ],
)
def test_mistakes_are_sentences(run, arguments, sentence, capsys):
    before = (run / "rollouts.jsonl").read_bytes()
    assert main(["query", *(each.replace("RUN", str(run)) for each in arguments)]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert (run / "rollouts.jsonl").read_bytes() == before
    assert not list(run.glob("*new*"))
