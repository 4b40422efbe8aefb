"""Control groups: one for each child, in which all its memory and all its threads count together.

Address space, which the resource limits bound, is not all that a program can take: there are files in its
scratch, its standard input, and what the kernel keeps for it. A group counts all of it, each page once. The
parent makes the groups, one for each child that a worker has at a time, and uses them again. A child is given
the *doors* of one, open files that take in whoever writes to them, goes in before anything else, and closes
them before it is locked down.

Sources: Documentation/admin-guide/cgroup-v1/memory.rst, cgroup-v1/pids.rst, cgroup-v2.rst (kernel).
"""

from __future__ import annotations

import contextlib
import itertools
import os

from . import cgroupfs
from .cgroupfs import Place
from .limits import MIB, Limits

_KERNEL = 16 * MIB  # what the kernel keeps for a child: pipes, sockets, inodes
_KERNEL_PER_THREAD = MIB // 32  # stack and task
_numbers = itertools.count()


class Group:
    """A control group, to be used by one process after another. Raises OSError where it can't be made.

    doors: files that take the process which writes "0" to them into the group.
    memory: bytes that it may use.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.name = f"{cgroupfs.make_prefix()}{next(_numbers)}"
        self.doors: list[int] = []
        self._events = -1
        self._limits: tuple[int, int] | None = None
        self._kills = 0
        self.memory = 0
        try:
            for folder in place.folders:
                os.mkdir(self.name, 0o755, dir_fd=folder)
            # Version 1: a thread that moves itself alone takes no lock of the whole machine.
            door = "cgroup.procs" if place.unified else "tasks"
            self.doors += [
                cgroupfs.open_file(folder, f"{self.name}/{door}", os.O_WRONLY) for folder in place.folders
            ]
            events = "memory.events" if place.unified else "memory.oom_control"
            self._events = cgroupfs.open_file(place.memory, f"{self.name}/{events}", os.O_RDONLY)
        except OSError:
            self.remove()
            raise

    def limit(self, memory: int, tasks: int) -> None:
        """memory: bytes, none of them in swap.  tasks: processes and threads together."""
        if (memory, tasks) == self._limits:
            return
        self._limits = None
        if self.place.unified:
            self._set("memory.max", memory)
            self._set_if_there("memory.swap.max", 0)
        else:
            self._set_if_there("memory.oom_control", 0)
            self._set_if_there(
                "memory.memsw.limit_in_bytes", -1
            )  # the kernel refuses a value below memory.limit_in_bytes
            self._set("memory.limit_in_bytes", memory)
            self._set_if_there("memory.memsw.limit_in_bytes", memory)
            self._set_if_there("memory.swappiness", 0)
        cgroupfs.put(self.place.pids, f"{self.name}/pids.max", str(tasks))
        self._limits = memory, tasks
        self.memory = memory

    def _set(self, name: str, value: int) -> None:
        cgroupfs.put(self.place.memory, f"{self.name}/{name}", str(value))

    def _set_if_there(self, name: str, value: int) -> None:
        with contextlib.suppress(FileNotFoundError):  # a kernel that counts no swap
            self._set(name, value)

    def was_killed(self) -> bool:
        """Whether the kernel killed a process of the group for want of memory since this was last asked."""
        try:
            text = os.pread(self._events, 4096, 0).decode()
        except OSError:  # somebody has removed the group
            return False
        kills = next((int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill ")), 0)
        before, self._kills = self._kills, kills
        return kills > before

    def remove(self) -> None:
        """After the death of its processes, which is waited for. May be called again."""
        for descriptor in (*self.doors, self._events):
            if descriptor >= 0:
                os.close(descriptor)
        self.doors, self._events = [], -1
        for folder in self.place.folders:
            cgroupfs.remove(folder, self.name)


class Groups:
    """The groups of one worker, or why there are none."""

    def __init__(self) -> None:
        self.place: Place | None = None
        self._reason = ""
        self._all: list[Group] = []
        self._idle: list[Group] = []

    def open(self) -> None:
        """Make the first one, which shows whether any can be made."""
        self.close()
        try:
            self.place = cgroupfs.enter()
        except cgroupfs.Unavailable as failure:
            self._reason = str(failure)
            return
        first = self.take(Limits(), 0)
        if isinstance(first, str):
            self._reason = first
            self.close()
        else:
            self._idle.append(first)

    def take(self, limits: Limits, interpreter: int) -> Group | str:
        """A group that grants what `limits` does, or the reason why there is none.

        interpreter: bytes of the interpreter's own memory. A program within its limits is within the group's.
        """
        if self.place is None:
            return self._reason
        kernel = _KERNEL + limits.threads * _KERNEL_PER_THREAD + limits.memory // 256  # the last: page tables
        memory = limits.memory + limits.scratch + interpreter + kernel
        try:
            while self._idle:
                group = self._idle.pop()
                with contextlib.suppress(OSError):
                    group.limit(memory, limits.threads)
                    return group
                self._drop(group)  # it is gone, or holds more memory than this that can't be reclaimed
            group = self._make()
        except OSError as failure:
            return f"No control group can be made under this process's own: {failure.strerror}."
        try:
            group.limit(memory, limits.threads)
        except OSError as failure:
            self._drop(group)
            return f"A control group can't be limited: {failure.strerror}."
        return group

    def _drop(self, group: Group) -> None:
        self._all.remove(group)
        group.remove()

    def _make(self) -> Group:
        assert self.place is not None
        self._all.append(Group(self.place))
        return self._all[-1]

    def give_back(self, group: Group) -> None:
        """After the death of the process that was in it."""
        self._idle.append(group)

    def close(self) -> None:
        """Remove them all. May be called again."""
        for group in self._all:
            group.remove()
        self._all, self._idle = [], []
        self._leave()

    def _leave(self) -> None:
        if self.place is not None:
            cgroupfs.leave(self.place)
            self.place = None
