"""The parent's side of one zygote: start it, take a locked-down child from it, talk to the child, have it reaped."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import os
import secrets
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import cgroup, cgroupfs, wire
from .limits import Limits

LAYERS = ("namespaces", "root", "rlimits", "privileges", "landlock", "seccomp", "cgroup")
REQUIRED = ("rlimits", "landlock", "seccomp")
START_S = 30.0
SPAWN_S = 10.0
CLEAN_S = 5.0
_CHUNK = 1 << 16
_OVERHEAD = 1 << 16  # bytes of messages around the results
_FIRST_USER = 1 << 28
_USERS_EACH = 1 << 20
_BOOT = (
    "import sys, types; sandbox = types.ModuleType('sandbox'); sandbox.__path__ = [sys.argv[1]]; "
    "sys.modules['sandbox'] = sandbox; from sandbox import zygote; zygote.launch(*map(int, sys.argv[2:4]), *sys.argv[4:])"
)
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "LD_BIND_NOW": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
_zygote_numbers = itertools.count(secrets.randbelow(1 << 10))
_forking = threading.Lock()
_DEFAULT = Limits()


class Broken(RuntimeError):
    """The sandbox itself failed; it says nothing about the program."""


class SandboxUnavailable(RuntimeError):
    """This machine lacks a layer without which no program is run. The message names it and the mend."""


class Expired(Exception):
    """The deadline passed."""


class Gone(Exception):
    """The process closed its end of the channel: it exited or was killed."""


class Flooded(Exception):
    """More output, or a larger frame, than allowed."""


class Forged(Exception):
    """Bytes that nobody asked for, or that the harness would not have written."""


@dataclass(frozen=True, slots=True)
class Usage:
    """status: as os.wait4 gives it.  cpu_s: seconds.  peak_memory: bytes.

    out_of_memory: bytes that its control group may use, when the kernel killed it for want of memory; 0 otherwise.
    """

    status: int
    cpu_s: float
    peak_memory: int
    out_of_memory: int = 0


class Child:
    """A locked-down process waiting for its program. One conversation, then it is reaped."""

    def __init__(self, number: int, descriptors: list[int], group: cgroup.Group | str) -> None:
        """group: its control group, or why it has none."""
        self.number = number
        self.group = group
        self.channel = socket.socket(fileno=descriptors[0])
        self.outputs = {descriptors[1]: bytearray(), descriptors[2]: bytearray()}
        self.stdout, self.stderr = (self.outputs[d] for d in descriptors[1:3])
        self.open = set(descriptors[1:3])
        self.missing: dict[str, str] = {}
        self.deadline = time.monotonic() + SPAWN_S
        self.limits = _DEFAULT
        self.received = 0
        self.buffer = bytearray()
        self.channel.setblocking(False)
        for descriptor in self.outputs:
            os.set_blocking(descriptor, False)
        self.poller = select.poll()
        self.waiting_for = select.POLLIN
        self.poller.register(self.channel, self.waiting_for)
        for descriptor in self.outputs:
            self.poller.register(descriptor, select.POLLIN)

    def begin(self, limits: Limits, deadline: float) -> None:
        """Wait until the process says that it is locked down; from then on `limits` and `deadline` hold.

        deadline: on time.monotonic's clock. Raises Broken.
        """
        try:
            self.missing = json.loads(self._read_frame())["missing"]
            if isinstance(self.group, str):
                self.missing["cgroup"] = self.group
        except (Expired, Gone, Flooded, ValueError) as failure:
            self.drain()
            raise Broken(f"A process could not be locked down: {self.stderr.decode(errors='replace')}") from failure
        self.limits, self.deadline = limits, deadline

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request and return its answer. Raises Expired, Gone, Flooded, Forged."""
        return self.receive(self.send(**request))

    def send(self, **request: Any) -> str:
        """Send one request, and return its nonce. Bytes that are already there void the run (Forged)."""
        if not self.quiet():
            raise Forged("There were bytes on the channel before the request.")
        nonce = secrets.token_hex(16)
        self._write(wire.dumps({"n": nonce, **request}))
        return nonce

    def reply(self, **answer: Any) -> None:
        """Answer a call that a suite makes."""
        self._write(wire.dumps(answer))

    def receive(self, nonce: str) -> dict[str, Any]:
        """The next message, which must carry the nonce."""
        try:
            message = wire.loads(self._read_frame())
        except wire.Malformed as failure:
            raise Forged(str(failure)) from failure
        if message.pop("n", None) != nonce:
            raise Forged("An answer does not carry the nonce of its request.")
        return message

    def _write(self, frame: bytes) -> None:
        view = memoryview(frame)
        while view:
            try:
                view = view[self.channel.send(view) :]
            except BlockingIOError:
                self._wait(select.POLLOUT)
            except OSError as failure:
                raise Gone from failure

    def _read_frame(self) -> bytes:
        length = int.from_bytes(self._read(4), "big")
        self.received += length
        if self.received > self.limits.result + _OVERHEAD:
            raise Flooded(f"The results are longer than {self.limits.result} bytes in the encoding.")
        return self._read(length)

    def _read(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self._wait(select.POLLIN)
            try:
                part = self.channel.recv(max(_CHUNK, count - len(self.buffer)))
            except BlockingIOError:
                continue
            except OSError as failure:
                raise Gone from failure
            if not part:
                raise Gone
            self.buffer += part
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def quiet(self) -> bool:
        """Whether there is no byte on the channel that has not been read. Raises Gone when it is closed."""
        if self.buffer:
            return False
        try:
            if not self.channel.recv(1):
                raise Gone
        except BlockingIOError:
            return True
        except OSError as failure:
            raise Gone from failure
        return False

    def _wait(self, event: int) -> None:
        """Until the channel is ready; what the process prints is read meanwhile."""
        if event != self.waiting_for:
            self.poller.modify(self.channel, event)
            self.waiting_for = event
        while True:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise Expired
            ready = self.poller.poll(left * 1000 + 1)
            for descriptor, _ in ready:
                if descriptor in self.open:
                    self._collect(descriptor)
            if any(descriptor not in self.outputs for descriptor, _ in ready):
                return

    def _collect(self, descriptor: int) -> bool:
        """Read once from an output; False when nothing is there."""
        try:
            part = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        if not part:
            self.open.discard(descriptor)
            self.poller.unregister(descriptor)
            return False
        kept = self.outputs[descriptor]
        kept += part[: max(0, self.limits.output - len(kept))]
        if len(kept) >= self.limits.output:
            raise Flooded(f"More than {self.limits.output} bytes were printed.")
        return True

    def drain(self) -> None:
        """Read what is left of the outputs. Raises Flooded."""
        for descriptor in list(self.open):
            while self._collect(descriptor):
                pass

    def close(self) -> None:
        self.channel.close()
        for descriptor in self.outputs:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.outputs = {}


class Worker:
    """One zygote. Used by one thread at a time; the pool sees to that."""

    def __init__(self, modules: tuple[str, ...] = ()) -> None:
        self.modules = modules
        self.control: socket.socket | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.missing: dict[str, str] = {}
        self.groups = cgroup.Groups()
        self._interpreter = 0  # bytes of memory that a child starts with
        self._asked: list[tuple[Limits, cgroup.Group | str]] = []  # of spawns whose answer has not been read
        self._spare: list[tuple[Limits, Child]] = []

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
                    [*command, *map(str, (theirs.fileno(), os.getpid(), cgroupfs.own_prefix(), *folders))],
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
        search, paths = _locate((*self.modules, "RestrictedPython")), _folders(self.modules)
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
        have = sum(asked.prepared == limits.prepared for asked, _ in [*self._asked, *self._spare])
        for _ in range(count - have):
            if self.control is None:
                self.start()
            group = self.groups.take(limits, self._interpreter)
            self._send({"op": "spawn", "limits": limits.prepared}, () if isinstance(group, str) else group.doors)
            self._asked.append((limits, group))

    def take(self, limits: Limits) -> Child:
        """A child locked down to `limits`. Raises Broken."""
        self.prepare(limits)
        self._read_spawned()
        for index, (asked, child) in enumerate(self._spare):
            if asked.prepared == limits.prepared:
                del self._spare[index]
                return child
        raise Broken("The sandbox's process gave no child.")

    def reap(self, child: Child) -> Usage:
        """Kill a child and everything in it, and say what it used. Raises Broken."""
        self._read_spawned()
        self._send({"op": "reap", "id": child.number})
        answer = json.loads(self._receive()[0])
        usage = Usage(answer["status"], answer["cpu_s"], answer["peak_memory"])
        if isinstance(child.group, str):
            return usage
        self.groups.give_back(child.group)
        return replace(usage, out_of_memory=child.group.memory) if child.group.killed() else usage

    def discard_other(self, limits: Limits) -> None:
        """Reap the children that were prepared for other limits than these."""
        if all(asked.prepared == limits.prepared for asked, _ in [*self._asked, *self._spare]):
            return
        self._read_spawned()
        keep, others = [], []
        for spare in self._spare:
            (keep if spare[0].prepared == limits.prepared else others).append(spare)
        self._spare = keep
        for _, child in others:
            self.reap(child)
            child.close()

    def _read_spawned(self) -> None:
        while self._asked:
            message, descriptors = self._receive()
            limits, group = self._asked.pop(0)
            self._spare.append((limits, Child(json.loads(message)["id"], descriptors, group)))

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
        self._spare, self._asked = [], []
        if self.control is not None:
            with contextlib.suppress(OSError):
                self.control.send(b'{"op": "end"}')
            self.control.close()
            self.control = None
        if self.process is not None:
            if "namespaces" in self.missing:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(CLEAN_S)  # it removes its scratch folders; the rest the kernel takes down
            self.process.kill()
            self.process.wait()
            if self.process.stderr is not None:
                self.process.stderr.close()
            self.process = None
        self.groups.close()


def _locate(modules: tuple[str, ...]) -> list[str]:
    """The folders in which the modules lie, for `sys.path`."""
    found = []
    for name in modules:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            place = Path(spec.origin).parent
            found.append(str(place.parent if spec.submodule_search_locations else place))
    return list(dict.fromkeys(found))


def _folders(modules: tuple[str, ...]) -> list[str]:
    """What has to be readable for the modules: their folders, and those of the shared libraries packed with them."""
    found = []
    for name in modules:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise SandboxUnavailable(f"The module {name} is not installed; programs can't be given it. Install it.")
        folder = Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)
        found += [str(folder), *[str(path) for path in folder.parent.glob(f"{name}.libs")]]
    return found
