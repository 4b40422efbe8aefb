"""Sampling ahead of the updates: the bound, the place in the stream, failures, the end. No model."""

import threading

import pytest
from palaestra.trainer.rollouts.ahead import Ahead, InStep, Known
from palaestra.trainer.rollouts.collect import Collected
from palaestra.trainer.rollouts.ledger import Item, Ledger
from palaestra.trainer.rollouts.stream import Position

PATIENCE_S = 60.0  # of a wait that never lasts unless something is broken
PROBLEMS = 3  # of a step
NOTHING = Known(Ledger(), {})


class FakeWeights:
    """Remembers what was staged and loaded, and whether anything was staged while one copy was in use."""

    def __init__(self) -> None:
        self.staged = self.loaded = -1
        self.sampling = False
        self.disturbed = self.stopped = self.closed = False

    def stage(self, version: int) -> None:
        self.staged, self.disturbed = version, self.disturbed or self.sampling

    def load(self) -> None:
        self.loaded = self.staged

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        self.closed = True


class FakeSampler:
    """Collects `PROBLEMS` problems a step, and notes the version, the place and the ledger of each."""

    def __init__(self, weights: FakeWeights, fails_at: int = -1) -> None:
        self.weights, self.fails_at = weights, fails_at
        self.versions: dict[int, int] = {}
        self.begun: dict[int, int] = {}
        self.known: dict[int, Ledger] = {}

    def __call__(self, step: int, position: Position, known: Known) -> Collected:
        self.weights.sampling = True
        if step == self.fails_at:
            raise RuntimeError(f"no step {step}")
        self.versions[step], self.begun[step], self.known[step] = (
            self.weights.loaded,
            position.next,
            known.ledger,
        )
        position.next += PROBLEMS
        self.weights.sampling = False
        return Collected([], PROBLEMS, step)


def run_steps(staleness: int, steps: int, start: int = 0) -> tuple[FakeSampler, FakeWeights, list[int]]:
    """A run of so many steps; the place in the stream after each."""
    weights = FakeWeights()
    sampler, position, places = FakeSampler(weights), Position(next=PROBLEMS * start), list[int]()
    with Ahead(sampler, weights, staleness, start + steps) as source:
        for step in range(start, start + steps):
            drawn = source.take(step, position, NOTHING)
            assert drawn.collected.tokens == step
            position = drawn.position
            places.append(position.next)
    assert weights.closed
    return sampler, weights, places


@pytest.mark.parametrize("staleness", [1, 2, 5])
@pytest.mark.parametrize("start", [0, 4])
def test_no_step_is_drawn_by_weights_more_than_the_bound_behind(staleness: int, start: int):
    sampler, weights, places = run_steps(staleness, 12, start)
    assert sorted(sampler.versions) == list(range(start, start + 12))  # each once, and none beyond the end
    assert all(0 <= step - version <= staleness for step, version in sampler.versions.items())
    assert sampler.versions[start] == start
    assert places == [PROBLEMS * (step + 1) for step in range(start, start + 12)]
    assert sampler.begun == {step: PROBLEMS * step for step in range(start, start + 12)}
    assert staleness > 1 or not weights.disturbed


def test_one_step_ahead_the_versions_are_settled():
    sampler, _, _ = run_steps(1, 6)
    assert sampler.versions == {0: 0, 1: 0, 2: 1, 3: 2, 4: 3, 5: 4}


def test_the_place_of_what_is_in_flight_is_not_that_of_the_run():
    weights = FakeWeights()
    sampler, position = FakeSampler(weights), Position()
    with Ahead(sampler, weights, 3, 10) as source:
        drawn = source.take(0, position, NOTHING)
        assert (position.next, drawn.position.next) == (0, PROBLEMS)
    assert drawn.position.next == PROBLEMS  # though further steps have been sampled since


def test_the_ledger_is_that_of_the_weights_where_problems_are_chosen_by_it():
    weights = FakeWeights()
    sampler, ledger = FakeSampler(weights), Ledger()
    with Ahead(sampler, weights, 1, 2, reads_ledger=True) as source:
        drawn = source.take(0, Position(), Known(ledger, {}))
        ledger.items["seen"] = Item()
        source.take(1, drawn.position, Known(ledger, {}))
    assert "seen" not in sampler.known[1].items


def test_a_failure_is_told_once_what_was_finished_is_taken():
    weights = FakeWeights()
    sampler = FakeSampler(weights, fails_at=2)
    with Ahead(sampler, weights, 2, 9) as source:
        position = source.take(0, Position(), NOTHING).position
        position = source.take(1, position, NOTHING).position
        with pytest.raises(RuntimeError, match="no step 2"):
            source.take(2, position, NOTHING)
    assert weights.closed


def test_an_end_in_the_middle_stops_what_is_sampled():
    weights, begun, release = FakeWeights(), threading.Event(), threading.Event()
    weights.stop = release.set  # type: ignore[method-assign]

    def collect(step: int, position: Position, known: Known) -> Collected:
        if step:
            begun.set()
            assert release.wait(PATIENCE_S)
        return Collected([], 0, 0)

    with Ahead(collect, weights, 1, 9) as source:
        source.take(0, Position(), NOTHING)
        assert begun.wait(PATIENCE_S)
    assert weights.closed


def test_in_step_the_weights_of_now_are_sampled_from_and_the_place_moves():
    weights, position = FakeWeights(), Position()
    sampler = FakeSampler(weights)
    with InStep(sampler) as source:
        drawn = source.take(0, position, NOTHING)
    assert drawn.position is position
    assert position.next == PROBLEMS
    with pytest.raises(ValueError, match="1 or more"):
        Ahead(sampler, weights, 0, 1)
