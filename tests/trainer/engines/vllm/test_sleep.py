"""A server that sleeps between its calls: nothing is asked of it then, and what it wakes with is proven."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from palaestra.tasks.core.errors import RunError
from palaestra.trainer.engines.base import Sampling
from palaestra.trainer.engines.sync import SyncProof
from palaestra.trainer.engines.vllm.engine import VLLMEngine
from palaestra.trainer.engines.vllm.ipc import IpcTransfer
from palaestra.trainer.engines.vllm.sleep import SleepMode
from palaestra.trainer.engines.vllm.transfer import FileTransfer, Transfer
from palaestra.trainer.engines.vllm.wire import EngineError, Wire
from palaestra.trainer.model.policy import Policy

from ...support.fake_card import GARBAGE, FileMemory, Handles
from ...support.fake_vllm import FakeVLLM, serve
from ..engine_contract import make_requests, make_small_policy

SLEEP, WEIGHTS, CACHE = "/sleep?level=2", "/wake_up?tags=weights", "/wake_up?tags=kv_cache"


@dataclass(frozen=True)
class Served:
    policy: Policy
    server: FakeVLLM
    wire: Wire
    mode: SleepMode
    engine: VLLMEngine

    def sample(self) -> list[tuple[int, ...]]:
        groups = self.engine.sample(make_requests(2), Sampling(max_new_tokens=3))
        return [tuple(completion.ids) for group in groups for completion in group]


@pytest.fixture(params=["files", "ipc"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    policy = make_small_policy()
    with serve(tmp_path, policy.model) as (server, wire):
        server.handles, mode = Handles(), SleepMode(wire)
        transfer: Transfer = FileTransfer(wire, tmp_path / "weights")
        if request.param == "ipc":
            transfer = by_handles = IpcTransfer(wire, policy.model.state_dict(), FileMemory(tmp_path))
            by_handles.agree()
        yield Served(policy, server, wire, mode, VLLMEngine(policy, wire, transfer, rows=4, sleep_mode=mode))


def test_it_sleeps_when_freed_and_wakes_with_the_weights_of_the_next_load(served: Served):
    served.engine.load(served.policy, 1)
    drawn = served.sample()
    served.engine.free()
    served.engine.free()
    assert served.engine.asleep
    assert served.server.asked.count(SLEEP) == 1
    assert all((weight == GARBAGE).all() for weight in served.server.model.parameters())
    served.engine.load(served.policy, 2)
    asked = served.server.asked[served.server.asked.index(SLEEP) :]
    assert asked[1] == WEIGHTS
    assert asked[-3:] == ["/reset_prefix_cache", "/update_weight_version", CACHE]
    assert served.sample() == drawn
    assert not served.engine.asleep


def test_whatever_is_asked_of_it_asleep_loads_first(served: Served):
    served.engine.load(served.policy, 3)
    drawn = served.sample()
    served.engine.free()
    assert served.engine.compare_weights(served.policy) is None, "it has none to compare"
    assert served.server.asked[-1] == SLEEP
    assert served.sample() == drawn
    assert served.engine.version == 3


def test_what_wakes_up_is_proven_again(served: Served):
    proof = SyncProof(1e-3)
    proof.load(served.engine, served.policy, 1)
    served.sample()
    first = proof.report
    served.engine.free()
    proof.load(served.engine, served.policy, 1)
    served.sample()
    assert proof.report is not None
    assert proof.report is not first
    served.server.change_weights = lambda _: None  # what it wakes up with is garbage
    served.engine.free()
    proof.load(served.engine, served.policy, 1)
    with pytest.raises(RunError, match="engine and trainer disagree"):
        served.sample()


def test_a_proof_that_goes_on_is_settled_before_it_sleeps(served: Served):
    held, asking = threading.Event(), threading.Event()

    def hold(reply: dict) -> dict:
        asking.set()
        held.wait()
        return reply

    served.server.change["/v1/completions"] = hold
    proof = SyncProof(1e-3)
    proof.load(served.engine, served.policy, 1)
    asking.wait()
    freeing = threading.Thread(target=served.engine.free)
    freeing.start()
    assert SLEEP not in served.server.asked
    held.set()
    freeing.join()
    assert served.server.asked[-1] == SLEEP, "nothing of the proof comes after it"
    assert proof.report is not None


def test_where_the_proof_fails_it_stays_awake(served: Served):
    served.engine.load(served.policy, 0)
    served.server.change_weights = lambda _: None
    with torch.no_grad():
        for weight in served.policy.model.parameters():
            weight.mul_(1.1)
    SyncProof(1e-3).load(served.engine, served.policy, 1)
    with pytest.raises(RunError, match="disagree"):
        served.engine.free()
    assert SLEEP not in served.server.asked


def test_a_server_that_several_ask_stays_awake(served: Served):
    served.engine.load(served.policy, 1)
    joined = served.engine.join(served.policy, 4)
    for engine in (served.engine, joined):
        engine.free()
    assert SLEEP not in served.server.asked
    joined.load(served.policy, 2)
    assert not joined.asleep


@pytest.mark.parametrize("path", [SLEEP, WEIGHTS, CACHE])
def test_a_server_that_refuses_to_sleep_or_to_wake_ends_the_run(served: Served, path: str):
    served.engine.load(served.policy, 1)
    served.server.answer[path] = lambda handler: handler.send(500, b"out of memory")

    def sleep_and_wake() -> None:
        served.engine.free()
        served.engine.load(served.policy, 2)

    with pytest.raises(EngineError, match="status 500: out of memory") as caught:
        sleep_and_wake()
    assert ("--engine-memory" in str(caught.value)) == (path != SLEEP)
    assert served.engine.version == 1


def test_one_that_was_started_anew_while_it_slept_is_noticed(served: Served):
    served.engine.load(served.policy, 1)
    served.engine.free()
    served.server.sleep.respond("/wake_up")
    with pytest.raises(EngineError, match=r"is awake, and not sleeping.*started anew"):
        served.engine.load(served.policy, 2)


@pytest.mark.parametrize(("path", "words"), [(WEIGHTS, "illegal memory"), (CACHE, "not answered")])
def test_a_wake_that_is_left_out_is_noticed(
    served: Served, monkeypatch: pytest.MonkeyPatch, path: str, words: str
):
    post, claimed = Wire.post, {WEIGHTS: "sleeping", CACHE: "awake"}

    def leave_out(wire: Wire, asked: str, body: dict, *, again: bool = True) -> object:
        return {"status": claimed[asked]} if asked == path else post(wire, asked, body, again=again)

    served.engine.load(served.policy, 1)
    served.engine.free()

    def wake_and_sample() -> None:
        served.engine.load(served.policy, 2)
        served.wire.timeout = 0.3
        served.sample()

    monkeypatch.setattr(Wire, "post", leave_out)
    with pytest.raises(EngineError, match=words):
        wake_and_sample()
    served.server.sleep.respond("/wake_up")


def test_one_that_sleeps_can_be_closed(served: Served):
    ended = list[bool]()
    served.engine._end = lambda: ended.append(served.engine.asleep)
    served.engine.load(served.policy, 1)
    served.engine.free()
    served.engine.close()
    assert ended == [True]


def test_without_sleep_mode_nothing_is_asked(tmp_path: Path):
    policy = make_small_policy()
    with serve(tmp_path, policy.model) as (server, wire):
        engine = VLLMEngine(policy, wire, FileTransfer(wire, tmp_path / "weights"), rows=4)
        engine.load(policy, 1)
        asked = len(server.asked)
        engine.free()
        engine.load(policy, 1)
        assert len(server.asked) == asked
