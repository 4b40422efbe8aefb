"""A checkpoint is there complete or not at all, also when the disk is full."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.storage import checkpoint
from palaestra.trainer.storage.atomic import DiskError
from safetensors.torch import save_file


def save(folder: Path, step: int, text: str = "weights") -> Path:
    return checkpoint.save(
        folder, step, lambda path: (path / "model").write_text(text) and None, {"step": step}, {"note": "x"}
    )


def test_what_is_saved_is_loaded(tmp_path: Path):
    made = checkpoint.save(tmp_path, 3, lambda path: None, {"t": torch.arange(3), "n": 5}, {})
    state = checkpoint.load_state(made)
    assert torch.equal(state["t"], torch.arange(3))
    assert state["n"] == 5


def test_a_failure_in_the_middle_leaves_the_older_checkpoint_and_no_rubbish(tmp_path: Path):
    made = save(tmp_path, 1, "old")

    def fail(folder: Path) -> None:
        (folder / "model").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match=r"could not be written.*No space left"):
        checkpoint.save(tmp_path, 1, fail, {}, {})
    assert (made / "model").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["step-000001"]


def test_a_full_disk_that_a_writer_reports_in_words_of_its_own_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """torch.save on a full disk: RuntimeError, "unexpected pos 2935744 vs 2935632"."""
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda _folder: SimpleNamespace(free=0))

    def fail(folder: Path) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 2935744 vs 2935632")

    with pytest.raises(UserError, match="the disk is full"):
        checkpoint.save(tmp_path, 1, fail, {}, {})
    assert list(tmp_path.iterdir()) == []


@contextmanager
def limited_file_size(most: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes, as under a quota: the disk itself has room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_weights(folder: Path) -> None:
    save_file({"weights": torch.zeros(200_000)}, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("write", "state"),
    [(lambda folder: None, {"moments": torch.zeros(200_000)}), (write_weights, {})],
    ids=["torch.save", "safetensors"],
)
def test_a_quota_that_the_writers_run_into_is_a_sentence(tmp_path: Path, write, state: dict):
    with limited_file_size(100_000), pytest.raises(DiskError, match="could not be written"):
        checkpoint.save(tmp_path, 1, write, state, {})
    assert list(tmp_path.iterdir()) == []


def test_a_bug_in_a_writer_is_not_called_a_full_disk(tmp_path: Path):
    def fail(folder: Path) -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        checkpoint.save(tmp_path, 1, fail, {}, {})


def test_a_partial_folder_of_a_killed_run_is_not_a_checkpoint_and_does_not_hinder(tmp_path: Path):
    (tmp_path / ".step-000002.partial").mkdir()
    (tmp_path / ".step-000002.partial" / "model").write_text("half")
    assert checkpoint.list_checkpoints(tmp_path) == []
    save(tmp_path, 2)
    assert [path.name for path in checkpoint.list_checkpoints(tmp_path)] == ["step-000002"]


def test_the_newest_and_the_best_stay(tmp_path: Path):
    for step in range(1, 8):
        save(tmp_path, step)
        checkpoint.prune(tmp_path, keep=2, best_step=3)
    assert [path.name[-1] for path in checkpoint.list_checkpoints(tmp_path)] == ["3", "6", "7"]


def test_a_folder_without_state_is_refused_with_a_sentence(tmp_path: Path):
    with pytest.raises(UserError, match="not a checkpoint"):
        checkpoint.load_state(tmp_path)
