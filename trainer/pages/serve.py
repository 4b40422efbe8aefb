"""The page from a server on this machine: completions by the chunk, and, live, what a run wrote since.

It listens on loopback only. Every address begins with a random token; a request that names another host, as
one does that a web page elsewhere has led here by its own name (DNS rebinding), is refused, and so is every
method but GET.
"""

from __future__ import annotations

import hmac
import json
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .chunks import CHUNK, Packer
from .gather import Page, refresh
from .search import TextIndex
from .write import describe_rows, fill_template

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class PageServer(ThreadingHTTPServer):
    """Serves one page. live: look for new rows when the page asks.  port: 0 takes a free one."""

    daemon_threads = True

    def __init__(self, page: Page, *, live: bool, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.token = secrets.token_urlsafe(24)
        self.live = live
        self._page, self._packer, self._lock = page, Packer(page), Lock()
        self._index = TextIndex(page.table)
        self._index.take_in()
        self._columns = self._write_columns()

    @property
    def hosts(self) -> set[str]:
        """What a request may call this server."""
        return {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}

    @property
    def mode(self) -> str:
        return "live" if self.live else "serve"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"

    def answer(self, path: str, query: dict[str, list[str]]) -> Any:
        """What is asked for by the page: text, JSON as bytes, plain data; None for what is not there."""
        with self._lock:
            table = self._page.table
            if path == "":
                head = self._page.to_head()
                return fill_template(head, None, total=len(table), mode=self.mode)
            if path == "head":
                if self.live:
                    before = len(table), table.generation
                    self._page = refresh(self._page)
                    self._index.take_in()
                    if (len(table), table.generation) != before:
                        self._columns = self._write_columns()
                return {**self._page.to_head(), "rows": describe_rows(None, len(self._page.table), self.mode)}
            if path == "columns":
                return self._columns
            kind, _, rest = path.partition("/")
            if kind == "chunk" and rest.isdecimal() and int(rest) * CHUNK < len(table):
                first = int(rest) * CHUNK
                return self._packer.make_chunk(range(first, min(first + CHUNK, len(table))), tokens=True)
            if kind == "search":
                return {"rows": self._index.find(query.get("text", [""])[0])}
            return None

    def _write_columns(self) -> bytes:
        """The columns as JSON: the largest answer, made once for all who ask."""
        return write_json(self._packer.make_columns(range(len(self._page.table))))


def write_json(values: Any) -> bytes:
    return json.dumps(values, separators=(",", ":"), default=str).encode("ascii")


class _Handler(BaseHTTPRequestHandler):
    server: PageServer  # pyrefly: ignore[bad-override-mutable-attribute]
    server_version, sys_version = "palaestra", ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        if self.headers.get("Host") not in self.server.hosts:
            return self._send(403, "text/plain", b"This server answers to 127.0.0.1 and localhost only.\n")
        asked = urlsplit(self.path)
        token, _, path = asked.path.lstrip("/").partition("/")
        if not hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self.server.token.encode()):
            return self._send(404, "text/plain", b"Not found.\n")
        found = self.server.answer(path, parse_qs(asked.query))
        if found is None:
            return self._send(404, "text/plain", b"Not found.\n")
        if isinstance(found, str):
            return self._send(200, "text/html; charset=utf-8", found.encode())
        body = found if isinstance(found, bytes) else write_json(found)
        return self._send(200, "application/json", body)

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Another method than GET, a broken request: plain, and closed."""
        self.close_connection = True
        status = 405 if code == 501 else code
        self._send(status, "text/plain", b"Only GET is answered.\n" if status == 405 else b"Refused.\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the token stands in every address."""
