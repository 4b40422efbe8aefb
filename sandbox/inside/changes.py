"""Arguments that a function changes in place.

They are found beside the program and applied to the values that its tests hold.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Mapping
from typing import Any

from .. import plain

Place = int | str  # an argument's position or name


def find(values: Mapping[Place, Any], before: Mapping[Place, Any]) -> list[list[Any]]:
    """[place, tree] of the arguments that are no longer the trees they were before.

    One that is no plain data any more is left out.
    """
    changed = []
    for place, value in values.items():
        if _is_mutable(before[place]):
            with contextlib.suppress(plain.Unencodable):
                after = plain.encode(value)
                if after != before[place]:
                    changed.append([place, after])
    return changed


def _is_mutable(tree: Any) -> bool:
    """Whether a value has parts that a function could change in place."""
    return type(tree) is list and (
        tree[0] in "ldsBQa" or (tree[0] in "tN" and any(_is_mutable(item) for item in tree[1:]))
    )


def apply(old: Any, new: Any) -> None:
    """Give a value, and the changeable parts of it, the contents of another of its type.

    What is of another type stays.
    """
    kind = type(old)
    if kind.__module__ == "numpy" and kind is type(new):
        if old.shape == new.shape:
            old[...] = new
        return
    if kind is not type(new) and not (isinstance(old, dict) and type(new) is dict):
        return  # a defaultdict or Counter crosses as a dict
    if isinstance(old, list | deque | tuple):
        kept = [_update(mine, theirs) for mine, theirs in zip(old, new, strict=False)]
        if not isinstance(old, tuple):
            kept += list(new)[len(kept) :]
            old.clear()
            old.extend(kept)
    elif isinstance(old, dict):
        kept = {key: _update(dict.get(old, key), item) for key, item in new.items()}
        old.clear()
        old.update(kept)
    elif kind is set:
        old.clear()
        old.update(new)
    elif kind is bytearray:
        old[:] = new


def _update(old: Any, new: Any) -> Any:
    if type(old) is type(new) and type(old) in (list, deque, dict, set, bytearray):
        apply(old, new)
        return old
    return new
