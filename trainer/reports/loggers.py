"""Where metrics go beside metrics.jsonl: TensorBoard and Weights & Biases, behind one small interface."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ...tasks.core.errors import UserError


class Logger(Protocol):
    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write numbers of one step."""
        ...

    def close(self) -> None: ...


PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb"}  # what each logger imports


def check_loggers(names: Sequence[str]) -> None:
    """Raise UserError for an unknown name or a missing package. Nothing is opened."""
    for name in names:
        if name not in PACKAGES:
            raise UserError(f"There is no logger {name!r}; there are {', '.join(PACKAGES)}.")
        if importlib.util.find_spec(PACKAGES[name]) is None:
            raise UserError(
                f"--log {name} needs a package that is not here: pip install 'palaestra[{name}]'."
            )


def open_loggers(names: Sequence[str], folder: Path, config: Mapping[str, Any]) -> list[Logger]:
    """The named loggers, writing for the run in `folder`. Raises UserError for a missing package or an
    unknown name."""
    known: dict[str, Callable[[Path, Mapping[str, Any]], Logger]] = {
        "tensorboard": _TensorBoard,
        "wandb": _WandB,
    }
    check_loggers(names)
    return [known[name](folder, config) for name in names]


def flatten(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of nested metrics under names joined by '/'."""
    numbers: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            numbers |= flatten(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)):
            numbers[f"{prefix}{name}"] = float(value)
    return numbers


class _TensorBoard:
    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"))
        self._writer.add_text("config", str(dict(config)))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _WandB:
    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        import wandb  # pyrefly: ignore[missing-import]

        self._run = wandb.init(
            project="palaestra", dir=str(folder), name=folder.name, config=dict(config), resume="allow"
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()
