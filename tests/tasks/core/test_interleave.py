"""An order by weights."""

from palaestra.tasks.core.interleave import PERIOD, count_slots, order_slots


def test_weights_in_any_unit_give_the_same_smallest_period():
    assert count_slots([4, 2]) == count_slots([0.2, 0.1]) == count_slots([2, 1]) == [2, 1]
    assert count_slots([1.5, 1]) == [3, 2]


def test_weights_without_a_short_period_are_rounded_and_none_is_left_out():
    counts = count_slots([2**0.5, 1, 1e-6])
    assert sum(counts) == PERIOD
    assert min(counts) == 1
    assert abs(counts[0] / counts[1] - 2**0.5) < 0.01
    assert len(count_slots([1] * 1500)) == 1500
    assert set(count_slots([1] * 1500)) == {1}


def test_each_has_its_share_of_every_beginning_of_the_order():
    counts = [7, 2, 1]
    order = order_slots(counts)
    assert [[slot.rank for slot in order if slot.number == k] for k in range(3)] == [
        list(range(n)) for n in counts
    ]
    for length in range(1, len(order) + 1):
        for number, count in enumerate(counts):
            got = sum(slot.number == number for slot in order[:length])
            assert abs(got - count * length / 10) <= 1
