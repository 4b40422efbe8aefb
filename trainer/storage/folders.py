"""The folder of a run: settings, facts, metrics, checkpoints, the model at its end.
Every command that trains has this one.

config.json holds settings only, and `--config` takes it.  facts.json holds what a result depends on beside
them.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from ...tasks.core.errors import UserError
from ..config.settings import Settings, merge
from ..reports.loggers import Logger, flatten, open_loggers
from . import checkpoint
from .records import read_json, read_lines
from .sources import record_sources

CONFIG, FACTS, METRICS = "config.json", "facts.json", "metrics.jsonl"
WARM_UP = "sft"  # folder of the model of an SFT warm-up that was stopped
PACKAGES = ("palaestra", "torch", "transformers", "datasets", "sympy", "python-flint", "openai")
Config = TypeVar("Config", bound=Settings)


@dataclass(frozen=True)
class RunFolder:
    """path: the folder.  loggers: where metrics go beside metrics.jsonl."""

    path: Path
    loggers: Sequence[Logger] = ()

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """Where the trained model is, once the run has ended."""
        return self.path / "model"

    def log(self, line: Mapping[str, Any]) -> None:
        """Append a line to metrics.jsonl. Its `kind` and `step` say what it is about;
        numbers go to the loggers, too."""
        with (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        values = flatten(
            {name: value for name, value in line.items() if name not in ("kind", "step")}, f"{line['kind']}/"
        )
        for logger in self.loggers:
            logger.log(line["step"], values)

    def read_facts(self) -> dict[str, Any]:
        """What was recorded at the start."""
        return read_json(self.path / FACTS, ("command", "sources"))

    def read_config(self, kind: type[Config]) -> Config:
        """The settings of the run."""
        return merge(kind(), read_json(self.path / CONFIG), str(self.path / CONFIG))

    def find_newest_checkpoint(self) -> Path:
        """Raises UserError when there is none yet."""
        complete = checkpoint.list_checkpoints(self.checkpoints)
        if not complete:
            raise UserError(f"{self.path} holds no checkpoint yet; start the run again with another --out.")
        return complete[-1]

    def close(self) -> None:
        for logger in self.loggers:
            logger.close()


def find_free(out: str, name: str) -> Path:
    """The folder of a new run. One that the user named must be free;
    an automatic one gets a number when it is not."""
    automatic = out == "auto"
    wanted = f"runs/{name}" if automatic else out
    folder, number = Path(wanted), 2
    while folder.exists() and any(folder.iterdir()):
        if not automatic:
            begun = bool(checkpoint.list_checkpoints(folder / "checkpoints"))
            hint = f", or `palaestra resume {folder}` to go on with it" if begun else ""
            raise UserError(f"{folder} is not empty. Give another --out{hint}.")
        folder = Path(f"{wanted}-{number}")
        number += 1
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def discard_failed_start(folder: Path) -> Iterator[None]:
    """Empty the folder of a new run again when its start fails, so that --out is free for the next try.

    Whatever was computed stays: a checkpoint, a model, the record of a step.
    """
    done = False
    try:
        yield
        done = True
    finally:  # whatever ended the start, Ctrl-C too, goes on its way
        if not done and not _holds_work(folder):
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _holds_work(folder: Path) -> bool:
    """Whether a run has computed something: a model, a checkpoint, the record of a step."""
    metrics = folder / METRICS
    stepped = metrics.is_file() and '"kind": "step"' in metrics.read_text(encoding="utf-8")
    kept = (folder / "model", folder / WARM_UP, *checkpoint.list_checkpoints(folder / "checkpoints"))
    return stepped or any(path.exists() for path in kept)


def open_new(folder: Path, config: Settings, facts: Mapping[str, Any], log: Sequence[str]) -> RunFolder:
    """Record settings and facts of a run that begins, once its loggers are open."""
    loggers = open_loggers(log, folder, asdict(config))
    (folder / FACTS).write_text(json.dumps(facts, indent=1, default=str), encoding="utf-8")
    (folder / CONFIG).write_text(json.dumps(asdict(config), indent=1), encoding="utf-8")
    return RunFolder(folder, loggers)


def open_existing(path: Path) -> RunFolder:
    """The folder of a run that was begun. Raises UserError when it is none."""
    for name in (CONFIG, FACTS):
        if not (path / name).is_file():
            raise UserError(f"{path} is not the folder of a run: it holds no {name}.")
    return RunFolder(path)


def reopen(path: Path, config: Settings, log: Sequence[str]) -> RunFolder:
    """The folder of a run that goes on, its loggers open, its settings as they are now (but for how this part
    of it stops)."""
    folder = open_existing(path)
    before = read_json(path / CONFIG)
    now = json.loads(json.dumps({**asdict(config), "stop_after": before.get("stop_after", 0)}))
    loggers = open_loggers(log, path, now)
    if now != before:
        new = path / f".{CONFIG}.partial"
        new.write_text(json.dumps(now, indent=1), encoding="utf-8")
        new.replace(path / CONFIG)
    return replace(folder, loggers=loggers)


def forget_after(folder: Path, step: int) -> None:
    """Cut from the logs what was written after the checkpoint: those steps will be done again."""
    for name in (METRICS, "rollouts.jsonl"):
        path = folder / name
        if path.is_file():
            kept = [line.text for line in read_lines(path) if line.values["step"] <= step]
            path.write_text("".join(kept), encoding="utf-8")


def gather_facts(command: str, folder: Path, sources: Iterable[str], **more: Any) -> dict[str, Any]:
    """What a result depends on beside the settings: versions, the code of what was named,
    with a copy in `folder`.

    sources: names of tasks, algorithms, losses as the settings give them.  more:
    what else the command found out.
    """
    return {
        "command": command,
        "python": platform.python_version(),
        "packages": {name: installed for name in PACKAGES if (installed := _find_version(name))},
        "git": _find_git_revision(),
        "sources": record_sources(folder, sources),
        **more,
    }


def _find_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _find_git_revision() -> str | None:
    """Of the checkout that this code is run from; None where it is installed or git is missing."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        output = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return output.stdout.strip() or None
