"""Files that other packages bring along, found without importing the package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from .errors import DataError


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
