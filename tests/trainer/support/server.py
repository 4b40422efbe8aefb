"""A small server with OpenAI's interface that misbehaves on purpose."""

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fault = Callable[["Handler"], None]


def answer(body: dict, text: str = "", **changes: Any) -> dict:
    """A whole answer in the form that the request has, saying `text`, by default what was asked."""
    chat = "messages" in body
    asked = body["messages"][-1]["content"] if chat else body["prompt"]
    text = text or f"echo {asked}"
    said = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    return {
        "id": "1",
        "object": "chat.completion" if chat else "text_completion",
        "created": 1,
        "model": "tiny-of-today",
        "system_fingerprint": "fp_7",
        "choices": [{"index": 0, "finish_reason": "stop", **said}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
        **changes,
    }


@dataclass
class Server:
    """url: its base URL.  bodies: of all requests that came.  faults: what is done in place of an answer: the
    first time a request comes, each by its turn (None answers).  most: requests that were in it at once.

    reply: makes an answer of a request's body.  again: how often a request gets its fault.
    meet: the first requests wait until so many are there at once.
    """

    url: str = ""
    bodies: list[dict] = field(default_factory=list)
    headers: list[dict] = field(default_factory=list)
    faults: list[Fault | None] = field(default_factory=list)
    reply: Callable[[dict], Any] = answer
    again: int = 1
    meet: int = 0
    most: int = 0
    _inside: int = 0
    _seen: Counter = field(default_factory=Counter)
    _lock: threading.Condition = field(default_factory=threading.Condition)

    def enter(self, body: dict) -> Fault | None:
        """Count a request in; what is to go wrong with it."""
        key = json.dumps(body, sort_keys=True)
        with self._lock:
            turn = len(self._seen)
            self._seen[key] += 1
            self.bodies.append(body)
            self._inside += 1
            self.most = max(self.most, self._inside)
            faulty = self.faults and self._seen[key] <= self.again
            self._lock.notify_all()
            self._lock.wait_for(lambda: self.most >= self.meet, 60)
            return self.faults[turn % len(self.faults)] if faulty else None

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        entry = {"id": "tiny", "object": "model", "owned_by": "tests", "created": 3}
        if self.path.endswith("/models/tiny"):
            self.send(200, entry)
        elif self.path.endswith("/models"):
            self.send(200, {"object": "list", "data": [entry, entry | {"id": "listed"}]})
        else:
            self.send(404, {"error": {"message": "not here"}})

    def do_POST(self) -> None:
        state: Server = self.server.state
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        state.headers.append(dict(self.headers))
        fault = state.enter(body)
        try:
            if fault is not None:
                fault(self)
            else:
                found = state.reply(body)
                self.send(*(found if isinstance(found, tuple) else (200, found)))
        finally:
            state.leave()

    def send(self, status: int, values: Any, **headers: str) -> None:
        content = json.dumps(values).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)


def drop(handler: Handler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True
    handler.connection.close()


def cut_body(handler: Handler) -> None:
    """Promise more than is sent."""
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"id": "1", "choices": [{"mess')
    handler.wfile.flush()
    drop(handler)


def cut_json(handler: Handler) -> None:
    """Half of a JSON object as if it were all."""
    content = b'{"id": "1", "choices": [{"index": 0, "message": {"role": "assis'
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def refuse_for_now(handler: Handler) -> None:
    handler.send(429, {"error": {"message": "too many"}}, retry_after="0.01")


def fail(handler: Handler) -> None:
    handler.send(500, {"error": {"message": "oh"}})


def give_no_choices(handler: Handler) -> None:
    handler.send(200, {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": []})


def give_no_message(handler: Handler) -> None:
    handler.send(200, {"id": "1", "choices": [{"index": 0, "finish_reason": None}]})


def give_a_page(handler: Handler) -> None:
    content = b"<html>Bad gateway</html>"
    handler.send_response(200)
    handler.send_header("content-type", "text/html")
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def nest_deep(handler: Handler) -> None:
    """More brackets than a reader of JSON goes down."""
    content = b"[" * 100_000 + b"]" * 100_000
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


FAULTS = (
    nest_deep,
    drop,
    cut_body,
    cut_json,
    refuse_for_now,
    fail,
    give_no_choices,
    give_no_message,
    give_a_page,
)


class _Listening(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silence: clients go away in these tests."""


@contextlib.contextmanager
def serve(**about: Any) -> Iterator[Server]:
    """A server on a free port of loopback."""
    state = Server(**about)
    listening = _Listening(("127.0.0.1", 0), Handler)
    listening.state = state
    state.url = f"http://127.0.0.1:{listening.server_address[1]}/v1"
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()
