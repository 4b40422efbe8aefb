"""The server: loopback, a token, the right host, GET, and nothing else."""

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from palaestra.trainer.pages.gather import gather
from palaestra.trainer.pages.serve import PageServer

from ..support.run_folders import make_row, make_run, make_step


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", steps=40)


@pytest.fixture
def server(run: Path) -> Iterator[PageServer]:
    with PageServer(gather([run]), live=True) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(server: PageServer, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def ask_json(server: PageServer, path: str):
    status, body = ask(server, f"/{server.token}/{path}")
    assert status == 200
    return json.loads(body)


def test_the_page_and_its_data(server, run):
    status, body = ask(server, f"/{server.token}/")
    assert status == 200
    assert b"<!DOCTYPE html>" in body
    columns = ask_json(server, "columns")
    assert columns["count"] == 320
    rows = [json.loads(line) for line in (run / "rollouts.jsonl").read_text().splitlines()]
    chunk = ask_json(server, "chunk/1")
    assert [row["text"] for row in chunk["rows"]] == [row["completion"] for row in rows[256:]]
    assert ask_json(server, "search?text=so%20IT")["rows"] == list(range(320))
    assert ask_json(server, "search?text=zebra")["rows"] == []


def test_what_was_written_since_is_there(server, run):
    before = ask_json(server, "head")
    rows = [make_row(41, 3, sample, passed=True, text="quite new") for sample in range(4)]
    with (run / "rollouts.jsonl").open("a") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(make_step(41, rows)) + "\n")
    after = ask_json(server, "head")
    assert (before["rows"]["total"], after["rows"]["total"]) == (320, 324)
    assert after["runs"][0]["axes"]["step"][-1] == 41
    assert ask_json(server, "search?text=quite+new")["rows"] == [320, 321, 322, 323]


@pytest.mark.parametrize("path", ["/", "/wrong/", "/wrong/head", "/{token}x/", "/%C3%A9/"])
def test_without_the_token_there_is_nothing(server, path):
    status, body = ask(server, path.format(token=server.token))
    assert status == 404
    assert b"made" not in body


@pytest.mark.parametrize(
    "path", ["nothing", "chunk/99", "chunk/-1", "chunk/x", "../config.json", "static/page.js"]
)
def test_only_what_the_page_asks_for(server, path):
    assert ask(server, f"/{server.token}/{path}")[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", ""])
def test_another_host_is_refused(server, host):
    status, body = ask(server, f"/{server.token}/head", Host=host)
    assert status == 403
    assert server.token.encode() not in body


def test_localhost_is_this_host(server):
    assert ask(server, f"/{server.token}/head", Host=f"localhost:{server.server_port}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"])
def test_get_only(server, method):
    assert ask(server, f"/{server.token}/", method)[0] == 405


def test_it_listens_on_loopback_and_tokens_differ(server, run):
    assert server.server_address[0] == "127.0.0.1"
    with PageServer(gather([run]), live=False) as other:
        assert other.token != server.token
        assert len(other.token) >= 32
