"""The table of tasks in terminals of any width."""

import pytest
from palaestra.tasks import get, names
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.cli import task_table
from palaestra.trainer.cli.task_table import Column, fit_columns, select_tasks, write_table

TASKS = [get(name) for name in names()]


@pytest.mark.parametrize("width", [24, 40, 60, 80, 100, 140, 300])
def test_every_line_fits(width: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(task_table, "find_width", lambda: width)
    lines = write_table(TASKS, wide=False)
    assert max(map(len, lines)) <= width
    assert [line.split()[0] for line in lines[1 : len(TASKS) + 1]] == [task.name for task in TASKS]
    assert ("source" in lines[0]) == (width >= 100)
    if width < 80:
        assert "--wide shows" in " ".join(lines)


def test_a_width_is_asked_of_a_terminal_alone(monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("COLUMNS", "61")
    assert task_table.find_width() == task_table.WIDTH  # standard output is captured
    monkeypatch.setattr(task_table.sys.stdout, "isatty", lambda: True, raising=False)
    assert task_table.find_width() == 61


def test_the_widest_column_is_cut_first_and_none_below_its_least():
    columns = [
        Column("a", ["x" * 10]),
        Column("b", ["y" * 30], least=12),
        Column("c", ["z" * 20], least=12),
    ]
    assert [column.cells[0] for column in fit_columns(columns, 46)] == [
        "x" * 10,
        "y" * 13 + "...",
        "z" * 13 + "...",
    ]
    assert [column.cells[0] for column in fit_columns(columns, 58)] == ["x" * 10, "y" * 21 + "...", "z" * 20]
    assert [column.title for column in fit_columns(columns, 37)] == ["a", "b"]
    assert [column.title for column in fit_columns(columns, 3)] == ["a"]


def test_what_selects_nothing_is_a_sentence():
    with pytest.raises(UserError, match="No task of kind code has 'gcd' in its name or summary"):
        select_tasks(TASKS, ["code"], "gcd")
