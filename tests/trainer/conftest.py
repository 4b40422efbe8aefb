"""A small policy that has learned a little addition: made once for all tests of the trainer."""

from pathlib import Path

import pytest
from palaestra.tasks import get

from .support.taught import teach


@pytest.fixture(scope="session")
def warm_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an embedded model after 150 steps of SFT: right now and then,
    so that groups have a signal."""
    import torch

    torch.set_num_threads(1)
    task = get("addition", {"operands": 2, "digits": 1})
    return teach(task, tmp_path_factory.mktemp("warm"), problems=2000, steps=150)
