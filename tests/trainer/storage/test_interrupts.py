"""Signals from outside: the first ends after the step, what a launcher repeats is no second one."""

import signal
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from palaestra.trainer.storage import interrupts
from palaestra.trainer.storage.interrupts import SAME_REQUEST_S, Interrupts


@pytest.fixture
def ready() -> Iterator[tuple[Interrupts, list[float]]]:
    """Open interrupts, and the time of their clock."""
    times = [100.0]
    with Interrupts(lambda: times[0]) as stop:
        yield stop, times


def test_a_signal_that_a_launcher_repeats_stops_nothing_at_once(ready):
    stop, times = ready
    signal.raise_signal(signal.SIGTERM)
    assert stop.requested == "SIGTERM"
    times[0] += SAME_REQUEST_S / 2
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)
    assert stop.requested == "SIGTERM"
    times[0] += SAME_REQUEST_S
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_rank_that_another_told_takes_its_own_signal_for_the_same(ready, monkeypatch):
    stop, times = ready
    monkeypatch.setattr(
        interrupts, "find_world", lambda: SimpleNamespace(gather=lambda own: [own, "SIGTERM"])
    )
    assert stop.agree() == "SIGTERM"
    signal.raise_signal(signal.SIGTERM)
    times[0] += SAME_REQUEST_S
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_that_comes_while_the_ranks_ask_each_other_is_not_lost(ready, monkeypatch):
    stop, _ = ready

    def gather(own):
        if own is None:  # the others had been asked before it came
            signal.raise_signal(signal.SIGTERM)
        return [own, None]

    monkeypatch.setattr(interrupts, "find_world", lambda: SimpleNamespace(gather=gather))
    assert stop.agree() is None
    assert stop.requested == "SIGTERM"
    assert stop.agree() == "SIGTERM"


def test_one_rank_says_it(ready, monkeypatch, capsys):
    monkeypatch.setattr(interrupts, "speaks", lambda: False)
    signal.raise_signal(signal.SIGINT)
    assert ready[0].requested == "SIGINT"
    assert capsys.readouterr().err == ""
