"""The order in which completions are taken up: whole requests, longest prompts first."""

import pytest
from palaestra.trainer.engines.base import Request, Row
from palaestra.trainer.engines.waiting import Owner, Waiting, plan_rows

REQUESTS = [Request([1] * length, samples, 0) for length, samples in ((2, 3), (5, 4), (2, 2), (4, 9))]


def list_owners(requests: list[Request]) -> list[Owner]:
    return [Owner(index, place) for index, one in enumerate(requests) for place in range(one.samples)]


def take_all(waiting: Waiting, rooms: list[int], rows: int) -> list[list[tuple[int, int]]]:
    """Request and number of samples of what is taken, room by room."""
    found = []
    for room in rooms:
        taken = [owner.request for owner in waiting.take(room, rows)]
        found.append([(index, taken.count(index)) for index in dict.fromkeys(taken)])
    return found


def test_requests_are_taken_whole_where_they_fit():
    waiting = Waiting(REQUESTS, list_owners(REQUESTS))
    assert (len(waiting), waiting.longest) == (18, 5)
    assert take_all(waiting, [10], 10) == [[(1, 4)]]
    assert (len(waiting), waiting.longest) == (14, 4)
    assert take_all(waiting, [6, 8, 9, 4, 2], 10) == [[], [], [(3, 9)], [(0, 3)], [(2, 2)]]
    assert len(waiting) == 0
    assert waiting.take(10, 10) == []


def test_a_request_larger_than_all_rows_is_cut_when_all_are_free():
    waiting = Waiting(REQUESTS, list_owners(REQUESTS))
    assert take_all(waiting, [4, 3, 4, 4, 4, 4, 4], 4) == [
        [(1, 4)], [], [(3, 4)], [(3, 4)], [(3, 1), (0, 3)], [(2, 2)], [],
    ]  # fmt: skip


def test_what_is_left_of_requests_goes_on_in_order():
    left = [Owner(3, 8), Owner(3, 2), Owner(0, 1)]
    waiting = Waiting(REQUESTS, left)
    assert waiting.take(8, 8) == [Owner(3, 2), Owner(3, 8), Owner(0, 1)]


def test_prompts_of_one_length_alone_where_padding_is_read():
    waiting = Waiting(REQUESTS, list_owners(REQUESTS), even=True)
    assert take_all(waiting, [20, 20, 20], 20) == [[(1, 4)], [(3, 9)], [(0, 3), (2, 2)]]


@pytest.mark.parametrize(
    ("even", "planned"), [(False, [[3, 0], [4, 1]]), (True, [[3, 4], [0], [1]])], ids=["padded", "even"]
)
def test_rows_are_followed_longest_first(even: bool, planned: list[list[int]]):
    rows = [Row([1] * prompt, [2] * tokens) for prompt, tokens in ((2, 5), (3, 1), (1, 0), (1, 7), (1, 4))]
    assert plan_rows(rows, range(5), 2, even=even) == planned
