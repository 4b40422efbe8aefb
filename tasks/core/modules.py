"""Python that a user brings: a file by its path, an object by `FILE.py:name` or `package.module:name`,
or as the only one of its type in FILE.py."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import UserError
from .seeds import digest


def load_module(path: Path, what: str) -> ModuleType:
    """Run the Python file at a path and return it as a module.

    `what` names its use in errors ("task", "loss", ...).

    The module's name hangs on the resolved path alone, so what is pickled from it is found again. Each call
    runs the file anew, so that a file changed in between counts. Raises UserError where there is no such
    file, and with the path and the exception where the file raises one, `SystemExit` included.
    """
    if not path.is_file():
        near = _find_nearest(path.name, (file.name for file in path.parent.glob("*.py")))
        hint = _suggest(near) or "Give the path of an existing Python file."
        raise UserError(f"There is no {what} file {path}. {hint}")
    name = f"palaestra_{what.replace(' ', '_')}_{digest(path.resolve()):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is no Python file: its name must end with .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (
        Exception,
        SystemExit,
    ) as failure:  # the file is the user's: whatever it raises becomes a sentence
        del sys.modules[name]
        raise UserError(f"{path} could not be loaded: {type(failure).__name__}: {failure}") from failure
    return module


def resolve(spec: str, what: str, default_attribute: str | None = None) -> Any:
    """The object that `FILE.py:name` or `package.module:name` names.

    `what` names its use in errors ("loss", ...).

    Without `:name`, `default_attribute` is taken. Raises UserError, with the nearest names, where the file,
    the module or the name does not exist, and with the exception where loading raises one.
    """
    place, colon, name = spec.rpartition(":")
    if not colon:
        place, name = spec, default_attribute or ""
    if not place or not name:
        raise UserError(f"{what} {spec!r} names no object. Write FILE.py:name or package.module:name.")
    module = load_module(Path(place), what) if place.endswith(".py") else _import_by_name(place, what)
    try:
        return getattr(module, name)
    except AttributeError as failure:
        public = [attribute for attribute in vars(module) if not attribute.startswith("_")]
        hint = (
            _suggest(_find_nearest(name, public))
            or f"It has {', '.join(public) or 'no public name'}: name one of them."
        )
        raise UserError(f"{place} has no {name!r} to take as {what}. {hint}") from failure


def load_only(path: Path, what: str, is_wanted: Callable[[Any], bool], description: str) -> Any:
    """The one object of a Python file that is wanted. `what` names its use in errors, `description` says what
    it is ("LossKind"): "FILE.py should define one <description>".

    A class counts in the file that defines it alone; an object under two names counts once. Raises UserError
    where the file cannot be loaded, or holds none or several.
    """
    module = load_module(path, what)
    found: dict[int, str] = {}
    for name, value in vars(module).items():
        if is_wanted(value) and (not isinstance(value, type) or value.__module__ == module.__name__):
            found.setdefault(id(value), name)
    if len(found) != 1:
        held = ", ".join(found.values()) or "none"
        raise UserError(f"{path} should define one {description}; it has {held}: say {path}:name.")
    return getattr(module, *found.values())


def _import_by_name(name: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as failure:
        missing = failure.name or ""
        if name != missing and not name.startswith(f"{missing}."):  # a module that it imports in its turn
            raise _explain(name, failure) from failure
        hint = (
            _suggest(_find_nearest_modules(missing))
            or "Give an installed module, or the path of a file as ./FILE.py:name."
        )
        raise UserError(f"There is no module {missing} to take {add_article(what)} from. {hint}") from failure
    except (
        Exception,
        SystemExit,
    ) as failure:  # the module is the user's: whatever it raises becomes a sentence
        raise _explain(name, failure) from failure


def add_article(noun: str) -> str:
    """ "a loss", "an algorithm"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _explain(name: str, failure: BaseException) -> UserError:
    return UserError(f"Module {name} could not be loaded: {type(failure).__name__}: {failure}")


def _find_nearest_modules(missing: str) -> list[str]:
    """Modules beside the missing one with a name like its own, spelled in full."""
    parent, dot, last = missing.rpartition(".")
    path = getattr(sys.modules.get(parent), "__path__", None) if dot else None
    if dot and path is None:
        return []
    names = {module.name for module in pkgutil.iter_modules(path)}
    if dot:  # an editable install keeps its modules where pkgutil does not look
        names |= {
            name.removeprefix(f"{parent}.") for name in sys.modules if name.rpartition(".")[0] == parent
        }
    return [parent + dot + near for near in _find_nearest(last, names)]


def _find_nearest(name: str, names: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(name, sorted(names), n=3, cutoff=0.6)


def _suggest(near: list[str]) -> str:
    return f"Did you mean {' or '.join(near)}?" if near else ""
