"""The parent's side of one zygote: start it, take a locked-down child from it, have the child reaped."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import cgroup, cgroupfs
from .channel import Broken, Child
from .limits import Limits

LAYERS = ("namespaces", "root", "rlimits", "privileges", "landlock", "seccomp", "cgroup")
REQUIRED = ("rlimits", "landlock", "seccomp")
START_S = 30.0
CLEAN_S = 60.0  # a program may have made many files in its time
MAX_SUITES = 100  # after which a process for tests is replaced
_CHUNK = 1 << 16
_FIRST_USER = 1 << 28
_USERS_EACH = 1 << 20
_BOOT = (
    "import sys, types; sandbox = types.ModuleType('sandbox'); sandbox.__path__ = [sys.argv[1]]; "
    "sys.modules['sandbox'] = sandbox; from sandbox.inside import zygote; "
    "zygote.launch(*map(int, sys.argv[2:4]), *sys.argv[4:])"
)
# One arena for all threads: the C library would reserve 64 MiB of address space for each,
# and few could start.
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "LD_BIND_NOW": "1",
    "MALLOC_ARENA_MAX": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
_zygote_numbers = itertools.count(secrets.randbelow(1 << 10))
_forking = threading.Lock()


class SandboxUnavailable(RuntimeError):
    """This machine lacks a layer without which no program is run. The message names it and the fix."""


@dataclass(frozen=True, slots=True)
class Usage:
    """status: as os.wait4 gives it.  cpu_s: seconds.  peak_memory: bytes.

    out_of_memory: bytes that its control group may use, when the kernel killed it for want of
        memory; 0 otherwise.
    """

    status: int
    cpu_s: float
    peak_memory: int
    out_of_memory: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """A spawn whose answer has not been read.

    stdin: descriptor by which to fill the child's standard input.
    """

    limits: Limits
    group: cgroup.Group | str
    stdin: int


@dataclass
class Tester:
    """A process for tests.

    runs: how many it has been taken for.
    sound: whether its suite, if there was one, came to its end and left nothing.
    """

    limits: Limits
    child: Child
    runs: int = 0
    sound: bool = True

    def begin(self, limits: Limits, deadline: float) -> None:
        """See `Child.begin`; a process that has run a suite begins anew."""
        self.runs += 1
        if self.runs == 1:
            self.child.begin(limits, deadline)
        else:
            self.child.begin_again(limits, deadline)


class Worker:
    """One zygote. Used by one thread at a time; the pool sees to that."""

    def __init__(self, modules: tuple[str, ...] = ()) -> None:
        self.modules = modules
        self.control: socket.socket | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.missing: dict[str, str] = {}
        self.groups = cgroup.Groups()
        self._interpreter = 0  # bytes of memory that a child starts with
        self._asked: list[_Asked] = []
        self._spare: list[tuple[Limits, Child]] = []
        self._tester: Tester | None = None  # idle, for the next suite

    def start(self) -> None:
        """Raises Broken when the zygote does not come up."""
        self.close()
        self.groups.open()
        folders = self.groups.place.folders if self.groups.place else ()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(START_S)
        command = [sys.executable, "-s", "-S", "-P", "-c", _BOOT, str(Path(__file__).parent)]
        try:
            with _forking, theirs:
                self.process = subprocess.Popen(
                    [*command, *map(str, (theirs.fileno(), os.getpid(), cgroupfs.make_prefix(), *folders))],
                    env=_ENVIRONMENT,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    pass_fds=(theirs.fileno(), *folders),
                    start_new_session=True,
                    cwd="/",
                )
        except OSError as failure:
            ours.close()
            self.close()
            raise Broken(f"The sandbox's process could not be started: {failure}") from failure
        self.control = ours
        search, paths = _locate((*self.modules, "RestrictedPython")), find_folders(self.modules)
        first = _FIRST_USER + (next(_zygote_numbers) % (1 << 11)) * _USERS_EACH
        config = {"modules": self.modules, "search": search, "paths": paths, "first_user": first}
        try:
            ours.send(json.dumps(config).encode())
            answer = json.loads(ours.recv(_CHUNK))
            self.missing, self._interpreter = answer["missing"], answer["memory"]
        except (OSError, ValueError) as failure:
            self.process.kill()
            _, text = self.process.communicate()
            self.close()
            last = text.decode(errors="replace").strip().rpartition("\n")[2]
            raise Broken(f"The sandbox's process did not start: {last or failure}") from failure

    def prepare(self, limits: Limits, count: int = 1) -> None:
        """Ask for children ahead of time, without waiting."""
        have = sum(each.limits.prepared == limits.prepared for each in self._asked)
        have += sum(asked.prepared == limits.prepared for asked, _ in self._spare)
        for _ in range(count - have):
            if self.control is None:
                self.start()
            group = self.groups.take(limits, self._interpreter)
            stdin = os.memfd_create("stdin")
            self._asked.append(_Asked(limits, group, stdin))
            theirs = os.open(f"/proc/self/fd/{stdin}", os.O_RDWR)  # with an offset of its own
            try:
                doors = () if isinstance(group, str) else group.doors
                self._send({"op": "spawn", "limits": limits.prepared}, (theirs, *doors))
            finally:
                os.close(theirs)

    def take(self, limits: Limits) -> Child:
        """A child locked down to `limits`. Raises Broken."""
        self.prepare(limits)
        self._read_spawned()
        for index, (asked, child) in enumerate(self._spare):
            if asked.prepared == limits.prepared:
                del self._spare[index]
                return child
        raise Broken("The sandbox's process gave no child.")

    @contextlib.contextmanager
    def lend_tester(self, limits: Limits, reused: bool) -> Iterator[Tester]:
        """A process for tests within `limits`.

        reused: from earlier suites, and for later ones.  Raises Broken.
        """
        kept = self._tester if reused else None
        if kept is not None:
            self._tester = None
        if kept is not None and kept.limits.prepared != limits.prepared:
            self._end(kept.child)
            kept = None
        # The kernel's limit of processor time counts all suites together.
        # The driver's clock ends each of them.
        own = replace(limits, cpu_s=MAX_SUITES * limits.wall_s) if reused else limits
        tester = kept or Tester(limits, self.take(own))
        try:
            yield tester
            if reused and tester.sound and tester.runs < MAX_SUITES:
                self._tester = tester
            else:
                self._end(tester.child)
        finally:
            if self._tester is not tester:
                tester.child.close()

    def _end(self, *children: Child) -> None:
        """Reap and close children that nobody else holds: closed they are in any case."""
        try:
            for child in children:
                self.reap(child)
        finally:
            for child in children:
                child.close()

    def reap(self, child: Child) -> Usage:
        """Kill a child and everything in it, and say what it used. Raises Broken."""
        self._read_spawned()
        self._send({"op": "reap", "id": child.number})
        answer = json.loads(self._receive()[0])
        usage = Usage(answer["status"], answer["cpu_s"], answer["peak_memory"])
        if isinstance(child.group, str):
            return usage
        self.groups.give_back(child.group)
        return replace(usage, out_of_memory=child.group.memory) if child.group.was_killed() else usage

    def discard_other(self, limits: Limits) -> None:
        """Reap the children that were prepared for other limits than these."""
        others = [each.limits for each in self._asked] + [asked for asked, _ in self._spare]
        if all(asked.prepared == limits.prepared for asked in others):
            return
        self._read_spawned()
        keep, others = [], []
        for spare in self._spare:
            (keep if spare[0].prepared == limits.prepared else others).append(spare)
        self._spare = keep
        self._end(*(child for _, child in others))

    def _read_spawned(self) -> None:
        while self._asked:
            message, descriptors = self._receive()
            asked = self._asked.pop(0)
            self._spare.append(
                (asked.limits, Child(json.loads(message)["id"], descriptors, asked.group, asked.stdin))
            )

    def _send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        assert self.control is not None
        try:
            socket.send_fds(self.control, [json.dumps(message).encode()], descriptors)
        except OSError as failure:
            raise Broken(f"The sandbox's process is gone: {failure}") from failure

    def _receive(self) -> tuple[bytes, list[int]]:
        assert self.control is not None
        try:
            message, descriptors, _, _ = socket.recv_fds(self.control, _CHUNK, 3)
        except OSError as failure:
            raise Broken(f"The sandbox's process does not answer: {failure}") from failure
        if not message:
            raise Broken("The sandbox's process has ended.")
        return message, descriptors

    def close(self) -> None:
        """Kill the zygote with everything in it, and close every descriptor. May be called again."""
        for _, child in self._spare:
            child.close()
        for asked in self._asked:
            os.close(asked.stdin)
        self._spare, self._asked = [], []
        if self._tester is not None:
            self._tester.child.close()
            self._tester = None
        if self.control is not None:
            with contextlib.suppress(OSError):
                self.control.send(b'{"op": "end"}')
            self.control.close()
            self.control = None
        if self.process is not None:
            if "namespaces" in self.missing:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(
                        CLEAN_S
                    )  # it removes its scratch folders; the rest the kernel takes down
            self.process.kill()
            self.process.wait()
            if self.process.stderr is not None:
                self.process.stderr.close()
            self.process = None
        self.groups.close()


def _locate(modules: tuple[str, ...]) -> list[str]:
    """The folders in which the modules lie, for `sys.path`."""
    folders = []
    for name in modules:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            place = Path(spec.origin).parent
            folders.append(str(place.parent if spec.submodule_search_locations else place))
    return list(dict.fromkeys(folders))


def find_folders(modules: tuple[str, ...]) -> list[str]:
    """What has to be readable for the modules: their folders, and those of shared libraries with them."""
    paths = []
    for name in modules:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise SandboxUnavailable(
                f"The module {name} is not installed; programs can't be given it. Install it."
            )
        folder = Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)
        paths += [str(folder), *[str(path) for path in folder.parent.glob(f"{name}.libs")]]
    return paths
