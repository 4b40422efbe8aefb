"""An OpenAI-compatible endpoint on this machine, whose judge is a function of the messages."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# what it answers: a text, or a status with a text
Answer = Callable[[dict[str, Any]], "str | tuple[int, str]"]


@dataclass
class FakeJudge:
    """url: of the endpoint.  asked: the bodies of the requests.  headers: of the last one."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


def read_mark(body: dict[str, Any]) -> str:
    """The mark that the verdict has to repeat."""
    return re.findall(r"VERDICT ([0-9a-f]{8}):", body["messages"][0]["content"])[-1]


def read_parts(body: dict[str, Any]) -> list[str]:
    """What stands between the delimiters: question, reference, completion."""
    mark = read_mark(body)
    return re.findall(rf"<begin {mark}>\n(.*?)\n<end {mark}>", body["messages"][1]["content"], re.DOTALL)


def compare(body: dict[str, Any]) -> str:
    """A judge that finds right what has the reference in it."""
    _question, reference, completion = read_parts(body)
    found = "CORRECT" if reference in completion else "WRONG"
    return f"I compare.\nVERDICT {read_mark(body)}: {found}"


@contextmanager
def serve(answer: Answer = compare) -> Iterator[FakeJudge]:
    """Serve until the block ends."""
    judge = FakeJudge()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            judge.asked.append(body)
            judge.headers = dict(self.headers)
            said = answer(body)
            status, text = said if isinstance(said, tuple) else (200, said)
            reply = {"model": f"{body['model']}-2026", "choices": [{"message": {"content": text}}]}
            content = json.dumps(reply if status == 200 else {"error": {"message": text}}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    judge.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield judge
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
