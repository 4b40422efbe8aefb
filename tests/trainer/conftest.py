"""A small policy that has learned a little addition: made once for all tests of the trainer."""

from pathlib import Path

import pytest
from palaestra.tasks import get
from palaestra.trainer.config.sft import SFTConfig
from palaestra.trainer.model.policy import load_policy
from palaestra.trainer.model.prompts import PromptFormat
from palaestra.trainer.sft.fit import draw_training_problems, encode_demonstrations, fit


@pytest.fixture(scope="session")
def warm_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an embedded model after 150 steps of SFT: right now and then,
    so that groups have a signal."""
    import torch

    torch.set_num_threads(1)
    policy = load_policy("embedded", "cpu", "float32", seed=1)
    task = get("addition", {"operands": 2, "digits": 1})
    data = encode_demonstrations(
        PromptFormat.of(policy.tokenizer), task, draw_training_problems(task, 2000, 1, None), 1, 128
    )
    fit(policy, task, data, SFTConfig.of(seed=1, steps=150))
    folder = tmp_path_factory.mktemp("warm")
    policy.save(folder)
    return folder
