"""Where this machine keeps what was made once."""

import os

import pytest
from palaestra.trainer.model import machine


def test_a_folder_that_others_can_write_to_is_not_loaded_from(monkeypatch: pytest.MonkeyPatch, tmp_path):
    shared = tmp_path / "cache" / "palaestra"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared.parent))
    monkeypatch.setattr(machine.tempfile, "gettempdir", lambda: str(tmp_path))
    assert machine.find_cache_folder() == tmp_path / f"palaestra-{os.getuid()}"
    machine.find_cache_folder().chmod(0o770)
    with pytest.raises(OSError, match="this user's alone"):
        machine.find_cache_folder()
