"""A query reads and does nothing else; mistakes are sentences."""

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.storage.query import list_tables, open_query

from ..support.run_folders import make_row, make_run, write_lines


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run", steps=4)


def ask(run, sql, parameters=()):
    with open_query(run, sql, parameters) as found:
        return list(found.to_dicts())


def test_a_select_gives_rows_by_name_and_takes_parameters(run):
    rows = ask(run, "select step, id as problem from rollouts where step = ? and sample = 0", (2,))
    assert rows == [{"step": 2, "problem": "made/train/4"}, {"step": 2, "problem": "made/train/5"}]
    joined = ask(run, "select r.row, v.row from rollouts r join verdicts v using (row) limit 1")
    assert joined == [{"row": 1, "row_2": 1}]


@pytest.mark.parametrize(
    "sql",
    [
        "delete from _rows", "delete from rollouts", "drop table _rows", "update _rows set reward = 1",
        "insert into _rows default values", "create table more (a)", "create temp table more (a)",
        "attach 'other.db' as other", "vacuum into 'other.db'", "pragma user_version = 3",
        "pragma writable_schema = on", "begin", "reindex", "select load_extension('x')",
        "with a as (select 1) delete from _rows",
    ],
)  # fmt: skip
def test_what_does_more_than_read_is_refused(run, sql):
    with pytest.raises(UserError, match="only reads"):
        ask(run, sql)
    assert ask(run, "select count(*) as n from rollouts") == [{"n": 32}]
    assert not list(run.glob("other*"))


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("select rewrd from rollouts", "no column that is here: rewrd. Did you mean reward"),
        ("select r.complation from rollouts r", "Did you mean completion"),
        ("select * from rolouts", "no table that is here: rolouts. Did you mean rollouts"),
        ("select * from wholly_other", "There are rollouts, held_out, completions"),
        ("select 1; select 2", "one statement at a time"),
        ("select", "can't be run: incomplete input"),
        ("-- nothing", "Ask with a SELECT"),
        ("select ? + 1", "can't be run"),
    ],
)
def test_mistakes_are_sentences(run, sql, sentence):
    with pytest.raises(UserError, match=sentence.replace("?", r"\?")):
        ask(run, sql)


def test_the_tables_that_hold_something_are_listed(run):
    shapes = {shape.name: shape.rows for shape in list_tables(run)}
    assert shapes["rollouts"] == 32
    assert shapes["verdicts"] == 64
    assert "held_out" not in shapes
    assert "damaged" not in shapes


def test_the_turns_of_episodes_are_rows(run):
    turns = [
        {"role": "policy", "text": "5 \ud800"}, {"role": "world", "text": "lower", "voice": "tool"},
        {"role": "policy", "text": "3", "reward": 0.25},
    ]  # fmt: skip
    more = {"turns": turns, "state": {"found": [1, None]}, "fault": "gone", "finish_reason": "raised"}
    lines = [{**make_row(1, 7, 0, passed=True, text="5\n3"), **more}, make_row(1, 7, 1, passed=False)]
    write_lines(run / "rollouts.jsonl", lines)
    sql = (
        "select turn, role, voice, text, turns.reward from rollouts join turns using (row) "
        "where id = 'made/train/7' order by row, place"
    )
    assert [tuple(row.values()) for row in ask(run, sql)] == [
        (1, "policy", "", "5 \\ud800", None), (1, "world", "tool", "lower", None),
        (2, "policy", "", "3", 0.25)
    ]  # fmt: skip
    found = ask(run, "select json_extract(state, '$.found[0]') as found, fault from rollouts order by row")
    assert found == [{"found": 1, "fault": "gone"}, {"found": None, "fault": ""}]
    write_lines(run / "rollouts.jsonl", lines[1:])  # the file was cut: its turns go with it
    assert ask(run, "select count(*) as n from turns") == [{"n": 0}]
