"""A clock over the ranks: which is in which phase, how long each may be, and how a hang ends.

Every rank tells a store what it does, from a thread of its own, and reads what the others do. All take the
same phases in the same order, so the ranks that have begun the fewest are those that the others wait for:
once their phase lasts longer than its deadline, or one of them is gone, every rank that still can ends its
process, whatever its main thread waits for. Imports no torch.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..config.train import DeadlineConfig
from ..terminal import say
from .ranks import LOST, STACKS, Place

INTERVAL_S = 0.3  # between two looks
GONE_S = 2.0  # that a process may be gone before the run ends: others may be about to say why
FAILED_S = 4.0  # that a rank may have failed before the others, which may be about to fail alike, end
SILENT_S = 10.0  # without a word, on another machine, once a collective has failed
DUMP_S = 1.0  # for the ranks to write their stacks


class Store(Protocol):
    """What is used of `torch.distributed.Store`."""

    def set(self, key: str, value: str, /) -> None: ...

    def get(self, key: str, /) -> bytes: ...

    def check(self, keys: list[str], /) -> bool: ...


@dataclass(frozen=True)
class Seat:
    """What a rank says of itself. count: of the phases that it has begun.  state: runs, done or failed."""

    rank: int
    host: str
    pid: int
    count: int = 0
    phase: str = "start"
    state: str = "runs"
    reason: str = ""

    def __str__(self) -> str:
        return f"rank {self.rank} (process {self.pid} on {self.host})"

    def is_gone(self) -> bool:
        """Whether its process is no more, as far as this machine can tell."""
        if self.host != socket.gethostname():
            return False
        try:
            text = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace")
            return text.rpartition(")")[2].split()[0] in ("Z", "X")
        except OSError:
            pass
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False


@dataclass
class Seen:
    """A rank as it was last read. since: when its count was first seen.  heard: when it last said anything.
    gone_since, failed_since: when that was first seen. Seconds of this machine's clock."""

    seat: Seat
    since: float
    heard: float = 0.0
    beat: float = 0.0
    gone_since: float | None = None
    failed_since: float | None = None


@dataclass(frozen=True)
class Fault:
    """Why the run can't go on. ranks: those to blame.  sentence: that says so.  said: whether a rank has said
    so, with how the run goes on."""

    ranks: Sequence[int]
    sentence: str
    said: bool = False


@dataclass
class Watch:
    """The clock of one rank.

    open_store: a connection of its own to the store.  leave: ends this process with an exit code.
    """

    place: Place
    deadlines: DeadlineConfig
    open_store: Callable[[], Store]
    leave: Callable[[int], None] = os._exit
    clock: Callable[[], float] = time.monotonic
    seen: dict[int, Seen] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._own = Seat(self.place.rank, socket.gethostname(), os.getpid())
        self._since, self._broken = self.clock(), ""
        self._folder: Path | None = None
        self._record: Callable[[str], None] = lambda _sentence: None
        self._advise: Callable[[], str] = lambda: ""
        self._file: Any = None
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._told = ""

    def start(self) -> None:
        """Begin to tell and to look."""
        for name, run in (("tell", self._tell), ("look", self._look)):
            thread = threading.Thread(target=run, name=f"ranks-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def keep_stacks_in(self, folder: Path, record: Callable[[str], None], advise: Callable[[], str]) -> None:
        """The folder of the run: a hang leaves a stack of each rank there. record: writes down why it ended.
        advise: how it goes on, as a sentence."""
        self._folder, self._record, self._advise = folder, record, advise
        path = folder / STACKS / f"rank{self.place.rank}.txt"
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8")
            if hasattr(signal, "SIGUSR2"):
                faulthandler.register(signal.SIGUSR2, self._file, all_threads=True)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """What the main thread does inside; its time begins anew at each end, too."""
        before = self._own.phase
        self._enter(name)
        try:
            yield
        finally:
            self._enter(before)

    def _enter(self, name: str) -> None:
        own = self._own
        self._since, self._own = self.clock(), Seat(own.rank, own.host, own.pid, own.count + 1, name)

    def fail(self, reason: str) -> str | None:
        """Tell that this rank has failed, and wait for what rank 0 failed with: None where it did not."""
        try:
            return self._tell_failure(reason)
        finally:
            self._rest()

    def _tell_failure(self, reason: str) -> str | None:
        own = self._own
        self._own = Seat(own.rank, own.host, own.pid, own.count, own.phase, "failed", reason)
        if self.place.rank == 0:
            time.sleep(3 * INTERVAL_S)  # the store goes with this process: the others are to read it before
            return reason
        until = self.clock() + FAILED_S
        while self.clock() < until:
            first = self.seen.get(0)
            if first is not None and first.seat.state == "failed":
                return first.seat.reason
            time.sleep(INTERVAL_S)
        return None

    def break_off(self, reason: str) -> None:
        """A collective has failed: wait for the clock to find which rank is to blame, and to end the run."""
        self._broken = reason
        time.sleep(SILENT_S + GONE_S + FAILED_S)

    def close(self) -> None:
        """This rank is done."""
        own = self._own
        self._own = Seat(own.rank, own.host, own.pid, own.count, own.phase, "done")
        time.sleep(2 * INTERVAL_S)
        self._rest()

    def _rest(self) -> None:
        """End the threads: one that still talks with the store as the interpreter ends can abort the process.
        The stacks' file goes, where nothing is in it."""
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * INTERVAL_S)
        if self._file is not None:
            if hasattr(signal, "SIGUSR2"):
                faulthandler.unregister(signal.SIGUSR2)
            self._file.close()
            path = Path(self._file.name)
            with contextlib.suppress(OSError):
                if not path.stat().st_size:
                    path.unlink()
                    path.parent.rmdir()

    def _tell(self) -> None:
        """The thread that talks with the store; where that does not answer, what is known grows old."""
        with contextlib.suppress(Exception):  # a store that is gone is seen by the other thread
            store = self.open_store()
            while not self._stop.is_set():
                store.set(f"seat{self.place.rank}", json.dumps({**asdict(self._own), "beat": time.time()}))
                for rank in range(self.place.size):
                    if rank != self.place.rank and store.check([f"seat{rank}"]):
                        self.take(json.loads(store.get(f"seat{rank}")))
                if not self._told and store.check(["ended"]):
                    self._told = store.get("ended").decode()
                self._stop.wait(INTERVAL_S)

    def take(self, said: Mapping[str, Any]) -> None:
        """What a rank has said."""
        values = dict(said)
        beat, now = values.pop("beat"), self.clock()
        seat = Seat(**values)
        known = self.seen.setdefault(seat.rank, Seen(seat, now, now, beat))
        if beat != known.beat:
            known.heard, known.beat = now, beat
        if seat.count != known.seat.count:
            known.since = now
        known.seat = seat

    def _look(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            if self._own.state != "runs":
                continue
            fault = self.judge()
            if fault is not None:
                self._end(fault)
                return

    def judge(self) -> Fault | None:
        """Whether the run can't go on, as things stand now."""
        now = self.clock()
        for known in list(self.seen.values()):  # the other thread may hear of a rank for the first time
            if known.seat.state == "runs" and known.seat.is_gone():
                known.gone_since = known.gone_since or now
            if known.seat.state == "failed":
                known.failed_since = known.failed_since or now
        if self._told:
            return Fault([], self._told)
        return self._find_failed(now) or self._find_gone(now) or self._find_late(now)

    def _find_failed(self, now: float) -> Fault | None:
        for known in list(self.seen.values()):
            if known.failed_since is not None and now - known.failed_since > FAILED_S:
                seat = known.seat
                sentence = f"{_begin(seat)} ended in phase {seat.phase}: {seat.reason}"
                return Fault([seat.rank], sentence, said=seat.rank == 0)  # the others speak to nobody
        return None

    def _find_gone(self, now: float) -> Fault | None:
        for known in list(self.seen.values()):
            seat, silent = known.seat, self._broken and now - known.heard > SILENT_S
            gone = known.gone_since is not None and now - known.gone_since > GONE_S
            if seat.state == "runs" and (gone or silent):
                what = "is gone: it was killed, or crashed," if gone else "says nothing any more: it was"
                return Fault(
                    [seat.rank],
                    f"{_begin(seat)} {what} in phase {seat.phase}, and rank {self.place.rank} needs it in "
                    f"phase {self._own.phase}.",
                )
        return None

    def _find_late(self, now: float) -> Fault | None:
        seats = {self.place.rank: (self._own, self._since)}
        seats |= {rank: (known.seat, known.since) for rank, known in list(self.seen.items())}
        running = {rank: both for rank, both in seats.items() if both[0].state == "runs"}
        if not running:  # this rank has ended meanwhile, after all others
            return None
        least = min(seat.count for seat, _since in running.values())
        behind = [(seat, since) for seat, since in running.values() if seat.count == least]
        # Who came there first has waited for the others of them until now: that was their phase before.
        seconds = now - max(since for _seat, since in behind)
        late = [seat for seat, _since in behind if seconds > getattr(self.deadlines, seat.phase)]
        if not late:
            return None
        seat = late[0]
        bound = getattr(self.deadlines, seat.phase)
        waiting = [
            f"rank {other.rank} in phase {other.phase}"
            for other, _ in running.values()
            if other.count > least
        ]
        wait = (
            f", and {' and '.join(waiting[:3])} {'waits' if len(waiting) == 1 else 'wait'} for it"
            if waiting
            else ""
        )
        return Fault(
            [each.rank for each in late],
            f"{_begin(seat)} is in phase {seat.phase} since {seconds:.0f} s{wait}. The deadline of that "
            f"phase is {bound:g} s (--deadline.{seat.phase}).",
        )

    def _end(self, fault: Fault) -> None:
        """Tell the others, leave the stacks, say why, and end this process."""
        others = {rank: known for rank, known in list(self.seen.items()) if known.seat.state == "runs"}
        if fault.ranks:  # found here, not told by another rank
            threading.Thread(target=self._pass_on, args=(fault.sentence,), daemon=True).start()
        self._dump(others, signals=bool(fault.ranks))
        blamed = {*fault.ranks}
        speakers = [r for r in sorted([self.place.rank, *others]) if r not in blamed and not self._is_away(r)]
        if not speakers or speakers[0] == self.place.rank:
            with contextlib.suppress(OSError):
                self._record(fault.sentence)
            if not fault.said:
                say(f"palaestra: {fault.sentence}{self._say_where()}", sys.stderr)
        time.sleep(2 * INTERVAL_S)  # for the others to hear of it, who may need the store of this process
        self.leave(LOST)

    def _is_away(self, rank: int) -> bool:
        known = self.seen.get(rank)
        return known is not None and (known.gone_since is not None or self.clock() - known.heard > SILENT_S)

    def _pass_on(self, sentence: str) -> None:
        with contextlib.suppress(Exception):
            self.open_store().set("ended", sentence)

    def _dump(self, others: Mapping[int, Seen], *, signals: bool) -> None:
        """The stack of this rank, and with `signals` of those on this machine, whatever holds their
        interpreters."""
        if self._file is None or self._folder is None:
            return
        with contextlib.suppress(OSError, ValueError):
            faulthandler.dump_traceback(self._file, all_threads=True)
        for seat in (known.seat for known in others.values()):
            if seat.host != self._own.host or not signals:
                continue
            with contextlib.suppress(OSError):
                if hasattr(signal, "SIGUSR2"):
                    os.kill(seat.pid, signal.SIGUSR2)
        time.sleep(DUMP_S)
        for rank, known in others.items():
            path = self._folder / STACKS / f"rank{rank}.txt"
            with contextlib.suppress(OSError):
                if known.seat.host == self._own.host and (not path.is_file() or not path.stat().st_size):
                    path.write_text(describe_process(known.seat), encoding="utf-8")

    def _say_where(self) -> str:
        if self._folder is None:
            return ""
        return f" What each rank was doing is in {self._folder / STACKS}. {self._advise()}"


def _begin(seat: Seat) -> str:
    text = str(seat)
    return text[0].upper() + text[1:]


def describe_process(seat: Seat) -> str:
    """What the system knows of a process that could not write its stack."""
    lines = [f"{_begin(seat)} wrote no stack. It was in phase {seat.phase}."]
    try:
        status = Path(f"/proc/{seat.pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
        lines += [line for line in status if line.startswith(("State:", "Threads:", "VmRSS:"))]
    except OSError:
        lines.append("There is no such process any more.")
    return "\n".join(lines) + "\n"
