"""Whether the hub can be asked is known in seconds, whatever is in the way."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from palaestra.tasks.core import hub
from palaestra.tasks.core.errors import UserError
from palaestra.tasks.core.hub import check_hub, is_cached, probe_hub

PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No switch, no proxy, an empty cache."""
    for name in (*hub.OFFLINE, *PROXIES, "HF_ENDPOINT", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "1")


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes a connection and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def answering() -> Iterator[int]:
    """The port of a server that answers everything with 404."""

    class Refusing(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(404)

        def log_message(self, *_arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def find_closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_an_answer_of_any_kind_is_one(answering: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{answering}")
    monkeypatch.setenv(
        "HF_HUB_ETAG_TIMEOUT", "60"
    )  # the server is this process, on a machine that may be busy
    assert probe_hub().online
    assert check_hub("org/name", "models", "").online


def test_a_server_that_says_nothing_a_closed_port_and_a_refusing_proxy_are_told_in_time(
    silent: int, answering: int, monkeypatch: pytest.MonkeyPatch
):
    began = time.monotonic()
    for endpoint in (f"http://127.0.0.1:{silent}", f"http://127.0.0.1:{find_closed_port()}"):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        assert not probe_hub().online
        with pytest.raises(UserError, match=rf"org/name is not in the hub's cache, and {endpoint} can't be"):
            check_hub("org/name", "models", "Give a folder.")
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.invalid")
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{answering}")  # knows no CONNECT
    assert not probe_hub().online
    assert time.monotonic() - began < 60, "three waits of a second, on a busy machine"


def test_a_switch_of_the_hub_s_own_needs_no_probe(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub, "_probe", lambda *_arguments: pytest.fail("the hub was asked"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert probe_hub().reason == "HF_HUB_OFFLINE is set"


def test_what_the_cache_holds_needs_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not is_cached("org/name", "models")
    (tmp_path / "hub/models--org--name/snapshots/0a/").mkdir(parents=True)
    assert not is_cached("org/name", "models"), "an empty snapshot is none"
    (tmp_path / "hub/models--org--name/snapshots/0a/config.json").touch()
    assert not check_hub("org/name", "models", "").online
    (tmp_path / "datasets/org___rows/default").mkdir(parents=True)
    assert is_cached("org/rows", "datasets")
    (tmp_path / "datasets/Some_Org___the_rows-500/default").mkdir(parents=True)
    assert is_cached("some_org/The_Rows-500", "datasets"), "the library folds names"
    assert not is_cached("org/other", "datasets")
