"""The folder of a run: settings, facts, metrics, checkpoints, the model at its end.
Every command that trains has this one.

config.json holds settings only, and `--config` takes it.  facts.json holds what a result depends on beside
them.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from ...tasks.core.errors import UserError
from ..config.settings import Settings, merge
from ..reports.loggers import Logger, flatten, open_loggers
from . import checkpoint
from .names import CONFIG, FACTS, HELD_OUT, METRICS, ROLLOUTS
from .records import read_json, read_lines, write_json
from .sources import WORLDS, record_changes, record_data, record_sources, record_worlds

REFERENCE = "reference"  # folder of the model that a run started from
EARLIER_SETTINGS = "earlier_settings"  # of facts.json: the settings up to a step, where a resume changed them
WARM_UP = "sft"  # folder of the model of an SFT warm-up that was stopped
PACKAGES = ("palaestra", "torch", "transformers", "datasets", "sympy", "python-flint", "openai")
Config = TypeVar("Config", bound=Settings)


@dataclass(frozen=True)
class RunFolder:
    """path: the folder.  loggers: where metrics go beside metrics.jsonl.  writes: False for a process of the
    run that leaves all writing to another."""

    path: Path
    loggers: Sequence[Logger] = ()
    writes: bool = True

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
        if not self.writes:
            return
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

    def read_config(self, kind: type[Config], step: int | None = None) -> Config:
        """The settings of the run; with a step, those under which it was taken."""
        values = read_json(self.path / CONFIG)
        if step is not None:
            values = find_settings(self.read_facts(), values, step)
        return merge(kind(), values, str(self.path / CONFIG))

    def find_newest_checkpoint(self) -> Path:
        """Raises UserError when there is none yet."""
        complete = checkpoint.list_checkpoints(self.checkpoints)
        if not complete:
            command = ["palaestra", self.read_facts()["command"], "--config", str(self.path / CONFIG)]
            raise UserError(
                f"{self.path} holds no checkpoint: the run was stopped before its first one. Start it again: "
                f"{shlex.join([*command, '--out', str(self.path)])}"
            )
        return complete[-1]

    def close(self) -> None:
        for logger in self.loggers:
            logger.close()


def open_new(folder: Path, config: Settings, facts: Mapping[str, Any], log: Sequence[str]) -> RunFolder:
    """Record settings and facts of a run that begins, once its loggers are open."""
    loggers = open_loggers(log, folder, asdict(config))
    write_json(folder / FACTS, facts)
    write_json(folder / CONFIG, asdict(config))
    return RunFolder(folder, loggers)


def open_existing(path: Path) -> RunFolder:
    """The folder of a run that was begun. Raises UserError when it is none."""
    for name in (CONFIG, FACTS):
        if not (path / name).is_file():
            raise UserError(f"{path} is not the folder of a run: it holds no {name}.")
    return RunFolder(path)


def reopen(path: Path, config: Settings, log: Sequence[str], step: int) -> RunFolder:
    """The folder of a run that goes on after a step, its loggers open, its settings as they are now (but for
    how this part of it stops), and its code and data as they are now. What the settings were until then is
    among its facts."""
    folder = open_existing(path)
    before = read_json(path / CONFIG)
    now = json.loads(json.dumps({**asdict(config), "stop_after": before.get("stop_after", 0)}))
    loggers = open_loggers(log, path, now)
    facts = folder.read_facts()
    changed = record_changes(path, facts)
    known = facts.get(EARLIER_SETTINGS, [])
    earlier = [part for part in known if part["last_step"] < step]
    if (until_now := find_settings(facts, before, step)) != now:
        earlier.append({"last_step": step, "settings": until_now})
    if earlier != known:
        changed[EARLIER_SETTINGS] = earlier
    if changed:
        write_json(path / FACTS, {**facts, **changed})
    if now != before:
        write_json(path / CONFIG, now)
    return replace(folder, loggers=loggers)


def find_settings(facts: Mapping[str, Any], now: dict[str, Any], step: int) -> dict[str, Any]:
    """The settings under which a run took a step. facts, now: what facts.json and config.json hold."""
    earlier = (part["settings"] for part in facts.get(EARLIER_SETTINGS, []) if step <= part["last_step"])
    return next(earlier, now)


def forget_after(folder: Path, step: int) -> None:
    """Cut from the logs, and from the held-out evaluations, what was written after the checkpoint: those
    steps will be done again."""
    for name in (METRICS, ROLLOUTS):
        path = folder / name
        if path.is_file():
            _cut_after(path, step)
    for path in (folder / HELD_OUT).glob(f"{checkpoint.PREFIX}*"):
        if checkpoint.parse_step(path) > step:
            shutil.rmtree(path)


def _cut_after(path: Path, step: int) -> None:
    """Cut a log where its first line beyond a step begins, and a last line that is not whole. No more than a
    line of it is in memory: a log may be larger than that."""
    end = 0
    with path.open("rb") as file:
        for line, raw in zip(read_lines(path), file, strict=False):
            if line.values["step"] > step:
                break
            end += len(raw)
    os.truncate(path, end)


def gather_facts(
    command: str, folder: Path, sources: Iterable[str], data: Iterable[str] = (), **more: Any
) -> dict[str, Any]:
    """What a result depends on beside the settings: versions, the code of what was named,
    with a copy in `folder`, the hashes of data files.

    sources: names of tasks, algorithms, losses as the settings give them.  data: files and folders.
    more: what else the command found out.
    """
    named = list(sources)
    return {
        "command": command,
        "python": platform.python_version(),
        "packages": {name: installed for name in PACKAGES if (installed := _find_version(name))},
        "git": _find_git_revision(),
        "sources": record_sources(folder, named),
        **({WORLDS: worlds} if (worlds := record_worlds(named)) else {}),
        "data": record_data(data),
        **more,
    }


def _find_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _find_git_revision() -> str | None:
    """Of the checkout that this code is run from; None where it is installed or git is missing."""
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        output = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return output.stdout.strip() or None
