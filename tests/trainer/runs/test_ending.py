"""A run leaves word of how it ended, whatever ended it."""

import json

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.runs.ending import record_end
from palaestra.trainer.runs.state import Progress
from palaestra.trainer.storage.atomic import DiskError
from palaestra.trainer.storage.interrupts import Interrupts


def read_end(folder):
    ended = json.loads((folder / "end.json").read_text())
    return ended["state"], ended["reason"], ended["step"]


def test_finished_and_stopped(tmp_path):
    progress = Progress()
    with record_end(tmp_path, progress, 5, Interrupts()):
        progress.step = 5
    assert read_end(tmp_path) == ("finished", "", 5)
    stop = Interrupts()
    with record_end(tmp_path, Progress(step=2), 5, stop):
        assert not (tmp_path / "end.json").exists()  # what an earlier part said is gone
        stop.requested = "SIGTERM"
    assert read_end(tmp_path) == ("stopped", "SIGTERM", 2)


@pytest.mark.parametrize(
    ("failure", "found"),
    [
        (UserError("Step 2: broken."), ("halted", "Step 2: broken.", 2)),
        (KeyError("x"), ("failed", "KeyError: 'x'", 2)),
        (KeyboardInterrupt(), ("stopped", "SIGINT, at once", 2)),
        (DiskError("x could not be written."), ("disk", "x could not be written.", 2)),
        (OSError(28, "No space left"), ("disk", "[Errno 28] No space left", 2)),
    ],
)
def test_a_guard_an_error_a_second_interrupt_and_a_full_disk(tmp_path, failure, found):
    with pytest.raises(type(failure)), record_end(tmp_path, Progress(step=2), 5, Interrupts()):
        raise failure
    assert read_end(tmp_path) == found
