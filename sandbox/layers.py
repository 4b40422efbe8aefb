"""Which layers of isolation this machine gives, and how to get each that is missing."""

from __future__ import annotations

from dataclasses import dataclass

from .limits import Limits
from .pool import ADVICE, SandboxPool
from .worker import LAYERS, REQUIRED, SandboxUnavailable

_WHAT = {
    "namespaces": "own mount, network, IPC, host-name and process namespaces",
    "root": "a minimal read-only file tree without /proc, and a scratch of limited size",
    "rlimits": "limits on memory, processor time, files, threads",
    "privileges": "a user of its own or no capabilities, no new privileges, dies with its parent",
    "landlock": "the kernel refuses files outside the tree, TCP, and signals to outside",
    "seccomp": "an allow-list of system calls",
    "cgroup": (
        "limits on a program's memory and threads altogether, files in its scratch and the kernel's "
        "share included"
    ),
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of isolation.

    what: what it does.  reason: why it is not active, "" when it is.  advice: how to get it.
    required: without it no program is run, unless weak sandboxes are allowed.
    """

    name: str
    active: bool
    what: str
    required: bool
    reason: str = ""
    advice: str = ""


def layers() -> list[Layer]:
    """Start one sandbox and ask which layers it has.

    Never raises: where none starts, all are missing with the reason.
    """
    try:
        with SandboxPool(1, Limits(), allow_weak=True) as pool:
            missing = pool.missing_layers()
    except (SandboxUnavailable, OSError) as failure:
        missing = dict.fromkeys(LAYERS, str(failure))
    return [
        Layer(
            name,
            name not in missing,
            _WHAT[name],
            name in REQUIRED,
            missing.get(name, ""),
            ADVICE[name] if name in missing else "",
        )
        for name in LAYERS
    ]
