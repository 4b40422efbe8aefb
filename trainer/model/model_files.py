"""A model's weights on disk, in the type that is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

CONFIG = "config.json"


def save_weights(
    model: Any, folder: Path, dtype: str = "auto", state: Mapping[str, Tensor] | None = None
) -> None:
    """Write what `from_pretrained` loads.

    dtype: of the weights, "auto" for their own.  state: the weights, None for the model's own.
    """
    if dtype == "auto":
        model.save_pretrained(folder, state_dict=state)
        return
    target = getattr(torch, dtype)
    cast: dict[int, Tensor] = {}  # tied weights stay one

    def convert(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        return cast.setdefault(tensor.data_ptr(), tensor.to(target))

    own = model.state_dict() if state is None else state
    model.save_pretrained(folder, state_dict={name: convert(tensor) for name, tensor in own.items()})
    path = folder / CONFIG  # it says the type of the model in memory
    config = json.loads(path.read_text(encoding="utf-8"))
    config[next((name for name in ("dtype", "torch_dtype") if name in config), "dtype")] = dtype
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
