"""What is decoded in one call: the requests that it began with, those that join on its way, and the caches
that are kept for them meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from ..model.caches import KeptRow
from ..model.decoding import Decoding, find_keeping
from .base import More, Owner, Request
from .drawing import Stream, draw_uniforms
from .live import LiveRows
from .waiting import Waiting

WORTH = 4  # one row that joins for so many that are decoded makes a forward pass of its own worth while


@dataclass(frozen=True)
class Resumed:
    """Texts that go on. pasts: what was kept of each.  ids: what follows."""

    owners: list[Owner] = field(default_factory=list)
    pasts: list[KeptRow] = field(default_factory=list)
    ids: list[Sequence[int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.owners)


class Joining:
    """requests: all so far.  more: where others come from.  waiting: completions that nothing is kept of.

    prompt: tokens of the longest that the call began with.  kept: of a completion that has ended, its cache.
    ready: completions that go on from one.
    """

    def __init__(self, requests: list[Request], more: More | None) -> None:
        self.requests, self.more = requests, more
        self.kept: dict[Owner, KeptRow] = {}
        self.ready: list[Owner] = []
        self.waiting: Waiting = Waiting(requests, ())
        self._owners: list[Owner] = []
        self._begun = sum(request.samples for request in requests)
        self.prompt = max((len(request.ids) for request in requests), default=0)

    def __len__(self) -> int:
        return len(self.ready) + len(self.waiting)

    @property
    def most(self) -> int:
        """Completions that may be decoded at once: what joins takes the place of what it goes on from."""
        return len(self) if self.more is None else self._begun

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt that waits."""
        ready = (len(self.requests[owner.request].ids) for owner in self.ready)
        return max([*ready, *([self.waiting.longest] if self.waiting else [])])

    def begin(self, owners: list[Owner], waiting: Waiting) -> None:
        """Decode these, without any cache of before. owners: those that join are added."""
        self._owners, self.waiting = owners, waiting
        self.kept, self.ready = {}, []

    def wait(self) -> bool:
        """Whether something is left to decode: until it is known."""
        while not len(self) and self.more is not None and self.more.pending:
            self.take()
        return len(self) > 0

    def take(self) -> None:
        """Let those join that follow on what has ended; waits for them."""
        if self.more is None:
            return
        for request in self.more.take():
            owner = Owner(len(self.requests), 0)
            self.requests.append(request)
            self._owners.append(owner)
            if request.after in self.kept:
                self.waiting.skip(request)
                self.ready.append(owner)
            else:
                self.waiting.add(request)
        for owner in [owner for owner in self.kept if self.more.is_over(owner.request, owner.sample)]:
            del self.kept[owner]

    def is_worth(self, live: int, free: bool) -> bool:
        """Whether a forward pass for those that wait is worth while now. free: whether enough rows are."""
        if self.more is None:
            return len(self) > 0 and free
        come = len(self) + self.more.pending
        return come > 0 and free and WORTH * come >= live

    def keep(self, live: LiveRows, rows: Sequence[int], counts: Sequence[int]) -> None:
        """Keep the caches of completions that have ended, where something may follow and the decoder can.

        counts: tokens of each. The last one has not gone through the model.
        """
        decoding = find_keeping(live.decoding)
        if self.more is None or decoding is None:
            return
        for row, count in zip(rows, counts, strict=True):
            owner = live.owners[row]
            length = len(self.requests[owner.request].ids) + count - 1
            if (kept := decoding.keep(int(live.row_R[row]), length)) is not None:
                self.kept[owner] = kept

    def resume(self, room: int) -> Resumed:
        """Up to `room` completions that go on from a cache."""
        owners, self.ready = self.ready[:room], self.ready[room:]
        requests = [self.requests[owner.request] for owner in owners]
        pasts = [self.kept.pop(request.after) for request in requests if request.after is not None]
        ids = [request.ids[past.length :] for request, past in zip(requests, pasts, strict=True)]
        return Resumed(owners, pasts, ids)

    def can_look_late(self, decoding: Decoding) -> bool:
        """Whether a row that has ended may be decoded further until that is seen: what is kept of it is cut
        then."""
        keeping = None if self.more is None else find_keeping(decoding)
        return keeping is None or keeping.cuts


def divide(requests: Sequence[Request], owners: Sequence[Owner]) -> tuple[list[Sequence[int]], list[int]]:
    """The prompts of completions that stand request by request, and how many of them each has."""
    counts = Counter(owner.request for owner in owners)
    return [requests[index].ids for index in counts], list(counts.values())


def draw_uniforms_of(requests: Sequence[Request], owners: Sequence[Owner], budget: int) -> Tensor:
    """uniforms_TR of completions, by their streams and numbers alone."""
    asked = [(requests[owner.request], owner.sample) for owner in owners]
    return draw_uniforms((Stream(request.stream, request.first + place) for request, place in asked), budget)
