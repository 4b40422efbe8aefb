"""The minimal read-only file tree of a program: the interpreter's library, shared libraries, four devices."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from . import kernel

SCRATCH = "/tmp"
DEVICES = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"]
_SHARED = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
]
_ASIDE = "/library"
_STAGE = "/sys"  # exists everywhere, and nothing under it is needed in a mount namespace of our own


def map_path(path: str) -> str:
    """Where a path of the machine stands in the tree.

    The scratch would cover what lies under it, so that is set aside.
    """
    return f"{_ASIDE}{path}" if path.startswith(f"{SCRATCH}/") else path


def list_paths(modules: list[str]) -> list[str]:
    """What has to be readable: the standard library, shared libraries, and the folders of extra modules."""
    own = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), sysconfig.get_config_var("LIBDIR")]
    paths: list[str] = []
    for path in [*_SHARED, *own, *modules]:
        if path and os.path.exists(path) and not any(path == p or path.startswith(f"{p}/") for p in paths):
            paths.append(path)
    return paths


def enter(modules: list[str]) -> None:
    """Make this process's root a read-only tree of `list_paths`. Needs a mount namespace of its own."""
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("root", _STAGE, "tmpfs", kernel.MS_NOSUID, "size=1m,nr_inodes=2k,mode=0755")
    os.umask(0o022)
    for path in list_paths(modules):
        _bind(path)
    for path in DEVICES:
        _bind(path, devices=True)
    os.mkdir(_STAGE + SCRATCH)
    kernel.make_read_only(_STAGE, devices=True)
    kernel.pivot_root(_STAGE)


def _bind(path: str, devices: bool = False) -> None:
    source = Path(path)
    target = Path(_STAGE + map_path(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        # /lib -> usr/lib: the link alone, since what it points to is bound as well
        target.symlink_to(os.readlink(source))
        return
    if source.is_dir():
        target.mkdir(exist_ok=True)
    else:
        target.touch()
    kernel.mount(path, str(target), flags=kernel.MS_BIND | kernel.MS_REC)
    kernel.make_read_only(str(target), devices)
    _hide_site_packages(path, target)


def _hide_site_packages(path: str, target: Path) -> None:
    """Cover the interpreter's installed packages: a program sees the standard library alone."""
    for name in ("site-packages", "dist-packages"):
        for library in {sysconfig.get_path("stdlib"), f"{sys.base_prefix}/lib/python3"}:
            inside = f"{library}/{name}"
            if inside.startswith(f"{path}/") and os.path.isdir(inside):
                kernel.mount(
                    "none", str(target) + inside[len(path) :], "tmpfs", kernel.MS_NOSUID, "size=4k,mode=0555"
                )
