"""Rows of two caches as one: ends together, padded on the left."""

import pytest
import torch
from palaestra.trainer.model.caches import can_join, fit, join
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer, StaticLayer


def make_cache(rows: int, positions: int, window: int = 4) -> DynamicCache:
    """A layer of all positions and one of a window, whose numbers are their positions."""
    cache = DynamicCache()
    cache.layers = [DynamicLayer(), DynamicSlidingWindowLayer(window)]
    for place in range(positions):
        for layer in range(2):
            states = torch.full((rows, 1, 1, 2), float(place + 1))
            cache.update(states, -states, layer)
    return cache


@pytest.mark.parametrize(("mine", "theirs"), [(6, 3), (3, 6), (2, 2)])
def test_joined_rows_end_together(mine: int, theirs: int):
    cache, positions = make_cache(2, mine), max(mine, theirs)
    join(cache, make_cache(1, theirs), positions)
    whole, window = cache.layers
    lengths = (mine, mine, theirs)
    wanted = [[0.0] * (positions - own) + [place + 1.0 for place in range(own)] for own in lengths]
    assert whole.keys[:, 0, :, 0].tolist() == wanted
    assert torch.equal(whole.values, -whole.keys)
    assert window.keys[:, 0, :, 0].tolist() == [row[-min(positions, 3) :] for row in wanted]
    assert window.get_seq_length() == whole.get_seq_length() == positions
    for layer in range(2):
        cache.update(torch.ones(3, 1, 1, 2), torch.ones(3, 1, 1, 2), layer)
    assert window.get_seq_length() == positions + 1


def test_padding_that_no_row_needs_is_left_away():
    cache = make_cache(2, 6)
    join(cache, make_cache(1, 3), 4)
    assert cache.layers[0].keys[0, 0, :, 0].tolist() == [3.0, 4.0, 5.0, 6.0]
    assert cache.layers[0].keys[2, 0, :, 0].tolist() == [0.0, 1.0, 2.0, 3.0]


def test_a_cache_of_another_kind_is_not_joined():
    cache = make_cache(1, 2)
    assert can_join(cache)
    cache.layers.append(StaticLayer(8))
    assert not can_join(cache)
    assert not can_join(None)


def test_a_table_is_padded_or_cut_where_it_begins():
    table = torch.arange(6).view(2, 3)
    assert fit(table, 4, 1).tolist() == [[0, 0, 1, 2], [0, 3, 4, 5]]
    assert fit(table, 2, 1).tolist() == [[1, 2], [4, 5]]
    assert fit(table, 3, 0).tolist() == [[0, 0, 0], [0, 1, 2], [3, 4, 5]]
