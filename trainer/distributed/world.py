"""The processes of a run, and what they say to each other. A run in one process is a world of one, and pays
nothing.

Every process takes the same steps in the same order; only the rows that it samples, verifies and
differentiates are its own.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from ...tasks.core.errors import UserError, shorten
from ..config.train import DeadlineConfig
from .ranks import Place, find_place
from .watch import Watch

if TYPE_CHECKING:
    from torch import Tensor

Value = TypeVar("Value")
SLACK_S = 120.0  # beyond the longest deadline, before torch's own patience ends


@dataclass(frozen=True)
class World:
    """rank: of this process.  size: of all, 1 for a run in one process.  local_size: on this machine.
    watch: the clock over them."""

    rank: int = 0
    size: int = 1
    local_size: int = 1
    watch: Watch | None = None

    @property
    def writes(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def phase(self, name: str) -> contextlib.AbstractContextManager[None]:
        """What this process does inside, for the clock: start, sample, verify, gather, update, save, sync."""
        return contextlib.nullcontext() if self.watch is None else self.watch.phase(name)

    def take(self, items: Sequence[Value]) -> list[Value]:
        """This process's share: every `size`-th, beginning with number `rank`."""
        return list(items[self.rank :: self.size])

    def merge(self, shares: Sequence[Sequence[Value]]) -> list[Value]:
        """The items in their order, of which `take` gave each process its share."""
        total = sum(map(len, shares))
        return [shares[place % self.size][place // self.size] for place in range(total)]

    def gather(self, value: Value) -> list[Value]:
        """What each process has, by rank. Plain data and tensors of the main memory."""
        if self.size == 1:
            return [value]
        from torch import distributed

        found: list[Any] = [None] * self.size
        with self._collect("gather"):
            distributed.all_gather_object(found, value)
        return found

    def agree(self, value: Value) -> Value:
        """What rank 0 has."""
        if self.size == 1:
            return value
        from torch import distributed

        found: list[Any] = [value]
        with self._collect("gather"):
            distributed.broadcast_object_list(found)
        return found[0]

    def sum(self, tensor: Tensor, phase: str = "gather") -> Tensor:
        """The sum over the processes, in place: the same bits in each."""
        if self.size > 1:
            from torch import distributed

            with self._collect(phase):
                distributed.all_reduce(tensor)
        return tensor

    def copy_from_first(self, tensor: Tensor) -> None:
        """Take over what rank 0 has, in place."""
        if self.size > 1:
            from torch import distributed

            with self._collect("sync"):
                distributed.broadcast(tensor, 0)

    @contextlib.contextmanager
    def _collect(self, phase: str) -> Iterator[None]:
        """Around a collective: where it fails, since another process is gone, the clock says which and ends
        this one, too."""
        with self.phase(phase):
            try:
                yield
            except RuntimeError as failure:
                assert self.watch is not None
                self.watch.break_off(shorten(str(failure)))
                raise UserError(f"The processes lost each other: {shorten(str(failure))}.") from failure


ALONE = World()


@dataclass
class _Joined:
    """world: of this process."""

    world: World = ALONE


_joined = _Joined()


def find_world() -> World:
    """The world of this process, one of itself alone unless it has joined another."""
    return _joined.world


@contextlib.contextmanager
def join(deadlines: DeadlineConfig | None = None, place: Place | None = None) -> Iterator[World]:
    """Be one of the processes that torchrun or `--processes` started; nothing where this one is alone.

    What fails in one is told to the others, and where all fail alike rank 0 alone says so.
    deadlines: of the phases.  place: of this process, by default what the environment says.
    """
    place = place or find_place()
    if place is None or _joined.world.size > 1:
        yield _joined.world
        return
    deadlines = deadlines or DeadlineConfig()
    world = _connect(place, deadlines)
    _joined.world = world
    assert world.watch is not None
    try:
        try:
            yield world
        except BaseException as failure:
            _tell_failure(world, world.watch, failure)
            raise
        world.gather(None)  # all have come so far: none is missed from here on
        world.watch.close()
    finally:
        _joined.world = ALONE
        _disconnect()


def _tell_failure(world: World, watch: Watch, failure: BaseException) -> None:
    """Raises SystemExit where rank 0 has failed alike, and says so."""
    if isinstance(failure, KeyboardInterrupt):
        watch.close()
        return
    reason = str(failure) if isinstance(failure, UserError) else f"{type(failure).__name__}: {failure}"
    first = watch.fail(reason)
    if isinstance(failure, UserError) and not world.writes and first == reason:
        raise SystemExit(2) from None


def _connect(place: Place, deadlines: DeadlineConfig) -> World:
    import torch
    from torch import distributed

    patience = timedelta(seconds=max(vars(deadlines).values()) + SLACK_S)

    def open_store(first: bool = False) -> distributed.Store:
        return distributed.TCPStore(
            place.address,
            place.port,
            is_master=first,
            timeout=timedelta(seconds=deadlines.start),
            wait_for_workers=False,
        )

    holds = place.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    try:
        store = open_store(holds)
        backend = "gloo"
        if torch.cuda.is_available():
            torch.cuda.set_device(place.local_rank % torch.cuda.device_count())
            backend = "cpu:gloo,cuda:nccl"
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        name = f"palaestra{attempt}"
        _wait_for_all(distributed.PrefixStore(f"{name}/here", store), place, deadlines.start)
        distributed.init_process_group(
            backend,
            store=distributed.PrefixStore(f"{name}/group", store),
            rank=place.rank,
            world_size=place.size,
            timeout=patience,
        )
    except (RuntimeError, ValueError) as failure:
        raise UserError(
            f"Rank {place.rank} of {place.size} found no way to the others at {place.address}:{place.port} "
            f"({shorten(str(failure), 160)}): see that all are started, and that this port can be reached."
        ) from failure
    seats: Callable[[], Any] = lambda: distributed.PrefixStore(f"{name}/seats", open_store())  # noqa: E731
    watch = Watch(place, deadlines, seats)
    watch.start()
    if place.rank:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 rank 0 speaks
    return World(place.rank, place.size, place.local_size, watch)


def _wait_for_all(store: Any, place: Place, seconds: float) -> None:
    """Until every rank is here. Raises UserError where one is not, within its deadline."""
    ranks = [str(rank) for rank in range(place.size)]
    store.set(ranks[place.rank], "")
    try:
        store.wait(ranks, timedelta(seconds=seconds))
    except RuntimeError as failure:
        missing = [rank for rank in ranks if not store.check([rank])]
        if missing:  # else the last one has come since
            raise UserError(
                f"Rank {place.rank} has waited {seconds:g} s (--deadline.start) for "
                f"rank{'' if len(missing) == 1 else 's'} {', '.join(missing[:8])} of {place.size}: see that "
                "all are started, each with a number of its own, and that none hangs before it begins."
            ) from failure


def _disconnect() -> None:
    from torch import distributed

    with contextlib.suppress(RuntimeError):
        distributed.destroy_process_group()
