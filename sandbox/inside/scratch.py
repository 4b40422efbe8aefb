"""Scratch folders: small memory file systems in a mount namespace, ready before the process that uses one.

Making one and taking it down costs more than all the rest of a short run, and most programs never touch
theirs. So the zygote keeps it for a later process, but only one that is as it was: empty, with no inode or
block in use, and a root folder whose change time, which no program can set, is the one it was handed over
with. Any other is made anew.

What a program does must not show to a later one, not even whether it used its scratch. So there are always
SLOTS of each kind, handed out in turn; one that was used is taken down before the next is made in its slot,
which then gets the device number that has become free. The folder's times are set at each hand-over, nothing
notes when it is read, and a nameless file, the one way to move the counter of inodes without a change to the
folder, is no system call that a program can make.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from . import kernel

SLOTS = 4
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_KINDS = 8  # sizes for which there are slots


@dataclass
class Scratch:
    """namespace, folder: descriptors of the mount namespace and of the file system's root in it.

    handed_over: state of the root folder when it was given to a process.
    """

    size: int
    files: int
    namespace: int
    folder: int
    rules: int | None
    handed_over: tuple[int, ...] = ()

    def hand_over(self, user: int) -> None:
        """Make a user its owner."""
        os.utime(self.folder, (0, 0))
        os.chown(self.folder, user, user)
        self.handed_over = self._read_state()

    def is_untouched(self) -> bool:
        return self._read_state() == self.handed_over and not os.listdir(self.folder)

    def close(self) -> None:
        os.close(self.folder)
        os.close(self.namespace)
        if self.rules is not None:
            os.close(self.rules)

    def _read_state(self) -> tuple[int, ...]:
        root, whole = os.stat(self.folder), os.fstatvfs(self.folder)
        return (root.st_ctime_ns, root.st_mtime_ns, root.st_mode, root.st_uid, whole.f_ffree, whole.f_bfree)


class Scratches:
    """The file systems that wait for a process. For a zygote with a mount namespace of its own."""

    def __init__(self, path: str, own_namespaces: int, rules: Callable[[str], int | None]) -> None:
        """path: where they are mounted.

        own_namespaces: descriptor of this process's folder of namespaces in /proc.
        rules: makes the Landlock ruleset for a scratch at a path.
        """
        self.path = path
        self.own_namespaces = own_namespaces
        self.rules = rules
        self.base = self._open_current()
        self.idle: dict[
            tuple[int, int], deque[Scratch]
        ] = {}  # by size and number of files, the next one first

    def take(self, size: int, files: int, user: int) -> Scratch:
        """The next one of a kind. More than SLOTS at a time get some of their own."""
        if (size, files) not in self.idle:
            if len(self.idle) >= _KINDS:
                for scratch in self.idle.pop(next(iter(self.idle))):
                    scratch.close()
            self.idle[size, files] = deque(self._make(size, files) for _ in range(SLOTS))
        waiting = self.idle[size, files]
        scratch = waiting.popleft() if waiting else self._make(size, files)
        scratch.hand_over(user)
        return scratch

    def give_back(self, scratch: Scratch) -> None:
        """After the death of the process that had it."""
        waiting = self.idle.get((scratch.size, scratch.files))
        if waiting is None or len(waiting) >= SLOTS:
            scratch.close()
        elif scratch.is_untouched():
            waiting.append(scratch)
        else:
            scratch.close()
            waiting.append(self._make(scratch.size, scratch.files))

    def _make(self, size: int, files: int) -> Scratch:
        kernel.unshare(kernel.CLONE_NEWNS)
        try:
            flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC | kernel.MS_NOATIME
            kernel.mount("scratch", self.path, "tmpfs", flags, f"size={size},nr_inodes={files + 1},mode=0700")
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            return Scratch(size, files, self._open_current(), folder, self.rules(self.path))
        finally:
            kernel.setns(self.base, kernel.CLONE_NEWNS)

    def _open_current(self) -> int:
        return os.open("mnt", os.O_RDONLY, dir_fd=self.own_namespaces)


def remove(folder: str) -> None:
    """Remove a folder of the machine's as far as that can be, after the death of those who wrote to it.

    A program can nest folders deeper than any recursion, path or number of descriptors may go: one folder
    is open at a time.
    """
    with contextlib.suppress(OSError):
        here = os.open(folder, _FOLDER)
        try:
            names: list[str] = []  # of the folders above, from the top
            waiting = [_remove_files(here)]  # for each of them and this one, the folders in it that are left
            while names or waiting[-1]:
                if waiting[-1]:
                    names.append(waiting[-1].pop())
                    os.chmod(names[-1], 0o700, dir_fd=here)
                    here = _move(here, names[-1])
                    waiting.append(_remove_files(here))
                else:
                    waiting.pop()
                    here = _move(here, "..")
                    os.rmdir(names.pop(), dir_fd=here)
        finally:
            os.close(here)
        os.rmdir(folder)


def _move(here: int, name: str) -> int:
    there = os.open(name, _FOLDER, dir_fd=here)
    os.close(here)
    return there


def _remove_files(folder: int) -> list[str]:
    """The names of the folders that are left in it."""
    with os.scandir(folder) as entries:
        kinds = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in kinds:
        if not is_folder:
            os.unlink(name, dir_fd=folder)
    return [name for name, is_folder in kinds if is_folder]
