"""What tests of whole runs share."""

from pathlib import Path

import torch
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.engines.base import Sampling
from palaestra.trainer.engines.local import LocalEngine
from transformers import AutoModelForCausalLM

SMALL = TrainConfig.of(
    task="addition",
    option=("operands=2", "digits=1"),
    steps=4,
    prompts_per_step=4,
    group_size=4,
    max_new_tokens=24,
    eval_problems=10,
    eval_samples=2,
    eval_every=2,
    save_every=2,
    threads=1,
    device="cpu",
    dtype="float32",
)
"""A run of a few seconds, for `warm_model`."""

EACH_STEP = [
    *("--option=operands=2", "--option=digits=1", "--prompts-per-step=4", "--group-size=4"),
    *("--eval-samples=1", "--save-every=1", "--keep=1", "--threads=1"),
]
"""Options of such a run by a process of its own, which puts a checkpoint in its place at every step."""


def say_nothing(_line: str) -> None:
    """In the place of `print`, for a run that should be silent."""


def load_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of a model folder by name."""
    return AutoModelForCausalLM.from_pretrained(folder).state_dict()


def have_same_weights(first: Path, second: Path) -> bool:
    """Whether two model folders hold the same weights, to the bit."""
    left, right = load_weights(first), load_weights(second)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def make_listening_engine(asked: list[Sampling]) -> type[LocalEngine]:
    """A local engine that writes down how its completions are to be drawn."""

    class Listening(LocalEngine):
        def sample(self, requests, sampling, finished=None):
            asked.append(sampling)
            return super().sample(requests, sampling, finished)

    return Listening
