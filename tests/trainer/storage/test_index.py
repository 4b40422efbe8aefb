"""Tables over what a run wrote: they follow the files, however those change, and are whole after a kill."""

import json
import os
import signal
import sqlite3
import subprocess
import sys

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.storage.index import open_index
from palaestra.trainer.storage.names import INDEX

from ..support.run_folders import make_evaluated, make_row, make_run, write_lines


def ask(folder, sql):
    connection = open_index(folder)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_every_row_of_a_run_is_in_it_with_its_verdicts_and_metrics(tmp_path):
    run = make_run(tmp_path / "run", steps=5)
    rows = [json.loads(line) for line in (run / "rollouts.jsonl").read_text().splitlines()]
    found = ask(run, "select step, sample, id, completion, reward, passed, line from rollouts order by row")
    assert found == [
        (row["step"], row["sample"], row["id"], row["completion"], row["reward"], row["passed"], line)
        for line, row in enumerate(rows, 1)
    ]
    verdicts = ask(run, "select criterion, count(*), sum(value) from verdicts group by 1 order by 1")
    passed = sum(row["passed"] for row in rows)
    assert verdicts == [("answer_tag", 40, 40.0), ("number", 40, passed)]
    assert ask(run, "select value from metrics where step = 3 and name = 'seconds/update'") == [(2.0,)]


def test_held_out_evaluations_and_evaluations_have_tables_of_their_own(tmp_path):
    run, evaluated = make_run(tmp_path / "run", steps=2), make_evaluated(tmp_path / "eval")
    for step in (0, 2):
        folder = run / "held_out" / f"step-{step:06d}"
        folder.mkdir(parents=True)
        write_lines(folder / "completions.jsonl", [make_row(step, 3, 0, passed=step > 0)])
    assert ask(run, "select step, passed from held_out order by step") == [(0, 0), (2, 1)]
    assert ask(run, "select count(*) from rollouts") == [(16,)]
    assert ask(evaluated, "select count(*), avg(passed) from completions") == [(12, 0.5)]


def test_what_is_appended_is_taken_in_and_half_a_line_waits(tmp_path):
    run = make_run(tmp_path / "run", steps=2)
    path = run / "rollouts.jsonl"
    assert ask(run, "select count(*) from rollouts") == [(16,)]
    line = json.dumps(make_row(3, 1, 0, passed=True))
    with path.open("a") as file:
        file.write(line[:30])
    assert ask(run, "select count(*) from rollouts") == [(16,)]
    with path.open("a") as file:
        file.write(line[30:] + "\n")
    assert ask(run, "select max(step), count(*), max(line) from rollouts") == [(3, 17, 17)]


@pytest.mark.parametrize("cut", ["shorter", "as long"])
def test_a_file_that_was_cut_or_written_anew_is_read_anew(tmp_path, cut):
    run = make_run(tmp_path / "run", steps=3)
    path = run / "rollouts.jsonl"
    ask(run, "select 1")
    lines = path.read_text().splitlines(keepends=True)
    lines = lines[:8] if cut == "shorter" else [line.replace('"stop"', '"STOP"') for line in lines]
    path.write_text("".join(lines))
    assert ask(run, "select count(*), count(distinct row) from rollouts") == [(len(lines), len(lines))]
    assert ask(run, "select count(*) from verdicts") == [(2 * len(lines),)]
    said = "stop" if cut == "shorter" else "STOP"
    assert ask(run, "select distinct finish_reason from rollouts") == [(said,)]


def test_metrics_that_are_gone_are_gone(tmp_path):
    run = make_run(tmp_path / "run", steps=2)
    assert ask(run, "select count(*) > 0 from metrics") == [(1,)]
    (run / "metrics.jsonl").unlink()
    assert ask(run, "select count(*) from metrics") == [(0,)]


def test_many_may_ask_for_the_first_time_at_once(tmp_path):
    run = make_run(tmp_path / "run", steps=30)
    code = (
        "import sys; from pathlib import Path; from palaestra.trainer.storage.index import open_index;"
        "sys.stdin.readline(); print(open_index(Path(sys.argv[1])).execute("
        "'select count(*), count(distinct line) from rollouts').fetchone())"
    )
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in asking:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[0] for process in asking] == ["(240, 240)\n"] * 4


def test_damaged_lines_are_named_and_left_out(tmp_path):
    run = make_run(tmp_path / "run", steps=2)
    path = run / "rollouts.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b"\0\0\0\n"
    lines[4] = lines[4].replace(b'"reward": ', b'"reward": NaN, "was": ')
    lines[6] = b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"\n"
    path.write_bytes(b"".join(lines))
    assert ask(run, "select file, line from damaged") == [("rollouts.jsonl", line) for line in (3, 5, 7)]
    assert ask(run, "select wrong from damaged where line = 5") == [("its 'reward' is no finite number",)]
    assert ask(run, "select count(*) from rollouts") == [(13,)]


def test_a_completion_of_an_evaluation_that_is_there_already_is_named_and_left_out(tmp_path):
    folder = make_evaluated(tmp_path / "eval")
    path = folder / "completions.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[2]]))
    expected = [("completions.jsonl", 13, "its completion is in line 3 already")]
    assert ask(folder, "select file, line, wrong from damaged") == expected
    with path.open("a") as file:
        file.write(lines[0])
    assert ask(folder, "select line, wrong from damaged where line = 14") == [
        (14, "its completion is in line 1 already")
    ]
    assert ask(folder, "select count(*) from completions") == [(12,)]


def test_texts_that_no_database_holds_are_written_by_their_numbers(tmp_path):
    run = make_run(tmp_path / "run", steps=1, texts=("half \ud800 pair", "nul \x00 and <script>"))
    found = ask(run, "select completion from rollouts order by row limit 2")
    assert found == [("half \\ud800 pair",), ("nul \x00 and <script>",)]


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_index_is_made_anew(tmp_path, content):
    run = make_run(tmp_path / "run", steps=2)
    (run / INDEX).write_bytes(content)
    assert ask(run, "select count(*) from rollouts") == [(16,)]


def test_an_index_of_another_version_is_made_anew(tmp_path):
    run = make_run(tmp_path / "run", steps=2)
    connection = sqlite3.connect(run / INDEX)
    connection.execute("create table rollouts (old integer)")
    connection.execute("pragma user_version = 99")
    connection.commit()
    connection.close()
    assert ask(run, "select count(*) from rollouts") == [(16,)]


KILLED = """
import os, signal, sys
from pathlib import Path
from palaestra.trainer.storage import index

insert, count = index._insert, 0
def die_at_the_third(*given):
    global count
    count += 1
    if count == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    insert(*given)
index.BATCH, index._insert = 4, die_at_the_third
index.open_index(Path(sys.argv[1]))
"""


def test_a_kill_while_rows_are_taken_in_loses_and_doubles_none(tmp_path):
    run = make_run(tmp_path / "run", steps=4)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(run)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert ask(run, "select count(*), count(distinct line) from rollouts") == [(32, 32)]


def test_a_folder_that_can_only_be_read_is_asked_in_memory(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run", steps=2)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root, who may run the tests, may write anywhere
    assert ask(run, "select count(*) from rollouts") == [(16,)]
    assert not (run / INDEX).exists()


def test_folders_without_rows_are_refused(tmp_path):
    with pytest.raises(UserError, match="There is no folder"):
        open_index(tmp_path / "none")
    with pytest.raises(UserError, match="holds no completions"):
        open_index(tmp_path)
    assert not (tmp_path / INDEX).exists()
