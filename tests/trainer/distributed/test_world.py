"""Ranks that never come are named, within their deadline."""

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.train import DeadlineConfig
from palaestra.trainer.distributed.ranks import Place, find_port
from palaestra.trainer.distributed.world import ALONE, find_world, join


def test_ranks_that_never_come_are_named():
    place = Place(1, 4, 1, 4, "127.0.0.1", find_port())
    holder = Place(0, 4, 0, 4, place.address, place.port)
    named = r"Rank 0 has waited 0.2 s \(--deadline.start\) for ranks 1, 2, 3 of 4"
    with pytest.raises(UserError, match=named), join(DeadlineConfig(start=0.2), holder):
        raise AssertionError("it has joined nobody")
    gone = "Rank 1 of 4 found no way to the others"
    with pytest.raises(UserError, match=gone), join(DeadlineConfig(start=0.2), place):
        raise AssertionError("there is no store any more")
    assert find_world() is ALONE
