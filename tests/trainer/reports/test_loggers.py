"""Where metrics go beside metrics.jsonl."""

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.reports.loggers import flatten, open_loggers


def test_loggers_are_named_and_metrics_are_flattened(tmp_path):
    assert flatten({"a": 1, "b": {"c": 2.5, "d": None}, "e": "text"}) == {"a": 1.0, "b/c": 2.5}
    with pytest.raises(UserError, match="tensorboard, wandb"):
        open_loggers(["tensorbord"], tmp_path, {})
