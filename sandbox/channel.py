"""The parent's side of one child: send requests, read what it claims and prints, within its limits."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import socket
import time
from typing import Any

from . import wire
from .cgroup import Group
from .limits import Limits

SPAWN_S = 10.0
_CHUNK = 1 << 16
_OVERHEAD = 1 << 16  # bytes of messages around the results
_DEFAULT = Limits()


class Broken(RuntimeError):
    """The sandbox itself failed; it says nothing about the program."""


class Expired(Exception):
    """The deadline passed."""


class Gone(Exception):
    """The process closed its end of the channel: it exited or was killed."""


class Flooded(Exception):
    """More output, or a larger frame, than allowed."""


class Forged(Exception):
    """Bytes that nobody asked for, or that the harness would not have written."""


def encode_request(**request: Any) -> bytes:
    """A request, of at least one field, as JSON."""
    return wire.dumps(request)[4:]


class Child:
    """A locked-down process waiting for its program. One conversation, then it is reaped."""

    def __init__(self, number: int, descriptors: list[int], group: Group | str, stdin: int) -> None:
        """group: its control group, or why it has none.

        stdin: descriptor by which its standard input is filled.
        """
        self.number = number
        self.group = group
        self._stdin = stdin
        self.channel = socket.socket(fileno=descriptors[0])
        self.outputs = {descriptors[1]: bytearray(), descriptors[2]: bytearray()}
        self.stdout, self.stderr = (self.outputs[d] for d in descriptors[1:3])
        self.open = set(descriptors[1:3])
        self.missing: dict[str, str] = {}
        self.deadline = 0.0  # set by `begin`, before which it may wait for long
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
        self.deadline = time.monotonic() + SPAWN_S
        try:
            self.missing = json.loads(self._read_frame())["missing"]
            if isinstance(self.group, str):
                self.missing["cgroup"] = self.group
        except (Expired, Gone, Flooded, ValueError) as failure:
            self.drain()
            raise Broken(
                f"A process could not be locked down: {self.stderr.decode(errors='replace')}"
            ) from failure
        self.limits, self.deadline = limits, deadline

    def begin_again(self, limits: Limits, deadline: float) -> None:
        """A further conversation with a process that is ours, after one that came to its end."""
        with contextlib.suppress(Flooded):
            self.drain()
        for kept in self.outputs.values():
            kept.clear()
        self.received = 0
        self.limits, self.deadline = limits, deadline

    def fill_stdin(self, data: bytes) -> None:
        """Before the program is sent. Raises Broken when the machine has no memory for it."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._stdin, view) :]
        except OSError as failure:
            raise Broken(f"The standard input could not be made ready: {failure.strerror}.") from failure

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request and return its answer. Raises Expired, Gone, Flooded, Forged."""
        return self.receive(self.send(**request))

    def send(self, **request: Any) -> str:
        """Send one request, and return its nonce. Bytes that are already there void the run (Forged)."""
        return self.send_body(encode_request(**request))

    def send_body(self, request: bytes) -> str:
        """`send` for a request that `body` has encoded before."""
        if not self.is_quiet():
            raise Forged("There were bytes on the channel before the request.")
        nonce = secrets.token_hex(16)
        head = b'{"n":"%s",' % nonce.encode()
        self._write((len(head) + len(request) - 1).to_bytes(4, "big") + head + request[1:])
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
                view = view[self.channel.send(view, socket.MSG_NOSIGNAL) :]
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

    def is_quiet(self) -> bool:
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
        for descriptor in [self._stdin, *self.outputs] if self.outputs else []:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.outputs = {}
