"""Ways through grids, and what is wrong with others."""

import pytest
from palaestra.tasks.common.grids import Way, find_misstep, find_place, find_way, read_moves, trace

GRID = ["S.X", "X..", "X.G"]


def test_the_shortest_way_is_found_within_its_budget():
    way = find_way(GRID, "X")
    assert way.moves is not None
    assert sorted(way.moves) == ["D", "D", "R", "R"]
    assert way.seen == 6  # every place but those that are blocked
    assert find_way(GRID, "X", most=1) == Way(None, 2)
    assert find_way(["SX", "XG"], "X") == Way(None, 1)
    assert find_place(GRID, "G") == (2, 2)


def test_moves_are_read_as_letters_alone():
    assert read_moves(" R, D\nD") == "RDD"
    for text in ("", "rd", "RDX", "R-D", "ＲD"):
        assert read_moves(text) == "", text


def test_a_walk_stays_where_the_edge_is():
    assert [*trace(GRID, "URD")] == [(0, 0), (0, 0), (0, 1), (1, 1)]


@pytest.mark.parametrize(
    ("moves", "fault"),
    [
        ("RDDR", ""),
        ("LRDRD", ""),
        ("RR", "Move 2 is stopped."),
        ("RDDRL", "Moves follow after the goal."),
        ("RD", "The moves end before the goal."),
        ("", "The moves end before the goal."),
    ],
)
def test_a_misstep_is_named(moves, fault):
    assert find_misstep(GRID, moves, "X", "is stopped") == fault
