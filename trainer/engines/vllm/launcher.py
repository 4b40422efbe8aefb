"""Runs a server's command, and ends it with whoever started it, however that ended.

Run as a script by the server's own Python: standard library only. The one that starts it holds the other end
of its standard input; when that closes, by intent or by a kill -9, the server and all processes that it has
started are ended, and its folder is removed.

    python launcher.py FOLDER COMMAND...
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys

GRACE_S = 10.0  # for an end by itself, after SIGTERM
LOOK_S = 0.5


def main(folder: str, command: list[str]) -> int:
    """Exit code: the server's, 0 where it was ended from here."""
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the trainer's to answer
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        while server.poll() is None:
            ready, _, _ = select.select([sys.stdin], [], [], LOOK_S)
            if (ready and not os.read(sys.stdin.fileno(), 1)) or os.getppid() != parent:
                return 0
        return server.returncode
    finally:
        end_group(server)
        shutil.rmtree(folder, ignore_errors=True)


def end_group(server: subprocess.Popen[bytes]) -> None:
    """The server and its children are one process group: asked first, then killed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(GRACE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
