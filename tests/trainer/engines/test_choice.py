"""The engine that the settings ask for: what is made for it goes with it."""

from pathlib import Path

import pytest
from palaestra.trainer.config.engine import EngineConfig
from palaestra.trainer.engines.choice import Extent, make_engine
from palaestra.trainer.engines.vllm import start
from palaestra.trainer.engines.vllm.wire import Wire

from .engine_contract import make_small_policy


@pytest.mark.parametrize("named", [False, True])
def test_the_folder_of_the_weights_goes_with_the_engine_unless_it_was_named(
    named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    memory, own = tmp_path / "memory", tmp_path / "own"
    for folder in (memory, own):
        folder.mkdir()
    monkeypatch.setattr(start, "MEMORY_FOLDER", memory)
    monkeypatch.setattr(Wire, "get", lambda _self, _path: {"data": [{"id": "policy"}]})
    config = EngineConfig(kind="vllm", url="http://localhost:8000", folder=str(own) if named else "")
    engine = make_engine(make_small_policy(), config, Extent(2, 20), tmp_path, print)
    assert len(list(memory.iterdir())) == (not named)
    engine.close()
    assert not list(memory.iterdir())
    assert own.is_dir()
