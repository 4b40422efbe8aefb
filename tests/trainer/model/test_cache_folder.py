"""Where this cache_folder keeps what was made once."""

import os

import pytest
from palaestra.trainer.model import cache_folder


def test_a_folder_that_others_can_write_to_is_not_loaded_from(monkeypatch: pytest.MonkeyPatch, tmp_path):
    shared = tmp_path / "cache" / "palaestra"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared.parent))
    monkeypatch.setattr(cache_folder.tempfile, "gettempdir", lambda: str(tmp_path))
    assert cache_folder.find_cache_folder() == tmp_path / f"palaestra-{os.getuid()}"
    cache_folder.find_cache_folder().chmod(0o770)
    with pytest.raises(OSError, match="this user's alone"):
        cache_folder.find_cache_folder()
