"""A vLLM server as a process of ours: how it is started, found healthy, and ended.

It listens at a socket file in a folder that only this user can enter: the routes by which weights are changed
ask for no key. Imports no torch.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ....tasks.core.errors import shorten
from .wire import SOCKET_SCHEME, EngineError, Wire

NAME = "policy"  # of the model on the server
LAUNCHER = Path(__file__).with_name("launcher.py")
LOG = "vllm.log"
END_S = 30.0  # for the launcher, which gives the server some of it
LOOK_S = 0.2
LOSS_S = 2.0  # until the launcher has ended after its server
QUESTION_S = 10.0  # whether it is healthy
ENVIRONMENT = {
    "VLLM_SERVER_DEV_MODE": "1",  # the routes for weights and caches
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
}
NOT_PASSED_ON = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "VLLM_API_KEY")


@dataclass(frozen=True)
class Launch:
    """python: interpreter of the environment that has vLLM.  model: folder of the model to start with.
    folder: for its socket; removed with all in it at the server's end.  log: file for what it says.
    flags: of vLLM's server.  module: what is run."""

    python: Path
    model: Path
    folder: Path
    log: Path
    flags: Sequence[str] = ()
    module: Sequence[str] = ("-m", "vllm.entrypoints.openai.api_server")
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    def write_command(self) -> list[str]:
        """The launcher, the folder that it removes, and the server's own command."""
        served = ["--model", str(self.model), "--served-model-name", NAME, "--uds", str(self.socket)]
        launcher = [str(self.python), str(LAUNCHER), str(self.folder)]
        return [*launcher, str(self.python), *self.module, *served, *self.flags]


class Server:
    """A running server. wire: to ask it."""

    def __init__(self, process: subprocess.Popen[bytes], launch: Launch, timeout: float) -> None:
        self._process, self._launch = process, launch
        self.wire = Wire(f"{SOCKET_SCHEME}{launch.socket}", timeout, self._explain_loss)

    @classmethod
    def start(cls, launch: Launch, timeout: float, say: Callable[[str], None] = lambda _line: None) -> Server:
        """A server that is healthy. timeout: seconds until then, and for one answer.

        Raises EngineError where it ends or does not come up; nothing of it stays then.
        """
        launch.log.parent.mkdir(parents=True, exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
        environment = {**inherited, **ENVIRONMENT, **launch.environment}
        say(f"Starting vLLM; its log is {launch.log}.")
        try:
            with launch.log.open("ab") as log:
                process = subprocess.Popen(
                    launch.write_command(), stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment,
                    cwd=launch.folder, start_new_session=True,
                )  # fmt: skip
        except OSError as failure:
            raise EngineError(f"vLLM's server can't be started by {launch.python}: {failure}.") from failure
        server = cls(process, launch, timeout)
        with contextlib.ExitStack() as failed:
            failed.callback(server.stop)
            server._wait_until_healthy(timeout)
            failed.pop_all()
        return server

    def _wait_until_healthy(self, timeout: float) -> None:
        end, wire = time.monotonic() + timeout, Wire(self.wire.address, QUESTION_S)
        while True:
            with contextlib.suppress(EngineError):
                wire.get("/health")
                wire.hang_up()
                return
            if said := self.explain_end():
                raise EngineError(f"{said} Its log, {self._launch.log}, tells more.")
            if time.monotonic() > end:
                raise EngineError(
                    f"vLLM's server is not up after {timeout:g} s; its log is {self._launch.log}. Raise "
                    "--engine-timeout where it only needs longer."
                )
            time.sleep(LOOK_S)

    def _explain_loss(self) -> str:
        """`explain_end`, of a server whose connection was lost: it may be just about to end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LOSS_S)
        return self.explain_end()

    def explain_end(self) -> str:
        """That the process has ended, with the last that it said of an error; "" while it lives."""
        code = self._process.poll()
        if code is None:
            return ""
        said = read_last_error(self._launch.log)
        return f"vLLM's server has ended (exit code {code}){f': {said}' if said else ''}."

    def stop(self) -> None:
        """End the server and all its processes, and wait for that."""
        self.wire.hang_up()
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def read_last_error(log: Path) -> str:
    """The last line of a server's log that speaks of an error, without its prefix."""
    with contextlib.suppress(OSError):
        lines = log.read_bytes()[-(2**16) :].decode(errors="replace").splitlines()
        for line in reversed(lines):
            if "Error:" in line and "See root cause above" not in line:
                return shorten(line.rpartition("] ")[2], 200)
    return ""
