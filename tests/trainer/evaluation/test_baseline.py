"""The completions of an earlier evaluation."""

from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.evaluation.baseline import read_baseline


def test_a_baseline_that_is_none_is_a_sentence(tmp_path: Path):
    with pytest.raises(UserError, match="There is no file"):
        read_baseline(str(tmp_path / "none"))
    (tmp_path / "completions.jsonl").write_text('{"id": 3}\n')
    with pytest.raises(UserError, match="line 1: a baseline's row has an id and a completion"):
        read_baseline(str(tmp_path))
