"""The version of what judges: a hash of the code of the verifiers and of the sandbox. Verdicts of one version
can be compared."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from .. import sandbox
from .fingerprint import hash_check
from .rubric import Rubric


def hash_rubric(rubric: Rubric) -> str:
    """Of a rubric's criteria, their weights and parameters, and of the code behind them, one's own too, as 64
    hexadecimal digits."""
    criteria = [
        f"{criterion.weight} {criterion.learned} {criterion.low} {hash_check(criterion.check)}"
        for criterion in rubric.criteria
    ]
    return hashlib.sha256("\n".join([rubric.describe(), hash_code(), *criteria]).encode()).hexdigest()


@cache
def hash_code() -> str:
    """Of every Python file of the verifiers and of the sandbox that they run programs in."""
    hashed = hashlib.sha256()
    for package in (Path(__file__).parent, Path(sandbox.__file__).parent):
        for path in sorted(package.rglob("*.py")):
            hashed.update(f"{package.name}/{path.relative_to(package).as_posix()}\n".encode())
            hashed.update(path.read_bytes())
    return hashed.hexdigest()
