"""Requests to an HTTP endpoint that answers in JSON: bounded in time and size, tried again where that
can help."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .types import Unavailable

MAX_REPLY_BYTES = 8 << 20
MAX_WAIT_S = 30.0
AGAIN = (408, 409, 425, 429)  # and 5xx: what may be gone the next time
REFUSED = (400, 413, 414, 415, 422)  # what the request itself brings about


class RequestRefused(ValueError):
    """The endpoint took the request and would not have its content (too long, filtered)."""


class _TryAgain(Exception):
    """What failed may succeed the next time."""


@dataclass(frozen=True)
class Endpoint:
    """url: what paths are added to.  key: name of the environment variable with the key; "" sends none.
    timeout_s: seconds until the reply begins, and for all of it.  retries: tries after the first."""

    url: str
    key: str
    timeout_s: float = 60.0
    retries: int = 3

    def __post_init__(self) -> None:
        address = urllib.parse.urlsplit(self.url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError(
                f"{self.shown!r} is no address of an endpoint; give one as http://localhost:8000/v1."
            )
        if not 0 < self.timeout_s < float("inf") or self.retries < 0:
            raise ValueError("An endpoint has a time-out above 0 seconds and 0 or more retries.")

    @property
    def shown(self) -> str:
        """The address without what may be secret in it: a user's name, a password, a query."""
        address = urllib.parse.urlsplit(self.url)
        host = f"{address.hostname or ''}{f':{address.port}' if address.port else ''}"
        return urllib.parse.urlunsplit((address.scheme, host, address.path, "", ""))

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What the endpoint answers.

        Raises RequestRefused where it would not have the content, Unavailable for all else it fails at.
        """
        if self.key and not self._secret:
            raise Unavailable(f"The environment variable {self.key}, which is to hold the key, is not set.")
        data = json.dumps(body).encode()
        for attempt in range(self.retries + 1):
            try:
                return self._post_once(path, data)
            except _TryAgain as failure:
                if attempt == self.retries:
                    raise Unavailable(self._redact(f"{failure} Tried {attempt + 1} times.")) from None
                time.sleep(min(MAX_WAIT_S, 2.0**attempt))
        raise AssertionError("the last try returns or raises")

    def _post_once(self, path: str, data: bytes) -> dict[str, Any]:
        address = urllib.parse.urlsplit(self.url)
        deadline = time.monotonic() + self.timeout_s
        connect = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        connection = connect(address.hostname or "", address.port, timeout=self.timeout_s)
        headers = {"Content-Type": "application/json"}
        if self._secret:
            headers["Authorization"] = f"Bearer {self._secret}"
        query = f"?{address.query}" if address.query else ""
        try:
            connection.request("POST", f"{address.path.rstrip('/')}/{path}{query}", data, headers)
            channel = connection.sock  # the connection lets go of it where the endpoint closes after a reply
            response = connection.getresponse()
            content = _read(channel, response, deadline)
        except ssl.SSLCertVerificationError as failure:
            raise Unavailable(
                f"The certificate of {self.shown} can't be trusted: {failure.reason}."
            ) from None
        except (OSError, http.client.HTTPException) as failure:
            said = (
                "gave no answer in time"
                if isinstance(failure, TimeoutError)
                else f"can't be reached: {failure}"
            )
            raise _TryAgain(f"The endpoint {self.shown} {said}.") from None
        finally:
            connection.close()
        return self._read_reply(response.status, content)

    def _read_reply(self, status: int, content: bytes) -> dict[str, Any]:
        said = f"The endpoint {self.shown} answered with status {status}: {_shorten(content)}"
        if status in AGAIN or status >= 500:
            raise _TryAgain(said)
        if status in REFUSED:
            raise RequestRefused(self._redact(said))
        if status in (401, 403):
            where = (
                f"Is the key in {self.key} right?" if self.key else "Name the variable with the key: key=..."
            )
            raise Unavailable(self._redact(f"{said} {where}"))
        if status != 200:
            raise Unavailable(self._redact(f"{said} Are URL and model right?"))
        try:
            reply = json.loads(content)
        except ValueError:
            raise Unavailable(f"The endpoint {self.shown} answered with what is no JSON.") from None
        if not isinstance(reply, dict):
            raise Unavailable(f"The endpoint {self.shown} answered with what is no JSON object.")
        return reply

    @property
    def _secret(self) -> str:
        return os.environ.get(self.key, "") if self.key else ""

    def _redact(self, said: str) -> str:
        return said.replace(self._secret, "***") if self._secret else said


def _read(channel: socket.socket, response: http.client.HTTPResponse, deadline: float) -> bytes:
    """The whole body, before the deadline. Raises OSError beyond it, and for one that never ends."""
    content = bytearray()
    while (
        not response.isclosed()
    ):  # Python 3.13 and later close it with its last byte, and the channel with it
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        channel.settimeout(left)
        piece = response.read1(65_536)
        if not piece:
            break
        content += piece
        if len(content) > MAX_REPLY_BYTES:
            raise OSError(f"its reply is longer than {MAX_REPLY_BYTES:,} bytes")
    return bytes(content)


def _shorten(content: bytes) -> str:
    return " ".join(content[:300].decode("utf-8", "replace").split()) or "nothing."
