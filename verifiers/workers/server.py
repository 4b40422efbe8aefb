"""The server behind `pool.Pool`: single-threaded, imports the target once,
forks workers on request, kills on request.

Runs in a process of its own. Its control socket brings `F` + number with a socket for a new worker, and `K` +
number for one to kill; the end of that socket ends everything.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

_COMMAND = struct.Struct("!cI")
_HEADER = struct.Struct("!I")
_PR_SET_PDEATHSIG = 1


def main() -> None:
    target, memory_mb, fd = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes our socket
    control = socket.socket(fileno=fd)
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    gc.freeze()
    children: dict[int, int] = {}
    while True:
        message, fds, _, _ = socket.recv_fds(control, _COMMAND.size, 1)
        while message and len(message) < _COMMAND.size:
            more = control.recv(_COMMAND.size - len(message))
            message = message + more if more else b""
        if not message:
            break
        kind, number = _COMMAND.unpack(message)
        if kind == b"F":
            pid = os.fork()
            if pid == 0:
                control.close()
                _work(socket.socket(fileno=fds[0]), function, memory_mb)
            os.close(fds[0])
            children[number] = pid
        else:
            pid = children.pop(number, 0)
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
    for pid in children.values():
        os.kill(pid, signal.SIGKILL)


def _work(channel: socket.socket, function: Callable[[Any], Any], memory_mb: int) -> None:
    """A worker's whole life."""
    _confine(memory_mb)
    channel.sendall(b"R")
    try:
        while (header := _read(channel, _HEADER.size)) is not None:
            body = _read(channel, _HEADER.unpack(header)[0])
            if body is None:
                break
            try:
                reply: list[Any] = ["ok", function(json.loads(body))]
                data = json.dumps(reply).encode()
            except MemoryError:
                os._exit(1)
            except Exception as failure:  # noqa: BLE001  whatever the target raises is its caller's news, and the worker lives on
                data = json.dumps(["raised", f"{type(failure).__name__}: {str(failure)[:200]}"]).encode()
            channel.sendall(_HEADER.pack(len(data)) + data)
    finally:
        os._exit(0)


def _confine(memory_mb: int) -> None:
    """Die with the server, and never grow by more than memory_mb."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with open("/proc/self/statm", encoding="ascii") as statm:
            used = int(statm.read().split()[0]) * resource.getpagesize()
        limit = used + (memory_mb << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read(channel: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        piece = channel.recv(size - len(data))
        if not piece:
            return None
        data += piece
    return data
