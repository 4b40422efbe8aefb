"""The rows of a run's files for who looks at them."""

import json
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.storage.rows import read_completions


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_every_row_has_the_prompt_as_the_model_saw_it_which_is_written_once_a_group(tmp_path: Path):
    path = write(
        tmp_path / "rollouts.jsonl",
        {"step": 1, "id": "a", "rendered_prompt": "<s>a"}, {"step": 1, "id": "a"},
        {"step": 1, "id": "b", "rendered_prompt": "<s>b"}, {"step": 1, "id": "b"},
        {"step": 2, "id": "a", "rendered_prompt": "<s>A"}, {"step": 2, "id": "a"}, {"step": 3, "id": "a"},
    )  # fmt: skip
    rows = read_completions(path)
    assert [row.get("rendered_prompt") for row in rows] == ["<s>a"] * 2 + ["<s>b"] * 2 + ["<s>A"] * 2 + [None]
    assert [row["id"] for row in read_completions(path, step=2)] == ["a", "a"]


def test_a_last_line_that_was_cut_is_left_out_and_a_damaged_one_is_named(tmp_path: Path):
    path = write(tmp_path / "completions.jsonl", {"id": "a"}, {"id": "b"})
    path.write_text(path.read_text() + '{"id": "c"')
    assert [row["id"] for row in read_completions(path)] == ["a", "b"]
    path.write_text('{"id": "a"}\n{"id"\n')
    with pytest.raises(UserError, match="line 2 is damaged"):
        read_completions(path)
    path.write_text("[1]\n")
    with pytest.raises(UserError, match="line 1 is damaged"):
        read_completions(path)
    assert read_completions(tmp_path / "none.jsonl") == []
