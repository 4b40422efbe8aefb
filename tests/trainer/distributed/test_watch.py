"""The clock over the ranks, without processes and without waiting."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from palaestra.trainer.config.train import DeadlineConfig
from palaestra.trainer.distributed.ranks import LOST, Place
from palaestra.trainer.distributed.watch import (
    FAILED_S,
    GONE_S,
    SILENT_S,
    Fault,
    Seat,
    Watch,
    describe_process,
)

DEADLINES = DeadlineConfig(sample=10, verify=10, gather=5, update=20)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Store(dict):
    def set(self, key: str, value: str) -> None:
        self[key] = value

    def get(self, key: str) -> bytes:
        return self[key].encode()

    def check(self, keys: list[str]) -> bool:
        return all(key in self for key in keys)


def make_watch(rank: int = 0, size: int = 3, **more) -> Watch:
    place = Place(rank, size, rank, size, "127.0.0.1", 1)
    return Watch(place, DEADLINES, more.pop("open_store", Store), clock=Clock(), **more)


def hear(watch: Watch, rank: int, **more) -> None:
    seat = replace(Seat(rank, "elsewhere", 1), **more)
    watch.take({**asdict(seat), "beat": watch.clock()})


def test_who_is_waited_for_is_blamed_once_its_phase_is_over_time():
    watch = make_watch()
    with watch.phase("sample"):
        pass
    with watch.phase("gather"):
        hear(watch, 1, phase="sample", count=1)
        hear(watch, 2, phase="gather", count=3)
        watch.clock.now += 9  # beyond the deadline of gathering, which waits for what is in time
        assert watch.judge() is None
        watch.clock.now += 2
        fault = watch.judge()
    assert fault is not None
    assert fault.ranks == [1]
    assert fault.sentence == (
        "Rank 1 (process 1 on elsewhere) is in phase sample since 11 s, and rank 0 in phase gather and rank "
        "2 in phase gather wait for it. The deadline of that phase is 10 s (--deadline.sample)."
    )


def test_a_phase_that_goes_on_has_its_time_anew():
    watch = make_watch(size=2)
    with watch.phase("gather"):
        hear(watch, 1, phase="update", count=0)
        watch.clock.now += 19
        hear(watch, 1, phase="update", count=1)
        watch.clock.now += 4  # though this rank waits for 23 s by now
        assert watch.judge() is None
        watch.clock.now += 17
        assert watch.judge() is not None


def test_this_rank_itself_may_be_the_late_one():
    watch = make_watch(size=2)
    with watch.phase("verify"):
        hear(watch, 1, phase="gather", count=5)
        watch.clock.now += 11
        assert watch.judge().ranks == [0]


@pytest.mark.parametrize(("more", "says"), [({}, "is gone"), ({"state": "done"}, None)])
def test_a_process_that_is_no_more_is_found(more: dict, says: str | None):
    watch, host = make_watch(size=2), make_watch()._own.host
    hear(watch, 1, host=host, pid=2**22 + 1, phase="update", **more)  # above the most that Linux gives
    assert watch.judge() is None, "it may be about to say why"
    watch.clock.now += GONE_S + 0.1
    fault = watch.judge()
    assert (fault is None) == (says is None)
    assert fault is None or (says in fault.sentence and fault.ranks == [1])
    assert not Seat(0, host, os.getpid()).is_gone()


def test_a_rank_that_is_heard_of_while_the_others_are_looked_at(monkeypatch: pytest.MonkeyPatch):
    watch = make_watch()
    hear(watch, 1)

    def is_gone(_seat: Seat) -> bool:
        hear(watch, 2)
        return False

    monkeypatch.setattr(Seat, "is_gone", is_gone)
    assert watch.judge() is None
    assert {*watch.seen} == {1, 2}


def test_nothing_is_late_once_all_have_ended():
    watch = make_watch(size=2)
    hear(watch, 1, state="done")
    watch._own = replace(watch._own, state="done")
    watch.clock.now += 1e6
    assert watch.judge() is None


def test_a_silent_rank_is_lost_only_once_a_collective_has_failed():
    watch = make_watch(size=2)
    hear(watch, 1, phase="update")
    watch.clock.now += SILENT_S + 1
    assert watch.judge() is None
    watch._broken = "Connection closed by peer"
    assert "says nothing any more" in watch.judge().sentence


def test_what_a_rank_failed_with_is_told_after_a_moment():
    watch = make_watch(size=2)
    hear(watch, 1, phase="verify", state="failed", reason="The disk is full.")
    assert watch.judge() is None
    watch.clock.now += FAILED_S + 0.1
    assert watch.judge() == Fault(
        [1], "Rank 1 (process 1 on elsewhere) ended in phase verify: The disk is full."
    )


def test_the_end_leaves_stacks_a_record_and_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("palaestra.trainer.distributed.watch.DUMP_S", 0.0)
    codes, recorded, store = [], [], Store()
    watch = make_watch(size=2, open_store=lambda: store, leave=codes.append)
    watch.keep_stacks_in(tmp_path, recorded.append, lambda: "Go on.")
    hear(watch, 1, phase="sample")
    watch._end(Fault([1], "Rank 1 sleeps."))
    assert codes == [LOST]
    assert recorded == ["Rank 1 sleeps."]
    said = capsys.readouterr().err
    assert said == f"palaestra: Rank 1 sleeps. What each rank was doing is in {tmp_path / 'stacks'}. Go on.\n"
    assert "test_watch.py" in (tmp_path / "stacks" / "rank0.txt").read_text()
    assert store["ended"] == "Rank 1 sleeps."
    # What rank 0 has failed with, it says itself.
    alone = make_watch(rank=1, size=2, open_store=lambda: store, leave=codes.append)
    hear(alone, 0, phase="save", state="failed", reason="The disk is full.")
    alone.judge()
    alone.clock.now += FAILED_S + 0.1
    alone._end(alone.judge())
    assert codes.pop() == LOST
    assert capsys.readouterr().err == ""
    # Who is told of it, and is not the first of those that are well, says nothing.
    other = make_watch(rank=1, size=2, leave=codes.append)
    hear(other, 0, phase="sample")
    other._end(Fault([], "Rank 1 sleeps."))
    assert codes == [LOST, LOST]
    assert capsys.readouterr().err == ""
    watch.close()


def test_a_clean_end_leaves_no_stacks(tmp_path: Path):
    watch = make_watch(size=2)
    watch.keep_stacks_in(tmp_path, lambda _: None, str)
    assert (tmp_path / "stacks" / "rank0.txt").is_file()
    watch.close()
    assert not (tmp_path / "stacks").exists()


def test_ranks_tell_each_other_through_the_store():
    store = Store(seat1=json.dumps({**asdict(Seat(1, "elsewhere", 7, 4, "update")), "beat": 1.0}))
    watch = make_watch(size=2, open_store=lambda: store)
    watch.start()
    for _ in range(1000):
        if 1 in watch.seen:
            break
        watch._stop.wait(0.01)
    assert watch.seen[1].seat == Seat(1, "elsewhere", 7, 4, "update")
    assert json.loads(store["seat0"])["phase"] == "start"
    watch.close()
    assert not any(thread.is_alive() for thread in watch._threads)


@pytest.mark.parametrize("rank", [0, 1])
def test_no_thread_is_left_by_a_rank_that_fails(rank: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("palaestra.trainer.distributed.watch.FAILED_S", 0.0)
    store = Store()
    watch = make_watch(rank=rank, size=2, open_store=lambda: store)
    watch.keep_stacks_in(tmp_path, lambda _: None, str)
    watch.start()
    assert watch.fail("The disk is full.") == (None if rank else "The disk is full.")
    assert not any(thread.is_alive() for thread in watch._threads)
    assert not (tmp_path / "stacks").exists()


def test_a_process_that_left_no_stack_is_described():
    assert "State:" in describe_process(Seat(0, "here", os.getpid(), phase="save"))
    assert "no such process" in describe_process(Seat(0, "here", 2**22 + 1))
