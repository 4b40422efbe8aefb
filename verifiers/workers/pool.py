"""A pool of worker processes for slow checks, each with a deadline that this process enforces by killing.

    pool = Pool("palaestra.verifiers.math.symbolic:decide", workers=2, memory_mb=256)
    reply = pool.call([...], deadline_s=0.2)          # from any thread;  await pool.acall(...) from asyncio

One small server process is started by exec (never by forking this one, which may hold threads, locks and a
GPU), imports the target once, and forks a warm worker in milliseconds whenever one is missing. A request
waits while every worker is busy (back-pressure), and its deadline begins when a worker takes it: a hung check
costs its own deadline and nothing else. Requests and replies are JSON, so that a reply can carry nothing but
data. Workers end with the server, and the server ends when this process closes its socket, in whichever way
it dies. Linux and other POSIX systems.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

from ..types import Unavailable

START_TIMEOUT_S = 60.0
MAX_REPLY_BYTES = 16 << 20
_HEADER = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Reply:
    """ok: `value` is what the target returned. timeout: it was killed at its deadline. error: it raised, ran
    out of memory or died; `reason` says how. seconds: from the moment that a worker took the request.

    What is not ok is the request's doing: a check that sent it has a verdict against the answer,
    and does not abstain.
    """

    status: Literal["ok", "timeout", "error"]
    value: Any = None
    reason: str = ""
    seconds: float = 0.0


class PoolError(Unavailable):
    """The pool is closed, or its server could not be started: nothing that was asked of it is at fault."""


class _Worker:
    def __init__(self, channel: socket.socket, number: int) -> None:
        self.channel, self.number = channel, number


_ALIVE: weakref.WeakSet[Pool] = weakref.WeakSet()


def _renew_in_child() -> None:
    for pool in list(_ALIVE):
        pool._after_fork()


os.register_at_fork(after_in_child=_renew_in_child)


class Pool:
    """See the module. target: `module:function` of one JSON value, which returns one.

    workers: processes that run at once.  memory_mb: address space that a
        worker may add to what it starts with.
    """

    def __init__(self, target: str, *, workers: int = 1, memory_mb: int = 256) -> None:
        if workers < 1 or memory_mb < 1:
            raise ValueError(f"A pool has at least one worker and 1 MB each, not {workers} and {memory_mb}.")
        self.target, self.workers, self.memory_mb = target, workers, memory_mb
        self._lock = threading.Lock()  # guards what follows; never held while a check runs
        self._slots = threading.BoundedSemaphore(workers)
        self._idle: deque[_Worker] = deque()
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._numbers = 0
        self._closed = False
        atexit.register(self.close)
        _ALIVE.add(self)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def call(self, payload: Any, deadline_s: float) -> Reply:
        """Run the target on `payload`. Never raises for what the target
        does. Raises PoolError when closed."""
        request = json.dumps(payload).encode()
        with self._slots:
            worker = self._take()
            start = time.perf_counter()
            reply = _exchange(worker.channel, request, start, deadline_s)
            if reply.status == "ok" or (reply.status == "error" and reply.reason.startswith("raised")):
                with self._lock:
                    if not self._closed:
                        self._idle.append(worker)
                        return reply
            self._kill(worker)
            return reply

    async def acall(self, payload: Any, deadline_s: float) -> Reply:
        """`call` for asyncio: the event loop goes on meanwhile."""
        import asyncio  # slow to import, and few callers need it

        return await asyncio.to_thread(self.call, payload, deadline_s)

    def warm(self) -> None:
        """Start the server and every worker now, rather than at the first call. Raises PoolError."""
        taken = [self._take() for _ in range(self.workers)]
        with self._lock:
            self._idle.extend(taken)

    def close(self) -> None:
        """End the server and its workers. A second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            idle, self._idle = list(self._idle), deque()
            control, server = self._control, self._server
            self._control = self._server = None
        for worker in idle:
            worker.channel.close()
        if control is not None:
            control.close()
        if server is not None:
            try:
                server.wait(2.0)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        atexit.unregister(self.close)

    def _after_fork(self) -> None:
        """In a forked child: the parent's server and sockets are not ours, and its
        lock may be held for ever. Start anew."""
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(self.workers)
        for worker in self._idle:
            worker.channel.close()
        self._idle = deque()
        if self._control is not None:
            self._control.close()
        if self._server is not None:
            self._server.returncode = 0  # not our child: nothing to wait for
        self._control = self._server = None

    def _take(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise PoolError("The worker pool is closed.")
            if self._idle:
                return self._idle.popleft()
            return self._spawn()

    def _spawn(self) -> _Worker:
        """A new worker, forked by the server; the lock is held. Raises PoolError."""
        for fresh in (False, True):
            try:
                if self._control is None or fresh:
                    self._start_server()
                ours, its = socket.socketpair()
            except OSError as failure:  # no descriptors, no processes, no memory left
                raise PoolError(
                    f"The worker pool's server for {self.target} could not be started: {failure}."
                ) from failure
            assert self._control is not None
            self._numbers += 1
            try:
                socket.send_fds(self._control, [struct.pack("!cI", b"F", self._numbers)], [its.fileno()])
                its.close()
                ours.settimeout(START_TIMEOUT_S)
                if ours.recv(1) == b"R":
                    ours.setblocking(False)
                    return _Worker(ours, self._numbers)
            except OSError:
                pass
            ours.close()
            its.close()
        raise PoolError(f"The worker pool's server for {self.target} could not be started; does it import?")

    def _start_server(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._server is not None:
            self._server.kill()
            self._server.wait()
        ours, its = socket.socketpair()
        command = [
            sys.executable,
            "-c",
            _SERVER,
            self.target,
            str(self.memory_mb),
            str(its.fileno()),
            json.dumps(sys.path),
        ]
        try:
            with its:
                self._server = subprocess.Popen(
                    command, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
                )
        except OSError:
            ours.close()
            self._control = self._server = None
            raise
        self._control = ours

    def _kill(self, worker: _Worker) -> None:
        """The server kills, since it alone knows that the process is still its child."""
        worker.channel.close()
        with self._lock:
            if self._control is not None:
                with contextlib.suppress(OSError):  # the server is gone, and its workers with it
                    self._control.sendall(struct.pack("!cI", b"K", worker.number))


_SERVER = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[4]); from palaestra.verifiers.workers.server "
    "import main; main()"
)


def _exchange(channel: socket.socket, request: bytes, start: float, deadline_s: float) -> Reply:
    """Send a request and read the reply, both before the deadline."""
    outgoing = memoryview(_HEADER.pack(len(request)) + request)
    incoming = bytearray()
    wanted = _HEADER.size
    poller = select.poll()
    poller.register(channel, select.POLLIN | select.POLLOUT)
    while True:
        seconds = time.perf_counter() - start
        if seconds >= deadline_s or not poller.poll(1000 * (deadline_s - seconds)):
            return Reply("timeout", None, f"No result within {deadline_s:g} s.", time.perf_counter() - start)
        try:
            if outgoing:
                outgoing = outgoing[channel.send(outgoing) :]
                if not outgoing:
                    poller.modify(channel, select.POLLIN)
                continue
            piece = channel.recv(65_536)
        except BlockingIOError:
            continue
        except OSError:
            piece = b""
        seconds = time.perf_counter() - start
        if not piece:
            return Reply("error", None, "The worker died (out of memory, most often).", seconds)
        incoming += piece
        if wanted == _HEADER.size and len(incoming) >= wanted:
            wanted += _HEADER.unpack_from(incoming)[0]
        if wanted > MAX_REPLY_BYTES:
            return Reply("error", None, "The worker's reply is too long.", seconds)
        if len(incoming) >= wanted > _HEADER.size:
            return _parse(bytes(incoming[_HEADER.size :]), seconds)


def _parse(body: bytes, seconds: float) -> Reply:
    try:
        status, value = json.loads(body)
    except (ValueError, TypeError):
        return Reply("error", None, "The worker's reply is no JSON.", seconds)
    if status == "ok":
        return Reply("ok", value, "", seconds)
    return Reply("error", None, f"{status}: {value}", seconds)
