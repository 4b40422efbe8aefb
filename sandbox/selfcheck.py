"""A harmless program of our own in a new sandbox.

What fails there would fail in every program, and look like its fault.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .channel import Child, Expired, Flooded, Forged, Gone
from .inside import tree
from .worker import SandboxUnavailable, find_folders

# A module in Python and one in C that the zygote has not imported before.
_SOURCE = (
    "import os, colorsys, csv\ndef f(folders):\n    return sum(len(os.listdir(folder)) > 0 for folder "
    "in folders)\n"
)


def check(child: Child, modules: Sequence[str], rooted: bool) -> None:
    """Raises SandboxUnavailable, with the fix, when a program can't import what it may.

    modules: those beside the standard library.  rooted: whether programs have a file tree of their own.
    """
    folders = [
        tree.map_path(path) if rooted else path
        for path in find_folders(tuple(modules))
        if os.path.isdir(path)
    ]
    try:
        raised = child.ask(op="load", source=_SOURCE, mode="isolated", name="check").get("raised")
        if not raised:
            raised = child.ask(op="call", entry="f", args=[["l", *folders]], kwargs={}).get("raised")
    except (Gone, Expired, Flooded, Forged) as failure:
        raise SandboxUnavailable(
            f"A harmless program does not come to its end in the sandbox: {failure}"
        ) from failure
    if raised and raised[0] != "MemoryError":  # limits may be too small for an import on purpose
        raise SandboxUnavailable(
            f"Programs can't import the standard library here ({': '.join(raised)}). "
            f"{_advise(modules, rooted)}"
        )


def _advise(modules: Sequence[str], rooted: bool) -> str:
    paths = [Path(path) for path in tree.list_paths(find_folders(tuple(modules)))]
    for path in paths:
        for folder in [path] if rooted else [*reversed(path.parents), path]:
            if folder.is_dir() and folder.stat().st_mode & 0o1 == 0:
                return (
                    f"They run as users of their own, and {folder} is closed to others than its owner: open "
                    "it "
                    f"(chmod o+x {folder}), use an interpreter outside of it, or run as an ordinary user."
                )
    return f"Give everyone the right to read the interpreter's library: chmod -R o+rX {paths[-1]}."
