"""Things outside the sandbox that must stay as they are, and the judgement of one hostile program.

Run as a script (`canaries.py <repository> <number> [degraded | grouped]`), it goes through every `number`th
program of the battery with whatever Python and user runs it. degraded: layers may be missing.  grouped: no
layer may, not even the control group.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path

SECRET = "CANARY_SECRET"
CHECK = "def check(c):\n    assert c(1) == 2\n    assert c(3) == 6\ncheck(f)"


class Canaries:
    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "canary"
        self.file.write_text("sings")
        self.state = self._state()
        self.bystander = subprocess.Popen(
            ["sleep", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.setblocking(False)
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port = self.server.getsockname()[1]
        self.datagrams.bind(("127.0.0.1", self.port))
        self.datagrams.setblocking(False)
        self.abstract = f"canary-{os.getpid()}"
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind("\0" + self.abstract)
        self.unix.listen()
        self.unix.setblocking(False)
        self.shared = set(os.listdir("/dev/shm"))

    def fill(self, source: str) -> str:
        values = {"FILE": self.file, "PORT": self.port, "PID": self.bystander.pid, "ABSTRACT": self.abstract}
        for name, value in values.items():
            source = source.replace(f"CANARY_{name}", str(value))
        return source

    def _state(self) -> tuple[int, int]:
        now = self.file.stat()
        return now.st_mode, now.st_mtime_ns

    def harmed(self) -> str:
        """What happened to them; "" for nothing."""
        if self.file.read_text() != "sings":
            return "the file was written"
        if self._state() != self.state:
            return "the file's rights or times were changed"
        if self.bystander.poll() is not None:
            return "the bystander died"
        for name, receive in (
            ("TCP", self.server.accept),
            ("Unix", self.unix.accept),
            ("UDP", lambda: self.datagrams.recv(1)),
        ):
            try:
                receive()
            except BlockingIOError:
                continue
            return f"something came in by {name}"
        if "x" in set(os.listdir("/dev/shm")) - self.shared:
            return "shared memory was left"
        return ""

    def close(self) -> None:
        self.bystander.kill()
        self.bystander.wait()
        for item in (self.server, self.datagrams, self.unix):
            item.close()
        self.folder.cleanup()


def judge(pool, program, canaries: Canaries) -> str:
    """What went wrong with one hostile program; "" when it was held."""
    from palaestra.sandbox import Call, Status

    source = canaries.fill(program.source)
    start = time.monotonic()
    if program.kind == "hack":
        calls = [Call((1,), expected=2), Call((2,), expected=4), Call((5,), expected=SECRET)]
        outcomes = [pool.run_tests(source, "f", calls[:2]), pool.run_suite(source, ["f"], [CHECK])]
        outcomes.append(pool.run_script(source, "", "2\n4\n"))
    else:
        expected = "escaped" if program.kind == "escape" else 1
        outcomes = [pool.run_tests(source, "f", [Call(expected=expected), Call(expected=SECRET)])]
    seconds = time.monotonic() - start
    if any(outcome.passed for outcome in outcomes):
        return f"it passed: {outcomes}"
    if program.kind != "hack" and any(outcome.results[0].passed for outcome in outcomes):
        return f"its attempt succeeded: {outcomes}"
    if any(outcome.status is Status.ERROR for outcome in outcomes):
        return f"it was held to be the sandbox's fault: {outcomes}"
    if seconds > len(outcomes) * pool.limits.wall_s + 1:
        return f"it took {seconds:.1f} s"
    after = pool.run_tests("def f(x):\n    return x * 2", "f", [Call((4,), expected=8)])
    if not after.passed:
        return f"a right program failed after it: {after}"
    return canaries.harmed()


STARTS_AGAIN = (
    "import subprocess, sys; sys.exit(sys.version_info < (3, 11) or "
    "subprocess.call([sys.executable, '-c', '']))"
)


def python_of_everyone() -> str | None:
    """A Python that an ordinary user can start.

    The interpreter of a test run by root may lie in root's home.
    """
    for path in [sys.executable, *(f"/usr/bin/python3{minor}" for minor in ("", ".13", ".12", ".11"))]:
        command = [*as_nobody(), path, "-c", STARTS_AGAIN]
        if shutil.which(path) and subprocess.run(command, capture_output=True).returncode == 0:
            return path
    return None


def as_nobody() -> list[str]:
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []


def main() -> None:
    root = sys.argv[1]
    package = types.ModuleType("palaestra")
    package.__path__ = [root]
    sys.modules["palaestra"] = package
    sys.path.insert(0, str(Path(__file__).parent))
    import hostile

    wanted = hostile.ALL[:: int(sys.argv[2])]
    canaries = Canaries()
    bad: list[str] = []
    try:
        battery(wanted, canaries, bad)
    finally:
        canaries.close()
    print("\n".join([f"user {os.getuid()}, {len(wanted)} programs, {len(bad)} bad", *bad]))
    sys.exit(bool(bad))


def battery(wanted, canaries: Canaries, bad: list[str]) -> None:
    import right
    from palaestra.sandbox import Limits, SandboxPool

    with SandboxPool(1, Limits(wall_s=1, cpu_s=2, memory=256 << 20)) as pool:
        missing = {} if "degraded" in sys.argv else pool.missing_layers()
        if "grouped" not in sys.argv:
            missing.pop("cgroup", None)  # few users may make one
        bad += [f"missing layers: {missing}"] if missing else []
        for program in wanted:
            found = judge(pool, program, canaries)
            bad += [f"{program.tries}: {found}"] if found else []
        for each in right.FUNCTIONS:
            outcome = pool.run_tests(each.source, "f", each.calls, Limits())
            bad += [] if outcome.passed else [f"refused: {each.uses}: {outcome.reason}"]


if __name__ == "__main__":
    main()
