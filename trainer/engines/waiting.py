"""What is still to be decoded, in the order in which it is taken up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from .base import Owner, Request, Row


class Waiting:
    """Completions of requests, those with the longest prompts first; a request's are taken up together, so
    that its prompt is prefilled once and what they share stays shared.

    even: only prompts of one length are decoded together.
    """

    def __init__(self, requests: Sequence[Request], owners: Iterable[Owner], *, even: bool = False) -> None:
        self._even = even
        self._lengths = [len(request.ids) for request in requests]
        ordered = sorted(owners, key=lambda one: (-self._lengths[one.request], one.request, one.sample))
        self._groups = [list(group) for _, group in groupby(ordered, key=lambda one: one.request)]
        self._groups.reverse()  # the next one is the last

    def __len__(self) -> int:
        return sum(map(len, self._groups))

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt that waits."""
        return max(self._lengths[group[0].request] for group in self._groups)

    def add(self, request: Request) -> None:
        """One request more, of one sample, which is taken up next."""
        self._groups.append([Owner(len(self._lengths), 0)])
        self.skip(request)

    def skip(self, request: Request) -> None:
        """One request more, which is taken up elsewhere."""
        self._lengths.append(len(request.ids))

    def take(self, room: int, rows: int) -> list[Owner]:
        """What goes on in `room` of `rows` places: whole requests in order, cut only where one is larger than
        all of the rows."""
        taken: list[Owner] = []
        while self._groups:
            group = self._groups[-1]
            length = self._lengths[group[0].request]
            if self._even and taken and length != self._lengths[taken[0].request]:
                break
            if room < min(len(group), rows):
                break
            count = min(room, len(group))
            taken += group[:count]
            room -= count
            if count < len(group):
                self._groups[-1] = group[count:]
                break
            self._groups.pop()
        return taken


def plan_rows(
    given: Sequence[Row], places: Sequence[int], rows: int, *, even: bool = False
) -> list[list[int]]:
    """Places of rows that are followed together, longest first, at most `rows` in all; those without tokens
    are left out. even: only prompts of one length."""
    order = sorted((i for i in places if len(given[i].ids)), key=lambda i: -len(given[i].ids))
    by_length: dict[int, list[int]] = {}
    for place in order:
        by_length.setdefault(len(given[place].prompt_ids) if even else 0, []).append(place)
    return [
        places[first : first + rows] for places in by_length.values() for first in range(0, len(places), rows)
    ]
