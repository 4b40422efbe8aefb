"""Rows of two caches as one: ends together, padded on the left."""

import pytest
import torch
from palaestra.trainer.model.caches import can_cut, can_join, fill, fit, join, keep_row
from transformers import DynamicCache
from transformers.cache_utils import (
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionLayer,
    StaticLayer,
)


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


def make_recurrent(rows: int, state: float) -> DynamicCache:
    cache = make_cache(rows, 3)
    cache.layers.append(LinearAttentionLayer())
    cache.layers[2].update_conv_state(torch.full((rows, 2, 4), state))
    cache.layers[2].update_recurrent_state(torch.full((rows, 2, 2), -state))
    return cache


def test_states_of_a_recurrence_are_joined_kept_and_put_back():
    cache = make_recurrent(2, 1.0)
    join(cache, make_recurrent(1, 5.0), 3)
    assert cache.layers[2].conv_states[0][:, 0, 0].tolist() == [1.0, 1.0, 5.0]
    kept = [keep_row(cache, row, 3, 3) for row in (2, 0)]
    empty = DynamicCache()
    empty.layers = [DynamicLayer(), DynamicSlidingWindowLayer(4), LinearAttentionLayer()]
    fill(empty, kept)
    assert empty.layers[2].conv_states[0][:, 0, 0].tolist() == [5.0, 1.0]
    assert empty.layers[2].recurrent_states[0][:, 0, 0].tolist() == [-5.0, -1.0]
    assert empty.layers[2].has_previous_state[0]


def test_what_was_kept_of_rows_ends_together_in_another_cache():
    long, short = make_cache(1, 6), make_cache(1, 2)
    kept = [keep_row(long, 0, 6, 6), keep_row(short, 0, 2, 2)]
    long.layers[0].keys.zero_()  # what happens to the cache meanwhile is no matter
    cache = DynamicCache()
    cache.layers = [DynamicLayer(), DynamicSlidingWindowLayer(4)]
    fill(cache, kept)
    whole, window = cache.layers
    assert whole.keys[:, 0, :, 0].tolist() == [[1.0, 2, 3, 4, 5, 6], [0.0, 0, 0, 0, 1, 2]]
    assert window.keys[:, 0, :, 0].tolist() == [[4.0, 5, 6], [0.0, 1, 2]]
    assert torch.equal(window.values, -window.keys)
    assert whole.get_seq_length() == window.get_seq_length() == 6


def test_only_a_cache_of_all_positions_can_be_cut():
    cache = make_cache(1, 6)
    assert not can_cut(cache)
    cache.layers = [DynamicLayer()]
    cache.update(torch.arange(4.0).view(1, 1, 4, 1), torch.zeros(1, 1, 4, 1), 0)
    assert can_cut(cache)
    assert keep_row(cache, 0, 3, 2).layers[0]["keys"].flatten().tolist() == [1.0, 2.0]


def test_a_table_is_padded_or_cut_where_it_begins():
    table = torch.arange(6).view(2, 3)
    assert fit(table, 4, 1).tolist() == [[0, 0, 1, 2], [0, 3, 4, 5]]
    assert fit(table, 2, 1).tolist() == [[1, 2], [4, 5]]
    assert fit(table, 3, 0).tolist() == [[0, 0, 0], [0, 1, 2], [3, 4, 5]]
