"""The table of proofs, and the page that holds it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from palaestra import tasks
from palaestra.tasks.core.errors import UserError
from palaestra.tasks.core.proofs.proof import Level, Overlap, Proof, Shared, Tally
from palaestra.tasks.core.proofs.prove import prove
from palaestra.tasks.core.proofs.table import (
    BEGIN,
    COLUMNS,
    END,
    replace_table,
    write_findings,
    write_row,
    write_table,
)
from palaestra.tasks.core.proportion import Proportion
from palaestra.tasks.core.sources import Procedural

PAGE = Path(__file__).parents[4] / "docs" / "proofs.md"
TIMES = COLUMNS.index("verdict p50, p99")  # of the machine that measured


def read_rows():
    table = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n") if "`" in line
    ]
    return {row[0].strip("`"): row for row in rows}


def test_the_page_has_a_row_for_every_task():
    assert sorted(read_rows()) == tasks.names()


GENERATED = [name for name in tasks.names() if isinstance(tasks.get(name).source, Procedural)]


@pytest.mark.parametrize(
    "name", [*GENERATED[:8], *(pytest.param(name, marks=pytest.mark.slow) for name in GENERATED[8:])]
)
def test_the_rows_are_what_the_command_prints(name):
    """But for the times, and for what other tests hold of the rest."""
    row, shown = write_row(prove(tasks.get(name))), read_rows()[name]
    assert row[:TIMES] + row[TIMES + 1 :] == shown[:TIMES] + shown[TIMES + 1 :]


PROOF = Proof(
    "some", "math", 4, (), (Tally("a", False, 100, 1), Tally("b", True, 50, 5, 0, "x")),
    levels=(Level(1, Proportion(9, 10)), Level(2, Proportion(1, 10))),
    overlap=Overlap(Shared("train", 20, 1, 4), (Shared("gsm8k", 30, 2, 3), Shared("aime24", 30, 0, 0))),
)  # fmt: skip


def test_a_row_holds_the_rates_with_their_intervals():
    assert write_row(PROOF) == [
        "`some`", "4", "100", "1 % [0.18, 5.4]", "50", "10 % [4.3, 21]", "-", "1, 20 %; 2 in gsm8k",
        "90, 10 %",
    ]  # fmt: skip
    assert write_row(replace(PROOF, tallies=(), left_out="none"))[:3] == ["`some`", "data not here", "-"]
    lines = write_table([PROOF])
    assert len(lines) == 3
    assert {line.count("|") for line in lines} == {len(COLUMNS) + 1}
    figures = "\n".join(write_findings(PROOF))
    assert "1 of 100 completions that must not pass do" in figures
    assert "2 by their words, 3 by 13 words in a row of 30 are in gsm8k" in figures
    assert "looked at gsm8k, aime24" in figures


def test_the_table_is_written_between_its_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    replace_table(page, ["| a |", "| --- |"])
    assert page.read_text() == f"before\n{BEGIN}\n\n| a |\n| --- |\n\n{END}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(UserError, match=re.escape(f"no lines {BEGIN} and {END}")):
        replace_table(page, [])
