"""An engine that can't be had is refused before anything heavy is loaded."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.engine import EngineConfig
from palaestra.trainer.config.settings import SettingError
from palaestra.trainer.engines.checks import check_engine


class Answering(BaseHTTPRequestHandler):
    said, status = b"{}", 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, *_words: object) -> None:
        """Nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_server_that_runs_is_asked_at_once(url: str, monkeypatch: pytest.MonkeyPatch):
    check_engine(EngineConfig("vllm", url))
    monkeypatch.setattr(Answering, "said", b"<html>")
    with pytest.raises(UserError, match=r"no JSON .<html>"):
        check_engine(EngineConfig("vllm", url))
    monkeypatch.setattr(Answering, "status", 401)
    with pytest.raises(UserError, match="VLLM_API_KEY"):
        check_engine(EngineConfig("vllm", url))
    with pytest.raises(UserError, match="Does a server listen there"):
        check_engine(EngineConfig("vllm", "http://127.0.0.1:9"))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (EngineConfig("vllm", "http://here", python="python3"), "--engine-python would have no effect"),
        (EngineConfig("vllm", "http://here", flags=("--seed=1",)), "--engine-flag would have no effect"),
        (EngineConfig(url="http://here"), "--engine-url would have no effect"),
    ],
)
def test_what_an_engine_does_not_read_is_refused(config: EngineConfig, words: str):
    with pytest.raises(UserError, match=words):
        check_engine(config)


@pytest.mark.parametrize(
    "url",
    ["here:8000", "ftp://here", "http://", "http://[::1", "http://here:99999", "http://here:0", "http://here/v1",
     "http://here?key=1", "http://me:word@here", "http://here:port"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str):
    with pytest.raises(SettingError, match="give a server's address alone"):
        EngineConfig("vllm", url)
