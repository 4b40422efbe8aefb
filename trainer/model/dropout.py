"""Training without dropout: a model in training mode is the same function as in evaluation mode."""

from __future__ import annotations

import copy
import re
from typing import Any

from torch import nn

_RANDOM = re.compile(r"drop|(?<!router_)jitter")
"""In the names of what a model draws at random in training: dropout and attention_dropout, resid_pdrop,
layerdrop, drop_prob of stochastic depth, jitter_noise of what routers read (a module's `router_jitter_noise`
is the threshold by which PhiMoE masks experts, in evaluation too)."""


def disable_dropout(model: nn.Module) -> None:
    """Turn off, in place, all that a model draws at random in training mode.

    A sampler draws without dropout, and a policy gradient is that of the policy that was sampled from. The
    model's own config stays as it is, so that what is saved says what was loaded; where a part of the model
    reads a probability from the config as it runs (GPT-J, Falcon), it reads a copy.
    """
    own, quiet = getattr(model, "config", None), dict[int, Any]()
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        for name in _list_probabilities(module):
            setattr(module, name, 0.0)
        config = vars(module).get("config")
        if module is not model and config is not None and _list_probabilities(config):
            module.config = quiet.setdefault(id(config), _quieten(config))
    assert getattr(model, "config", None) is own


def _list_probabilities(owner: Any) -> list[str]:
    return [
        name
        for name, value in vars(owner).items()
        if isinstance(value, float) and 0 < value <= 1 and _RANDOM.search(name)
    ]


def _quieten(config: Any) -> Any:
    """A copy of a config in which nothing is drawn at random."""
    config = copy.deepcopy(config)
    for name in _list_probabilities(config):
        setattr(config, name, 0.0)
    return config
