"""Problems as rows, for those who sample somewhere else."""

import pytest
from palaestra.tasks import DataError, TaskError, export_rows, get
from palaestra.tasks.core.export import PROCEDURAL_PROBLEMS


def test_a_row_says_what_to_ask_with_and_without_the_form():
    task = get("gcd")
    [row] = export_rows(task, count=1, level=2)
    problem = task.problem("test", 0, level=2)
    assert row == {
        "id": "gcd/test/0/2/0",
        "prompt": problem.text,
        "prompt_with_instruction": f"{problem.text}\n\n{task.instruction}",
        "messages": [{"role": "user", "content": f"{problem.text}\n\n{task.instruction}"}],
        "reference": problem.reference,
        "metadata": {"level": 2},
    }


def test_how_many_rows_there_are():
    assert len(export_rows("gcd")) == PROCEDURAL_PROBLEMS
    assert len(export_rows("ice_cream", "train")) == 96
    assert export_rows("gcd", count=1, seed=3)[0]["id"] == "gcd/test/3/1/0"


def test_a_split_or_a_level_that_is_not_there_is_a_sentence():
    with pytest.raises(TaskError, match="no split 'tset'; it has train, test"):
        export_rows("gcd", "tset")
    with pytest.raises(TaskError, match="no level 99"):
        export_rows("gcd", level=99)
    with pytest.raises(DataError, match="no file or folder /nowhere"):
        export_rows(get("gsm8k", {"data": "/nowhere"}))
