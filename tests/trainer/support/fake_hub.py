"""A hub of one's own on this machine: it records what it is asked to make and to commit."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

NOBODY = "nobody"  # a user that no token may write for


@dataclass
class FakeHub:
    """private: of each repository.  files: of each repository, by name.  messages: of the commits.
    cards: what it says of other models.  asked: every request.  tokens: that came along."""

    endpoint: str = ""
    private: dict[str, bool] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and JSON of an answer."""
        parts = path.partition("?")[0].strip("/").split("/")
        if parts == ["api", "repos", "create"]:
            return self._create(json.loads(body))
        if parts == ["api", "validate-yaml"]:
            yaml.safe_load(json.loads(body)["content"].split("---")[1])
            return 200, {"errors": [], "warnings": []}
        repository = "/".join(parts[2:4])
        if method == "GET":
            return self._describe(repository)
        if parts[4] == "preupload":
            files = json.loads(body)["files"]
            modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]
            return 200, {"files": modes}
        return self._commit(repository, [json.loads(line) for line in body.splitlines()])

    def _create(self, wanted: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        user, name = wanted.get("organization"), wanted["name"]
        if user == NOBODY:
            return 403, {"error": "You don't have the rights to create a model under this namespace"}
        repository = f"{user}/{name}" if user else name
        if repository in self.private:
            return 409, {
                "error": "You already created this model repo",
                "url": f"{self.endpoint}/{repository}",
            }
        private = wanted["visibility"] == "private" if "visibility" in wanted else wanted["private"]
        self.private[repository], self.files[repository] = private, {}
        return 200, {"url": f"{self.endpoint}/{repository}"}

    def _describe(self, repository: str) -> tuple[int, dict[str, Any]]:
        if repository in self.cards:
            return 200, {"id": repository, "private": False, "cardData": self.cards[repository]}
        if repository not in self.private:
            return 404, {"error": "Repository not found"}
        siblings = [{"rfilename": name} for name in self.files[repository]]
        return 200, {"id": repository, "private": self.private[repository], "siblings": siblings}

    def _commit(self, repository: str, lines: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.messages.append(value["summary"])
            elif line["key"] == "file":
                self.files[repository][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del self.files[repository][value["path"]]
        oid = f"{len(self.messages):040x}"
        return 200, {"commitUrl": f"{self.endpoint}/{repository}/commit/{oid}", "commitOid": oid}


@contextmanager
def serve_hub() -> Iterator[FakeHub]:
    """A hub that answers while the context is open."""
    hub = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            hub.asked.append(f"{self.command} {self.path}")
            hub.tokens.add(self.headers.get("Authorization", ""))
            status, said = hub.answer(self.command, self.path, body)
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer  # the names that http.server asks for

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
