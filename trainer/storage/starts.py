"""The folder of a run that begins: one process holds it, what an earlier start left without a checkpoint is
started again, and a start that fails leaves nothing.

A folder is taken for that of a start where it has the mark of one (its lock, or facts.json) and nothing but
what runs write. Whatever else is in it is somebody's, and stays.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from ...tasks.core.errors import UserError
from ..distributed.ranks import STACKS
from . import checkpoint
from .folders import REFERENCE, WARM_UP
from .names import (
    ARMS,
    CONFIG,
    CURVES,
    END,
    FACTS,
    HELD_OUT,
    INDEX,
    LEDGER,
    METRICS,
    PLOT,
    REPORT,
    ROLLOUTS,
    START,
    TRIPPED,
)
from .records import read_json
from .sources import SOURCES

LOCK = ".palaestra.lock"
LONGEST_NAME = 160  # characters of a folder's name
EARLIER = "earlier-"  # folders of what an earlier start had computed
COMPUTED = (METRICS, ROLLOUTS, HELD_OUT, WARM_UP)
SHOWN = (
    REPORT,
    CURVES,
    f"{PLOT}.png",
    f"{PLOT}.svg",
    f".{INDEX}.lock",
    *(f"{INDEX}{end}" for end in ("", "-journal", "-wal", "-shm")),
)  # made of it
NAMED = (
    LOCK,
    CONFIG,
    FACTS,
    SOURCES,
    REFERENCE,
    "checkpoints",
    LEDGER,
    END,
    TRIPPED,
    ARMS,
    START,
    STACKS,
    *COMPUTED,
    *SHOWN,
)
WRITTEN = re.compile(  # whatever a start may have written
    "|".join(map(re.escape, NAMED)) + r"|tensorboard|wandb|\.\S+\.partial|\.trial-\w+"
)
_held: set[Path] = set()  # folders that this process writes
INSIDE = {  # and in folders whose names others may use
    "checkpoints": re.compile(r"\.?step-\d+(\.partial)?"),
    HELD_OUT: re.compile(r"\.?step-\d+(\.partial)?"),
    SOURCES: re.compile(r".+-[0-9a-f]{8}\.\w+"),
    START: re.compile(r"\S+\.(json|safetensors|jinja|txt|model)"),
}


@contextmanager
def begin_folder(out: str, name: str, say: Callable[[str], None] = print) -> Iterator[Path]:
    """The folder of a run that begins, held against other processes until its end.

    out: as the user named it; auto takes runs/NAME, with a number where that is another run's.
    say: told where an earlier start is started again.
    Raises UserError for a folder that holds a run, or anything else.

    When the start fails, the folder is as it was before, but for what was computed: a checkpoint, a model,
    the record of a step.
    """
    path = find_folder(out, name)
    made = [place for place in (path, *path.parents) if not place.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        with hold_folder(path):
            _clear_earlier_start(path, say)
            done = False
            try:
                yield path
                done = True
            finally:  # whatever ended the start, Ctrl-C too, goes on its way
                if not done and not holds_work(path):
                    _remove_written(path)
    finally:
        with suppress(OSError):  # a folder that holds something
            for place in made:
                place.rmdir()


def find_folder(out: str, name: str) -> Path:
    """Where a new run goes; nothing is made. Raises UserError where it can't go there."""
    if out != "auto":
        path = Path(out)
        check_place(path)
        if begun := _describe_use(path):
            raise UserError(begun)
        return path
    number = 1
    while True:
        path = Path(f"runs/{name}" if number == 1 else f"runs/{name}-{number}")
        check_place(path)
        if not _describe_use(path) and not is_held(path):
            return path
        number += 1


def clean_name(text: str) -> str:
    """A text as the name of a folder, of at most LONGEST_NAME characters."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text)[:LONGEST_NAME].strip("-.") or "-"


def number_folder(name: str, is_ours: Callable[[Path], bool]) -> Path:
    """The first of runs/NAME, runs/NAME-2, ... that is free, or whose contents may be replaced.

    name: any text; `clean_name` makes NAME of it.
    """
    name = clean_name(name)
    for number in count(1):
        path = Path("runs") / (name if number == 1 else f"{name}-{number}")
        if not path.exists() or (path.is_dir() and (not any(path.iterdir()) or is_ours(path))):
            return path
    raise AssertionError("numbers do not end")


def check_place(path: Path) -> None:
    """Raise UserError where no folder of that name can be made or written to. Makes none."""
    if path.is_file():
        raise UserError(f"{path} is a file. Give --out the name of a folder.")
    missing = [place for place in (path, *path.parents) if not place.exists()]
    above = missing[-1].parent if missing else path
    if not above.is_dir():
        raise UserError(f"{path} can't be made: {above} is a file. Give another --out.")
    try:  # what may be written is known by writing: permissions don't tell of a file system
        if missing:
            missing[-1].mkdir()
            missing[-1].rmdir()
        else:
            tempfile.TemporaryFile(dir=path).close()
    except OSError as failure:
        raise UserError(
            f"{path} can't be written to ({failure.strerror or failure}). Give another --out, or see to it."
        ) from failure


def _describe_use(path: Path) -> str:
    """Why a folder is not free for a new run; "" where it is, or holds a start alone."""
    if not path.is_dir():
        return ""
    if _is_begun(path):
        command = shlex.join(["palaestra", "resume", str(path)])
        return f"{path} is not empty. Give another --out, or `{command}` to go on with it."
    entries = sorted(path.iterdir())
    foreign = [entry for entry in entries if _is_foreign(entry)]
    if entries and (foreign or not _has_mark(path)):
        first = (foreign or entries)[0].relative_to(path)
        return f"{path} is not empty: it holds {first}. Give another --out."
    return ""


def _has_mark(path: Path) -> bool:
    """Whether a folder is that of a start: it is held, its holder was killed, or it has a run's facts, or the
    settings of arms."""
    if (path / LOCK).is_file() or (path / ARMS).is_file():
        return True
    try:
        return {"command", "sources"} <= read_json(path / FACTS).keys()
    except (OSError, UserError):
        return False


def _is_foreign(entry: Path) -> bool:
    """Whether something in a folder is nothing that a start writes."""
    if entry.name.startswith(EARLIER):
        return False
    inside = INSIDE.get(entry.name)
    if inside is not None and entry.is_dir():
        return any(not inside.fullmatch(part.name) for part in entry.iterdir())
    return WRITTEN.fullmatch(entry.name) is None


def _is_begun(path: Path) -> bool:
    """Whether a run, or one of several arms, has come so far that it can be resumed, or to its end."""
    if (path / "model").exists() or checkpoint.list_checkpoints(path / "checkpoints"):
        return True
    return (path / ARMS).is_file() and any(holds_work(arm) for arm in path.iterdir() if arm.is_dir())


def holds_work(path: Path) -> bool:
    """Whether a run has computed something: a model, a checkpoint, the record of a step."""
    return _is_begun(path) or (path / WARM_UP).exists() or _has_steps(path)


def _has_steps(path: Path) -> bool:
    metrics = path / METRICS
    return metrics.is_file() and '"kind": "step"' in metrics.read_text(encoding="utf-8", errors="replace")


def _clear_earlier_start(path: Path, say: Callable[[str], None]) -> None:
    """Make room where an earlier start came to no checkpoint; what it had computed is put aside."""
    names = {entry.name for entry in path.iterdir()} - {LOCK}
    if not any(WRITTEN.fullmatch(name) for name in names):
        return
    said = f"{path} holds a start that came to no checkpoint: it is started again."
    if holds_work(path):
        number = 1 + sum(name.startswith(EARLIER) for name in names)
        aside = path / f"{EARLIER}{number}"
        aside.mkdir()
        for name in (*COMPUTED, *SHOWN, CONFIG, FACTS, SOURCES):
            if name in names:
                (path / name).rename(aside / name)
        said += f" What it had computed is in {aside}."
    _remove_written(path)
    say(said)


def _remove_written(path: Path) -> None:
    """Remove what a start writes. The lock stays as long as it is held: after a kill in between it tells
    whose the rest is."""
    for entry in path.iterdir():
        if entry.name == LOCK or not WRITTEN.fullmatch(entry.name):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


@contextmanager
def hold_folder(path: Path) -> Iterator[None]:
    """Keep other processes from writing a run's folder. The system lets go of it when this one ends, however.

    Raises UserError where another process has it.
    """
    held = _lock(path)
    _held.add(path.resolve())
    try:
        yield
    finally:
        _held.discard(path.resolve())
        if held is not None:
            with suppress(OSError):
                (path / LOCK).unlink()
            os.close(held)


def _lock(path: Path) -> int | None:
    """The open lock of a folder, None where the file system has none to give."""
    while True:
        file = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as failure:
            number = os.read(file, 20).decode(errors="replace").strip() or "?"
            os.close(file)
            raise UserError(
                f"Another process (number {number}) is writing {path}. Wait for it, stop it, or give another "
                "--out."
            ) from failure
        except OSError:
            os.close(file)
            return None
        with suppress(OSError):
            if os.stat(path / LOCK).st_ino == os.fstat(file).st_ino:
                break
        os.close(file)  # its holder removed it in between: this is no longer the lock
    os.ftruncate(file, 0)
    os.write(file, str(os.getpid()).encode())
    return file


def is_held(path: Path) -> bool:
    """Whether a process, this one too, is writing a folder. Changes nothing."""
    if path.resolve() in _held:  # asking the system would let go of it: a lock is its process's
        return True
    try:
        file = os.open(path / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(file)
    return False
