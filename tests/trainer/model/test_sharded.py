"""Moments in shards: what is written between two steps does not change the ones that follow."""

import copy
from pathlib import Path

import pytest
import torch
from palaestra.trainer.model.sharded import load_moments, save_moments


def make(begun: int) -> tuple[torch.nn.Linear, torch.optim.AdamW]:
    model = torch.nn.Linear(3, 2)
    torch.nn.init.constant_(model.weight, 0.5)
    torch.nn.init.zeros_(model.bias)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(begun):
        take_step(model, optimizer)
    return model, optimizer


def take_step(model: torch.nn.Linear, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.tensor([[1.0, -2.0, 3.0]])).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("begun", [0, 1, 3])
@pytest.mark.parametrize("left", [False, True], ids=["no gradients", "gradients that no step has used"])
def test_steps_after_a_checkpoint_are_those_without_it(begun: int, left: bool, tmp_path: Path):
    expected, plain = make(begun)
    model, optimizer = make(begun)
    before = copy.deepcopy(model.state_dict())
    if left:
        model(torch.ones(1, 3)).sum().backward()
    save_moments(model, optimizer, tmp_path / "moments")
    resumed, fresh = make(0)
    resumed.load_state_dict(before)
    load_moments(resumed, fresh, tmp_path / "moments")
    for _ in range(2):
        for each, with_it in ((expected, plain), (model, optimizer), (resumed, fresh)):
            take_step(each, with_it)
        assert torch.equal(model.weight, expected.weight)
        assert torch.equal(resumed.weight, expected.weight)
