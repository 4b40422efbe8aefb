"""HTTP to a vLLM server, with JSON both ways: through a socket file or to a host, each question with a clock.

Imports no torch.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ....tasks.core.errors import RunError, shorten
from ..in_flight import BrokenOff

SOCKET_SCHEME = "unix:"
KEY_VARIABLE = "VLLM_API_KEY"
MOST_BYTES = 2**28  # of an answer
TRIES = 3  # of a question whose connection broke: asking again draws the same
IDLE_S = 2.0  # for which a connection is kept; servers close theirs after 5
CHUNK = 2**16


class EngineError(RunError):
    """An engine's server can't be asked, or what it says can't be used. What was sampled so far is kept by
    whoever called."""


class HungUp(EngineError, BrokenOff):
    """The question was broken off by `Wire.hang_up`."""


@dataclass(frozen=True)
class _Idle:
    """A connection that waits for its next question, and since when, in seconds."""

    connection: http.client.HTTPConnection
    since: float


class Wire:
    """Connections to one server, as many as questions are asked at once.

    address: http://HOST:PORT, https://HOST:PORT or unix:FILE.  timeout: seconds that one answer may take.
    explain: what the server's process says of its end, "" while it lives.
    """

    def __init__(self, address: str, timeout: float, explain: Callable[[], str] = lambda: "") -> None:
        self.address, self.timeout, self._explain = address, timeout, explain
        self._idle: list[_Idle] = []
        self._busy: dict[http.client.HTTPConnection, int] = {}  # and how often was hung up when it was taken
        self._lock, self._hung_up = threading.Lock(), 0

    def get(self, path: str) -> Any:
        """What the server answers, as JSON; None for an empty answer. Raises EngineError."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any], *, again: bool = True) -> Any:
        """What the server answers, as JSON; None for an empty answer. again: whether it is asked once more
        where the connection broke, so it may have been done already. Raises EngineError."""
        return self._ask("POST", path, body, tries=TRIES if again else 1)

    def hang_up(self) -> None:
        """End all connections: questions that wait for an answer raise HungUp, and the server gives up their
        work."""
        with self._lock:
            busy, idle, self._idle = list(self._busy), self._idle, []
            self._hung_up += 1
        for each in idle:
            each.connection.close()
        for connection in busy:
            if connection.sock is not None:
                with contextlib.suppress(OSError):  # it was closed by the other side
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None, tries: int = TRIES) -> Any:
        limit = self.timeout
        end, before = time.monotonic() + limit, self._hung_up
        sent = None if body is None else json.dumps(body).encode()
        for attempt in range(1, tries + 1):
            connection = self._take(limit, fresh=attempt > 1 or tries == 1)
            kept = False
            try:
                connection.request(method, path, sent, self._write_headers())
                reply = connection.getresponse()
                text = _read(reply, end)
                kept = not reply.will_close
                return self._read_answer(path, reply.status, text)
            except TimeoutError as failure:
                raise EngineError(
                    f"The engine's server at {self.address} has not answered {path} within {limit:g} s. "
                    f"{self._tell_process()}Start it again and resume, or raise --engine-timeout."
                ) from failure
            except (http.client.HTTPException, OSError) as failure:
                refused = isinstance(failure, (ConnectionRefusedError, FileNotFoundError))
                unwanted = self._hung_up != before
                if refused or unwanted or attempt == tries or self._explain() or time.monotonic() > end:
                    raise self._explain_loss(path, failure, HungUp if unwanted else EngineError) from failure
            finally:
                self._give(connection, kept)
        raise AssertionError("the last try returns or raises")

    def _take(self, limit: float, *, fresh: bool) -> http.client.HTTPConnection:
        """A connection that waits, else a new one. fresh: a new one in any case."""
        connection = None
        with self._lock:
            old = time.monotonic() - IDLE_S
            stale = [each for each in self._idle if each.since < old]
            self._idle = [each for each in self._idle if each.since >= old]
            if self._idle and not fresh:
                connection = self._idle.pop().connection
        for each in stale:
            each.connection.close()
        if connection is None:
            connection = _open_connection(self.address, limit)
        elif connection.sock is not None:
            connection.sock.settimeout(limit)
        with self._lock:
            self._busy[connection] = self._hung_up
        return connection

    def _give(self, connection: http.client.HTTPConnection, kept: bool) -> None:
        """Back, to wait for the next question where it is `kept`, else closed; closed, too, where all were to
        end meanwhile: nobody may ask again."""
        with self._lock:
            kept = self._busy.pop(connection) == self._hung_up and kept
            if kept:
                self._idle.append(_Idle(connection, time.monotonic()))
        if not kept:
            connection.close()

    def _write_headers(self) -> dict[str, str]:
        key = os.environ.get(KEY_VARIABLE, "")
        return {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}

    def _read_answer(self, path: str, status: int, text: bytes) -> Any:
        if status >= 400:
            said = shorten(text.decode(errors="replace"), 300) or "no word"
            raise EngineError(
                f"The engine's server at {self.address} refused {path} with status {status}: {said}. "
                f"{_advise(path, status)}"
            )
        if not text:
            return None
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as failure:
            said = shorten(text.decode(errors="replace"), 80) or "blanks"
            raise EngineError(
                f"The engine's server at {self.address} answered {path} with what is no JSON ({said}). "
                "Does vLLM listen there?"
            ) from failure

    def _explain_loss(self, path: str, failure: Exception, kind: type[EngineError]) -> EngineError:
        if isinstance(failure, (ConnectionRefusedError, FileNotFoundError)):
            said = self._tell_process() or "Does a server listen there? "
        else:
            said = self._tell_process()
        reason = shorten(str(failure) or type(failure).__name__, 120)
        return kind(
            f"The engine's server at {self.address} was lost at {path} ({reason}). {said}Start it again and "
            "resume: nothing of the steps before is lost."
        )

    def _tell_process(self) -> str:
        said = self._explain()
        return f"{said} " if said else ""


class _SocketFile(http.client.HTTPConnection):
    """A connection to a server that listens at a socket file."""

    def __init__(self, file: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._file = file

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._file)


def _open_connection(address: str, limit: float) -> http.client.HTTPConnection:
    if address.startswith(SOCKET_SCHEME):
        return _SocketFile(address.removeprefix(SOCKET_SCHEME), limit)
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=limit)


def _read(reply: http.client.HTTPResponse, end: float) -> bytes:
    """All of an answer. Raises TimeoutError where it is not there by `end`, HTTPException where it is cut or
    larger than an answer may be."""
    parts, size = list[bytes](), 0
    while chunk := reply.read1(CHUNK):
        parts.append(chunk)
        size += len(chunk)
        if time.monotonic() > end:
            raise TimeoutError
        if size > MOST_BYTES:
            raise http.client.HTTPException(f"an answer of more than {MOST_BYTES >> 20} MiB")
    if reply.length:
        raise http.client.IncompleteRead(b"", reply.length)
    reply.close()  # `read1` leaves it open at its end, and its connection can't be asked again
    return b"".join(parts)


def _advise(path: str, status: int) -> str:
    if status in (401, 403):
        return f"Put its key into the environment variable {KEY_VARIABLE}."
    if status == 404 and not path.startswith("/v1/"):
        return "Start it with VLLM_SERVER_DEV_MODE=1 in its environment: it has the routes for weights then."
    if status < 500:
        return "Change the settings that it names."
    return "Its log tells more."
