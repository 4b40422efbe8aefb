"""Operations, bytes and seconds of a step: against numbers worked out by hand, and against torch's
counter."""

from dataclasses import replace

import pytest
import torch
from palaestra.trainer.config.plan import HardwareConfig
from palaestra.trainer.model.sequences import Sequences
from palaestra.trainer.planning.cards import Card
from palaestra.trainer.planning.costs import (
    Rates,
    Seconds,
    Work,
    count_attention,
    count_decoding,
    count_forward,
    count_prefill,
    count_update,
)
from palaestra.trainer.planning.shapes import Shape, find_shape
from scripts import load_script

SHAPE = Shape("small", "llama", 8, 16, 2, 2, 1, 10, True, 4)
WORK = Work(problems=3, group=2, prompt=5, completion=4, longest=6)
# By hand: a layer has 8 * (2*2*4 + 2*1*4) + 3*8*16 = 192 + 384 = 576 weights, the head 80; 3 prompts of 5 and
# 6 completions of 4 tokens are 39 distinct tokens, of which the head sees 24.
LAYERS, HEAD = 2 * 2 * 576 * 39, 2 * 80 * 24
ATTENTION = 2 * 2 * 2 * 4 * (6 * (81 - 25) + 3 * 25)


def test_a_step_by_hand():
    assert (SHAPE.layer_weights, SHAPE.head_weights, WORK.sampled, WORK.distinct) == (576, 80, 24, 39)
    assert count_attention(SHAPE, WORK) == ATTENTION == 13152
    assert count_forward(SHAPE, WORK) == LAYERS + HEAD + ATTENTION == 106848
    assert count_update(SHAPE, WORK) == 3 * LAYERS + 3 * ATTENTION + 4 * HEAD == 324384
    again = replace(WORK, recomputes=True, reference=True, passes=2)
    assert count_update(SHAPE, again) == 2 * (4 * LAYERS + 4 * ATTENTION + 4 * HEAD) + 106848
    assert count_prefill(SHAPE, WORK) == 2 * 2 * 576 * 15 + 2 * 2 * 2 * 4 * 75


def test_adapters_by_hand():
    # Factors of rank 3 on q (8, 8), k and v (8, 4), o (8, 8), gate and up (8, 16), down (16, 8), in two
    # layers.
    assert SHAPE.count_adapters(3) == 2 * 3 * (16 + 12 + 12 + 16 + 24 + 24 + 24) == 768
    adapters = 3 * 2 * 768 * 39
    assert count_update(SHAPE, replace(WORK, rank=3)) == 2 * LAYERS + 3 * ATTENTION + 2 * HEAD + adapters


def test_decoding_by_hand():
    # Four rows at once for 24 tokens: 6 steps, as many as the longest; 2 * 1 * 4 * 2 = 16 numbers a position.
    cost = count_decoding(SHAPE, WORK, rows=4, width=2)
    assert (cost.steps, cost.live, SHAPE.kv_numbers) == (6, 4.0, 16)
    assert cost.bytes == 2 * (2 * 576 + 80 + 4 * 7 * 16)
    assert cost.operations == 2 * 1232 * 4 + 4 * 2 * 2 * 4 * 7 * 4
    assert count_decoding(SHAPE, WORK, rows=1, width=2).steps == 24
    assert count_decoding(SHAPE, WORK, rows=4, width=2, cards=2).bytes == cost.bytes / 2
    card = Card("card", 1e9, bandwidth=1e4, peak=1e6, link=10.0, source="")
    rates = Rates.of(card, HardwareConfig(bandwidth_share=0.5, peak_share=0.1, link_share=1.0))
    assert rates.time_decoding(cost) == 6 * max(cost.bytes / 5e3, cost.operations / 1e5)


def test_sampling_ahead_hides_the_shorter_of_the_two():
    one = Seconds(prefill=1, decode=5, verify=2, update=4, optimizer=1, exchange=1, sync=0.5)
    assert (one.total, replace(one, ahead=True).total) == (14.5, 8.5)


@pytest.mark.parametrize("rank", [0, 8])
def test_the_operations_of_an_update_are_those_that_torch_counts(rank: int):
    """But for attention, which is a small part here and is not counted by torch as it is computed. The last
    token of a text goes through no layer, which is a part in twenty; nor has the first layer's input a
    gradient under adapters, which in two layers is more."""
    torch.set_num_threads(1)
    counts = load_script("benchmarks/counts.py")
    prompts = [[10 + row // 8, *range(20, 49)] for row in range(32)]
    texts = [[row, *range(30, 49)] for row in range(32)]
    batch = replace(counts.make_batch(4, 8, 30, 20), sequences=Sequences.of(prompts, texts))
    found = counts.count_update(counts.make_policy("float32", rank), batch, 4096)
    shape = find_shape("embedded")
    work = Work(problems=4, group=8, prompt=30, completion=20, longest=20, rank=rank)
    attention = 3 * count_attention(shape, work)
    assert count_update(shape, work) - attention == pytest.approx(found.flops, rel=0.08)
