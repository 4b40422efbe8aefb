"""What a run's result looks like to a person, and its rows."""

import json
from pathlib import Path

import pytest
from palaestra.trainer.runs.state import RunResult


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = [{"kind": "step", "step": step, "loss": 1.0} for step in (1, 2)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = [{"step": step, "id": "a", "rendered_prompt": "<s>"} for step in (1, 2)]
    (tmp_path / "rollouts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "config.json").write_text(json.dumps({"steps": 2, "model": {"source": "<b>x</b>"}}))
    return tmp_path


def test_a_result_has_its_rows_and_prints_in_five_lines(folder: Path):
    result = RunResult(folder, folder / "model")
    assert [line["step"] for line in result.metrics()] == [1, 2]
    assert [row["rendered_prompt"] for row in result.rollouts(step=2)] == ["<s>"]
    assert len(str(result).splitlines()) == 5
    assert repr(result) == f"RunResult({str(folder)!r})"
    assert "&lt;b&gt;x&lt;/b&gt;" in result._repr_html_()
    assert "<b>" not in result._repr_html_()


def test_a_notebook_shows_the_curves(folder: Path):
    result = RunResult(folder, folder / "model", interrupted=True)
    assert "<img" not in result._repr_html_()
    (folder / "curves.png").write_bytes(b"picture")
    assert 'src="data:image/png;base64,cGljdHVyZQ=="' in result._repr_html_()
    assert repr(result) == f"RunResult({str(folder)!r}, interrupted)"
