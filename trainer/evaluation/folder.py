"""The folder of an evaluation: its name, its record, and whether it may be gone on with."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...tasks.core.errors import UserError
from ..config.evaluation import EvalConfig
from ..config.settings import list_settings
from ..storage.names import COMPLETIONS, CONFIG, ENGINE, FACTS, SUMMARY
from ..storage.records import read_json_if_there, write_json
from ..storage.sources import SOURCES
from ..storage.starts import LONGEST_NAME, clean_name
from .hashes import hash_bytes
from .identity import FREE, Identity

LONGEST_VALUE = 24  # characters of a setting in a folder's name; a hash stands for a longer one
UNNAMED = FREE | {"task", "model"}
SHORT = {
    "split": "{}", "samples": "{}samples", "problems": "{}problems", "extraction": "{}", "temperature": "t{}",
    "level": "level{}", "option": "{}", "data": "{}", "max_new_tokens": "{}tokens", "seed": "seed{}",
    "endpoint": "at-{}",
}  # fmt: skip


@dataclass(frozen=True)
class Begun:
    """What an evaluation that was begun says of itself. facts: all that was recorded."""

    identity: Identity
    facts: dict[str, Any]


def choose_folders(configs: Sequence[EvalConfig], tasks: Sequence[str]) -> list[Path]:
    """The folder of each evaluation of a command, by the settings and the name of its task.

    That of the only one is --out, or a name in runs/ that tells task, model, what is not the default, and the
    day; each of several has such a name in --out. Raises UserError where two would share one.
    """
    models = name_models([config.model.source for config in configs])
    names = [
        name_evaluation(config, task, models[config.model.source])
        for config, task in zip(configs, tasks, strict=True)
    ]
    names = [  # data of one's own may be in files that are called alike
        f"{name}-{_digest(json.dumps([config.task.name, config.task.data]))}"
        if names.count(name) > 1
        else name
        for config, name in zip(configs, names, strict=True)
    ]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise UserError(f"{twice} is asked for twice. Name each evaluation once, or run two commands.")
    return [
        _choose_folder(config.output.out, name, alone=len(configs) == 1)
        for config, name in zip(configs, names, strict=True)
    ]


def _choose_folder(out: str, name: str, *, alone: bool) -> Path:
    if out == "auto":
        return Path("runs") / f"{name}-{datetime.date.today()}"
    return Path(out) if alone else Path(out) / name


def name_evaluation(config: EvalConfig, task: str, model: str) -> str:
    """As eval-gsm8k-r7-8samples-t0.7."""
    defaults = EvalConfig()
    changed = [
        SHORT.get(setting.name, f"{setting.name}-{{}}").format(_write_value(setting.name, value))
        for setting in list_settings(EvalConfig)
        if setting.name not in UNNAMED and (value := setting.value(config)) != setting.value(defaults)
    ]
    if task in changed:  # data of one's own, after which the task is called
        changed.remove(task)
    name = "-".join(map(clean_name, ["eval", task, model, *changed]))
    if len(name) > LONGEST_NAME:
        digest = _digest(name)
        name = f"{name[: LONGEST_NAME - len(digest) - 1]}-{digest}"
    return name


def name_model(source: str) -> str:
    """The last part of a hub id or of a folder, with the run's name where the folder is a run's."""
    if not Path(source).is_dir():
        return source.rpartition("/")[2]
    folder = Path(source).resolve()
    run = folder.parent
    if folder.name == "model":
        return run.name
    return f"{run.parent.name}-{folder.name}" if run.name == "checkpoints" else folder.name


def name_models(sources: Sequence[str]) -> dict[str, str]:
    """By their sources the models' names, with as much of what is above as tells those apart that share
    one."""
    names = {source: name_model(source) for source in sources}
    given = list(names.values())
    paths = {
        source: Path(source).resolve().parts if Path(source).is_dir() else tuple(source.split("/"))
        for source in names
        if given.count(names[source]) > 1
    }
    for depth in range(2, 1 + max(map(len, paths.values()), default=0)):
        longer = {source: "/".join(parts[-depth:]) for source, parts in paths.items()}
        if len({*longer.values()}) == len(longer):
            return names | longer
    return names | {source: source for source in paths}


def find_begun(folder: Path) -> Begun | None:
    """The evaluation that a folder holds; None for a folder that is free. Raises UserError for another's."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, not a folder. Give another --out.")
    if not folder.exists() or _holds_nothing(folder):
        return None
    facts = read_json_if_there(folder / FACTS)
    if facts.get("command") != "eval" or "identity" not in facts:
        raise UserError(f"{folder} is not empty and holds no evaluation to go on with. Give another --out.")
    try:
        return Begun(Identity.read(facts["identity"]), facts)
    except TypeError as failure:
        raise UserError(
            f"{folder / FACTS} is damaged: its identity is none of an evaluation. Give another --out."
        ) from failure


def _holds_nothing(folder: Path) -> bool:
    """Whether a folder is empty, or an evaluation was stopped there before it had written of itself: what an
    engine's server has said may be there by then."""
    empty = {SOURCES, COMPLETIONS, ENGINE} if not _has_rows(folder / COMPLETIONS) else set()
    return all(path.name in empty or path.name.endswith(".partial") for path in folder.iterdir())


def _has_rows(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def refuse_another(folder: Path, now: Identity, before: Begun | None) -> None:
    """Raise UserError, which names what differs, where the folder's evaluation is not the one asked for."""
    differences = now.list_differences(before.identity) if before is not None else []
    if differences:
        raise UserError(
            f"{folder} holds another evaluation: {'; '.join(differences)}. Give another --out, or the "
            f"settings of then ({folder / CONFIG})."
        )


def write_start(folder: Path, config: EvalConfig, facts: dict[str, Any]) -> None:
    """config.json and facts.json; a summary of fewer completions goes."""
    (folder / SUMMARY).unlink(missing_ok=True)
    write_json(folder / FACTS, facts)
    write_json(folder / CONFIG, asdict(config))


def _write_value(name: str, value: Any) -> str:
    if name == "option":
        return "-".join(text.replace("=", "") for text in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    parts = value if isinstance(value, tuple) else (value,)
    if name in ("data", "reward_model", "prompt_template"):
        parts = tuple(Path(part).stem for part in parts)
    if name == "endpoint":
        parts = (clean_name(urlsplit(value).netloc),)
    text = "-".join(f"{part:g}" if isinstance(part, float) else str(part) for part in parts)
    return text if len(text) <= LONGEST_VALUE and clean_name(text) == text else _digest(text)


def _digest(text: str) -> str:
    return hash_bytes(text.encode())[:8]
