"""Which of several processes this is, by the variables that torchrun sets, and one's own launcher of them.

Imports no torch.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...tasks.core.errors import UserError

STACKS = "stacks"  # folder of a run: a file for each rank, once a hang has ended it
LOST = 3  # exit code of a run that ends since one of its ranks ended or hangs
SECONDS_TO_FOLLOW = 12.0  # for the other ranks to end by themselves once one has failed
SECONDS_AFTER_LOSS = 2.0  # once one has given the run up: the others know
SECONDS_TO_END = 2.0  # between SIGTERM and SIGKILL
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Place:
    """One process among several. rank: from 0.  size: of all.  local_rank, local_size: on this machine.
    address, port: where rank 0 (or torchrun's agent) holds the store."""

    rank: int
    size: int
    local_rank: int
    local_size: int
    address: str
    port: int


def find_place(variables: Mapping[str, str] = os.environ) -> Place | None:
    """Where this process stands, None where it is alone.

    Raises UserError where the variables are not whole, are no numbers, or not of a rank among so many.

    >>> given = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    >>> find_place(given).rank, find_place({}), find_place({"WORLD_SIZE": "1"})
    (1, None, None)
    """
    size = _read_number(variables, "WORLD_SIZE", 1)
    if size <= 1:
        return None
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not variables.get(name)]
    if missing:
        raise UserError(
            f"WORLD_SIZE is {variables['WORLD_SIZE']}, and not set: {', '.join(missing)}. Start the ranks by "
            "torchrun, or on one machine by --processes N. Unset WORLD_SIZE for a run in one process."
        )
    rank, port = _read_number(variables, "RANK"), _read_number(variables, "MASTER_PORT")
    if rank >= size or not 0 < port < 2**16:
        raise UserError(
            f"The environment has RANK={rank} of WORLD_SIZE={size} and MASTER_PORT={port}: ranks are "
            f"numbered from 0 to {size - 1}, ports from 1 to 65535. Start the ranks by torchrun, which sets "
            "them."
        )
    local_rank = _read_number(variables, "LOCAL_RANK", rank)
    local_size = _read_number(variables, "LOCAL_WORLD_SIZE", size)
    return Place(rank, size, local_rank, local_size, variables["MASTER_ADDR"], port)


def _read_number(variables: Mapping[str, str], name: str, default: int = 0) -> int:
    text = variables.get(name) or str(default)
    if not text.isdecimal():
        raise UserError(
            f"The environment has {name}={text}, which is no whole number from 0: start the ranks by "
            "torchrun, which sets it, or unset it for a run in one process."
        )
    return int(text)


def speaks() -> bool:
    """Whether this process is the one that says what the run says."""
    place = find_place()
    return place is None or place.rank == 0


def refuse_ranks(command: str) -> None:
    """Raise UserError where a command that runs in one process was started in several."""
    if find_place() is not None:
        raise UserError(
            f"`palaestra {command}` runs in one process, and this is one of several (WORLD_SIZE is "
            f"{os.environ['WORLD_SIZE']}): start it without torchrun. `train`, and `resume` of its runs, "
            "take several."
        )


def launch(arguments: Sequence[str], processes: int) -> int:
    """Run one `palaestra` command as ranks on this machine; returns its exit code.

    Once a rank has failed, the others are given a moment to say so, and are ended. When this process ends,
    however it ends, they do, too. processes: 2 or more.
    """
    port, ranks = find_port(), list[subprocess.Popen[bytes]]()
    # Ctrl-C reaches the ranks by itself: they are in the terminal's group. SIGTERM is handed on.
    handlers = {signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: lambda *_: _send(ranks, signal.SIGTERM)}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        for rank in range(processes):
            ranks.append(_start(arguments, rank, processes, port))
        return _wait_for(ranks)
    finally:
        _end(ranks)
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(arguments: Sequence[str], rank: int, size: int, port: int) -> subprocess.Popen[bytes]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    variables = {
        "OMP_NUM_THREADS": str(max(1, cores // size)),
        "TORCH_CPP_LOG_LEVEL": "ERROR",  # not a stack of C++ for each rank that another one leaves behind
        **({"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}),
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    parent = os.getpid()

    def follow_parent() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # which Python takes up
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(LOST)

    return subprocess.Popen(
        [sys.executable, "-m", "palaestra", *arguments],
        env=variables,
        preexec_fn=follow_parent if sys.platform == "linux" else None,
    )


def find_port() -> int:
    """A port of this machine that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(ranks: Sequence[subprocess.Popen[bytes]]) -> int:
    """Until all have ended, or one has failed and the others had their time to follow."""
    failed_at: float | None = None
    while True:
        codes = [rank.poll() for rank in ranks]
        known = [code for code in codes if code is not None]
        if len(known) == len(ranks):
            return choose_code(known)
        if any(known):
            failed_at = failed_at or time.monotonic()
            patience = SECONDS_AFTER_LOSS if LOST in known else SECONDS_TO_FOLLOW
            if time.monotonic() - failed_at > patience:
                return choose_code(known)
        time.sleep(0.05)


def choose_code(codes: Sequence[int]) -> int:
    """The exit code of a run by those of its ranks: 3 where one was lost or killed, else the largest.

    >>> choose_code([0, 0]), choose_code([2, 2]), choose_code([3, -9]), choose_code([0, -9])
    (0, 2, 3, 3)
    """
    return LOST if LOST in codes or min(codes) < 0 else max(codes)


def _send(ranks: Sequence[subprocess.Popen[bytes]], number: int) -> None:
    for rank in ranks:
        if rank.poll() is None:
            rank.send_signal(number)


def _end(ranks: Sequence[subprocess.Popen[bytes]]) -> None:
    """End those that are left; one that was stopped takes no SIGTERM, and is killed at last."""
    _send(ranks, signal.SIGTERM)
    until = time.monotonic() + SECONDS_TO_END
    while any(rank.poll() is None for rank in ranks) and time.monotonic() < until:
        time.sleep(0.05)
    _send(ranks, signal.SIGKILL)
    for rank in ranks:
        rank.wait()
