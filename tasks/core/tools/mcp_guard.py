"""Runs a tool server between its client and itself: `python mcp_guard.py PARENT MOST_BYTES command ...`.

Whatever ends the client, a SIGKILL too, ends the server and all that it started: the kernel tells this
process (PR_SET_PDEATHSIG), to which also fall those that left the server's session (PR_SET_CHILD_SUBREAPER).
A line of more than MOST_BYTES ends the server as well; of its stderr the first 64 KiB are passed on, so that
one that is shared for days fills no disk. Run by its path, without the package: it starts in milliseconds.
Linux; elsewhere the server's process group alone is ended.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from types import FrameType
from typing import BinaryIO, NoReturn

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
GRACE_S = 0.5  # between the end of what the client says and the end of the server
PIECE = 1 << 16
MOST_SAID = 1 << 16  # bytes of stderr


def main() -> None:
    parent, most, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    signal.signal(signal.SIGTERM, end_all)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before the kernel was asked
        end_all()
    try:
        pipe = subprocess.PIPE
        server = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
    except OSError as failure:
        sys.exit(f"{command[0]} can't be started: {failure.strerror}")
    threading.Thread(target=pass_on, args=(server,), daemon=True).start()
    complaints = threading.Thread(target=pass_start, args=(server.stderr,), daemon=True)
    complaints.start()
    try:
        relay(server.stdout, most)  # type: ignore[arg-type]
        complaints.join(GRACE_S)  # what it said last; a child of the server's may hold stderr open
    finally:
        end_all()


def pass_start(stderr: BinaryIO) -> None:
    """What the server complains of, to the client, as far as MOST_SAID goes. The rest is read and dropped."""
    left = MOST_SAID
    while piece := os.read(stderr.fileno(), PIECE):
        with contextlib.suppress(OSError):  # nobody reads it
            os.write(2, piece[:left])
        left -= min(left, len(piece))


def pass_on(server: subprocess.Popen[bytes]) -> None:
    """What the client says, to the server; at its end the server has a moment to end by itself."""
    assert server.stdin is not None
    with contextlib.suppress(OSError):  # the server no longer reads
        while piece := os.read(0, PIECE):
            server.stdin.write(piece)
            server.stdin.flush()
    with contextlib.suppress(OSError):
        server.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(GRACE_S)
    os.kill(os.getpid(), signal.SIGTERM)


def relay(stdout: BinaryIO, most: int) -> None:
    """What the server says, to the client, up to a line that is too long."""
    length = 0
    while piece := os.read(stdout.fileno(), PIECE):
        tail = piece.rpartition(b"\n")
        length = len(tail[2]) if tail[1] else length + len(piece)
        if length > most:
            return
        view = memoryview(piece)
        while view:
            view = view[os.write(1, view) :]


def end_all(_number: int = 0, _frame: FrameType | None = None) -> NoReturn:
    """Kill every process that descends from this one, and end. What each leaves behind falls to this one."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while children := list_children():
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)
    if sys.platform != "linux":
        os.killpg(0, signal.SIGKILL)  # its client starts it as the leader of a group
    os._exit(0)


def list_children() -> list[int]:
    """The processes whose parent this one is. Their files are read, since not every kernel keeps a list."""
    found = []
    for name in os.listdir("/proc") if sys.platform == "linux" else ():
        with contextlib.suppress(OSError, ValueError):
            with open(f"/proc/{int(name)}/stat", "rb") as stat:
                parent = int(stat.read().rpartition(b")")[2].split()[1])
            if parent == os.getpid():
                found.append(int(name))
    return found


if __name__ == "__main__":
    main()
