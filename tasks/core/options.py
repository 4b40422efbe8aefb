"""Options of a task: keyword-only parameters of its generator or row function, their values as text."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from .errors import TaskError

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def read_keyword_defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """The keyword-only parameters of a function with their defaults (None for a parameter that has none)."""
    parameters = inspect.signature(function).parameters.values()
    return {
        p.name: None if p.default is p.empty else p.default for p in parameters if p.kind is p.KEYWORD_ONLY
    }


def check_options(task: str, known: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """These options, text turned into the type of each option's default. Raises TaskError on a misfit."""
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]}?" if near else ""
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise TaskError(f"Task {task} has no option {name!r}; {takes}.{hint}")
    return {name: _convert(task, name, value, known[name]) for name, value in options.items()}


def _convert(task: str, name: str, value: Any, default: Any) -> Any:
    wanted = type(default)
    if default is None or (isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))):
        return value
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    try:
        if isinstance(value, str) and wanted is bool:
            return _TRUTH[value.strip().lower()]
        if isinstance(value, str) and wanted in (int, float):
            return wanted(value)
    except (KeyError, ValueError):
        pass
    raise TaskError(
        f"Option {name} of task {task} is of type {wanted.__name__}, as {default!r}; {value!r} is not."
    )


def parse_option(text: str) -> tuple[str, str]:
    """`digits=3` as ("digits", "3")."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise TaskError(f"{text!r} is not an option; write name=value, as digits=3.")
    return name.strip().replace("-", "_"), value.strip()
