"""Where control groups can be made, and their files; see `cgroup` for what they are for.

Groups are only ever made under the group that this process is in, where its user may: version 1 with
the hierarchies `memory` and `pids`, or version 2 with both controllers delegated (a systemd scope with
Delegate=yes). In version 2 a group that passes controllers on may hold no process itself. So when all
processes of this one are ours, they stay in a subgroup as long as there are sandboxes, and return when
the last is closed.

A group's name says which process made it, so that the groups of a killed one can be told from a living one's.
Nothing else is changed or removed. All is done through descriptors of folders, since the process that tidies
up after a killed parent has no path to them.

Sources: Documentation/admin-guide/cgroup-v1/cgroups.rst, cgroup-v2.rst (kernel).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import threading
import time
from dataclasses import dataclass

PREFIX = "palaestra"
MAIN = f"{PREFIX}-main"
REMOVE_S = 5.0
_NAME = re.compile(rf"{PREFIX}-(\d+)-(\d+)-(\d+)-\d+")
_NEEDED = {"memory", "pids"}
_lock = threading.Lock()
_users = 0


class Unavailable(RuntimeError):
    """No control group can be had here. The message says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Open folders in which groups are made; the same one twice in version 2 (`unified`)."""

    memory: int
    pids: int
    unified: bool

    @property
    def folders(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys((self.memory, self.pids)))

    def close(self) -> None:
        for folder in self.folders:
            os.close(folder)


def make_prefix() -> str:
    """How the names of what this process makes on the machine begin (groups, folders of scratches).

    With its number, its start in ticks since boot, its pid namespace.
    """
    return f"{PREFIX}-{os.getpid()}-{_read_start(os.getpid())}-{_read_namespace()}-"


def tidy(folders: list[int], prefix: str) -> None:
    """Remove the groups of a process that is dead, all of whose sandboxes are, or soon will be."""
    for folder in folders:
        for name in os.listdir(folder):
            if name.startswith(prefix):
                remove(folder, name, 1.0)
        _restore(folder)


def locate(own_groups: str, mountinfo: str) -> tuple[str, str, bool]:
    """The folders of this process's groups for memory and for pids, and whether they are one, of version 2.

    own_groups, mountinfo: the texts of /proc/self/cgroup and /proc/self/mountinfo. Raises Unavailable.
    """
    own: dict[str, str] = {}
    for line in own_groups.splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    if own.keys() >= _NEEDED:
        return (
            _find_folder(own["memory"], "memory", mountinfo),
            _find_folder(own["pids"], "pids", mountinfo),
            False,
        )
    if "" not in own:
        raise Unavailable("This process is in no control group.")
    folder = _find_folder(own[""], "", mountinfo)
    if os.path.basename(folder) == MAIN:  # made by the process that started this one
        folder = os.path.dirname(folder)
    with open(f"{folder}/cgroup.controllers") as file:
        if not set(file.read().split()) >= _NEEDED:
            raise Unavailable("This process's control group is not given the controllers memory and pids.")
    return folder, folder, True


def _find_folder(group: str, controller: str, mountinfo: str) -> str:
    """Where a group can be written to.  controller: of version 1, "" for version 2."""
    reason = "No control groups are mounted."
    for line in mountinfo.splitlines():
        head, _, tail = line.partition(" - ")
        root, point, options = (_unescape(part) for part in head.split()[3:6])
        kind, *_, states = tail.split()  # between them what was mounted, which may be empty
        if kind != ("cgroup" if controller else "cgroup2") or (
            controller and controller not in states.split(",")
        ):
            continue
        inside = os.path.relpath(group, root)
        if inside.split("/")[0] == "..":
            reason = "This process's control group is outside of what is mounted."
        elif "ro" in options.split(","):
            reason = "The control groups are mounted read-only."
        else:
            return os.path.normpath(os.path.join(point, inside))
    raise Unavailable(reason)


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def enter() -> Place:
    """Get ready to make groups. Each call is followed by one of `leave`."""
    global _users
    with _lock, contextlib.ExitStack() as opened:
        try:
            with open("/proc/self/cgroup") as own, open("/proc/self/mountinfo") as mounts:
                *paths, unified = locate(own.read(), mounts.read())
            memory = os.open(paths[0], os.O_RDONLY | os.O_DIRECTORY)
            opened.callback(os.close, memory)
            pids = memory
            if paths[1] != paths[0]:
                pids = os.open(paths[1], os.O_RDONLY | os.O_DIRECTORY)
                opened.callback(os.close, pids)
            place = Place(memory, pids, unified)
            for folder in place.folders:
                remove_dead(folder)
            if unified:
                _vacate(memory)
        except OSError as failure:
            raise Unavailable(f"This process's control group can't be used: {failure.strerror}.") from failure
        _users += 1
        opened.pop_all()
        return place


def leave(place: Place) -> None:
    global _users
    with _lock:
        _users -= 1
        if _users == 0 and place.unified:
            _restore(place.memory)
        place.close()


def remove_dead(folder: int) -> None:
    """Remove the groups whose makers have died."""
    for name in os.listdir(folder):
        if (maker := _NAME.fullmatch(name)) and int(maker[3]) == _read_namespace():
            try:
                dead = _read_start(int(maker[1])) != maker[2]
            except (FileNotFoundError, ProcessLookupError):
                dead = True
            if dead:
                remove(folder, name, 0.2)


def _vacate(folder: int) -> None:
    """Version 2: let the group of this process pass its controllers on."""
    if set(get(folder, "cgroup.subtree_control").split()) >= _NEEDED:
        return
    processes = get(folder, "cgroup.procs").split()
    if others := [process for process in processes if not _is_ours(int(process))]:
        raise Unavailable(
            f"This process's control group holds {len(others)} other processes, which stay where they are."
        )
    with contextlib.suppress(FileExistsError):
        os.mkdir(MAIN, 0o755, dir_fd=folder)
    try:
        _move(folder, "", MAIN)
        put(folder, "cgroup.subtree_control", "+memory +pids")
    except OSError:
        _restore(folder)
        raise


def _restore(folder: int) -> None:
    """Undo `_vacate`, unless some process still has groups here."""
    names = os.listdir(folder)
    if MAIN not in names or any(map(_NAME.fullmatch, names)):
        return
    with contextlib.suppress(OSError):
        put(folder, "cgroup.subtree_control", "-memory -pids")
        _move(folder, MAIN, "")
    remove(folder, MAIN, kill=False)


def _move(folder: int, source: str, target: str) -> None:
    """All processes of one group to another; those that they start meanwhile, too."""
    for _ in range(10):
        processes = get(folder, os.path.join(source, "cgroup.procs")).split()
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                put(folder, os.path.join(target, "cgroup.procs"), process)
        if not processes:
            return


def _is_ours(process: int) -> bool:
    """Whether it is this process or a descendant; one that is out of sight (0) is not."""
    while process > 1 and process != os.getpid():
        try:
            with open(f"/proc/{process}/stat") as file:
                process = int(file.read().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            return True  # it has ended
    return process == os.getpid()


def _read_start(process: int) -> str:
    with open(f"/proc/{process}/stat") as file:
        return file.read().rpartition(")")[2].split()[19]


def _read_namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino


def open_file(folder: int, name: str, flags: int) -> int:
    return os.open(name, flags | os.O_CLOEXEC, dir_fd=folder)


def get(folder: int, name: str) -> str:
    with open(open_file(folder, name, os.O_RDONLY)) as file:
        return file.read()


def put(folder: int, name: str, text: str) -> None:
    descriptor = open_file(folder, name, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def remove(folder: int, name: str, seconds: float = REMOVE_S, *, kill: bool = True) -> None:
    """Remove a group that this package made, as soon as its processes are gone, and not after `seconds`."""
    if kill:
        with contextlib.suppress(OSError):  # version 1 has none
            put(folder, f"{name}/cgroup.kill", "1")
    deadline = time.monotonic() + seconds
    while True:
        try:
            os.rmdir(name, dir_fd=folder)
            return
        except OSError as failure:
            if failure.errno != errno.EBUSY or time.monotonic() > deadline:
                return
        time.sleep(0.002)
