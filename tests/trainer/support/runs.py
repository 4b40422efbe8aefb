"""What tests of whole runs share."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM


def say_nothing(_line: str) -> None:
    """In the place of `print`, for a run that should be silent."""


def load_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of a model folder by name."""
    return AutoModelForCausalLM.from_pretrained(folder).state_dict()


def have_same_weights(first: Path, second: Path) -> bool:
    """Whether two model folders hold the same weights, to the bit."""
    left, right = load_weights(first), load_weights(second)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
