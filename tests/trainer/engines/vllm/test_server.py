"""The process of a server: up when it is healthy, told of when it ends, and gone with whoever started it."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from palaestra.trainer.engines.vllm.server import Launch, Server, read_last_error
from palaestra.trainer.engines.vllm.wire import EngineError

PATIENCE_S = 60.0
# In the place of vLLM: a child of its own, and a server that says that it is healthy.
HEALTHY = """
import http.server, os, socketserver, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
path = sys.argv[sys.argv.index("--uds") + 1]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def do_POST(self):
        print("(Core pid=7) [x.py:3] ValueError: no such device", flush=True)
        os._exit(5)
    def log_message(self, *words): pass
    def address_string(self): return ""
with open(sys.argv[sys.argv.index("--pids") + 1], "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
socketserver.UnixStreamServer(path, Handler).serve_forever()
"""
STARTER = """
import sys, time
from pathlib import Path
from palaestra.trainer.engines.vllm.server import Launch, Server
folder, program, pids = map(Path, sys.argv[1:])
flags = ("--pids", str(pids))
launch = Launch(Path(sys.executable), folder, folder, pids.with_name("log"), flags, (str(program),))
Server.start(launch, 60.0)
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, as the path of a socket must be."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        yield Path(name)


def launch(folder: Path, tmp_path: Path, program: str) -> Launch:
    script = tmp_path / "program.py"
    script.write_text(program)
    flags = ("--pids", str(tmp_path / "pids"))
    return Launch(Path(sys.executable), tmp_path, folder, tmp_path / "log", flags, (str(script),))


def wait_until_gone(tmp_path: Path) -> None:
    """The server, and the child that it has started."""
    waiting = [int(text) for text in (tmp_path / "pids").read_text().split()]
    assert len(waiting) == 2
    end = time.monotonic() + PATIENCE_S
    while waiting:
        assert time.monotonic() < end, "a process was left behind"
        waiting = [pid for pid in waiting if is_there(pid)]
        time.sleep(0.05)


def is_there(pid: int) -> bool:
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    return False


def test_it_is_up_once_it_is_healthy_and_gone_with_its_children_when_stopped(folder: Path, tmp_path: Path):
    server = Server.start(launch(folder, tmp_path, HEALTHY), PATIENCE_S)
    assert server.wire.get("/health") is None
    assert server.explain_end() == ""
    server.stop()
    wait_until_gone(tmp_path)
    assert not folder.exists(), "its folder goes with it"
    assert "has ended" in server.explain_end()


def test_a_kill_of_whoever_started_it_leaves_nothing_behind(folder: Path, tmp_path: Path):
    program, pids = tmp_path / "program.py", tmp_path / "pids"
    program.write_text(HEALTHY)
    command = [sys.executable, "-c", STARTER, str(folder), str(program), str(pids)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "up\n"
        os.kill(starter.pid, signal.SIGKILL)
    wait_until_gone(tmp_path)
    end = time.monotonic() + PATIENCE_S
    while folder.exists():
        assert time.monotonic() < end, "its folder was left behind"
        time.sleep(0.05)


def test_a_server_that_dies_is_told_of_with_its_last_error(folder: Path, tmp_path: Path):
    server = Server.start(launch(folder, tmp_path, HEALTHY), PATIENCE_S)
    with pytest.raises(EngineError) as caught:
        server.wire.post("/v1/completions", {})
    assert "was lost at /v1/completions" in str(caught.value)
    assert "(exit code 5): ValueError: no such device" in str(caught.value)
    server.stop()
    wait_until_gone(tmp_path)


def test_a_server_that_ends_before_it_is_up_is_told_of_with_its_log(folder: Path, tmp_path: Path):
    started = launch(folder, tmp_path, "raise ValueError('no model of that name')")
    with pytest.raises(EngineError, match=r"exit code 1\): ValueError: no model of that name.*log"):
        Server.start(started, PATIENCE_S)


def test_an_interpreter_that_is_none_is_told_of(folder: Path, tmp_path: Path):
    python = tmp_path / "python"
    python.write_bytes(b"\x00 no program")
    python.chmod(0o755)
    with pytest.raises(EngineError, match=r"can't be started by .*python: .*Exec format error"):
        Server.start(replace(launch(folder, tmp_path, HEALTHY), python=python), PATIENCE_S)


def test_a_server_that_never_comes_up_is_ended(folder: Path, tmp_path: Path):
    with pytest.raises(EngineError, match=r"not up after 0\.3 s.*--engine-timeout"):
        Server.start(launch(folder, tmp_path, "import time; time.sleep(600)"), 0.3)
    assert not folder.exists()


def test_the_last_error_of_a_log_is_its_cause(tmp_path: Path):
    log = tmp_path / "log"
    assert read_last_error(log) == ""
    log.write_text(
        "(Worker pid=3) ERROR 11-28 [a.py:1] ValueError: No common block size\n"
        "RuntimeError: Engine core initialization failed. See root cause above.\n"
    )
    assert read_last_error(log) == "ValueError: No common block size"
