"""The proof of a load notices each way in which an engine may sample from other weights."""

import copy
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from palaestra.tasks.core.errors import RunError
from palaestra.trainer.config.shared import LoraConfig
from palaestra.trainer.engines import sync
from palaestra.trainer.engines.base import Request, Sampling
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.engines.sync import SyncProof
from palaestra.trainer.engines.vllm import weights as weights_module
from palaestra.trainer.engines.vllm.engine import VLLMEngine
from palaestra.trainer.engines.vllm.transfer import FileTransfer
from palaestra.trainer.model import lora
from palaestra.trainer.model.policy import Policy

from ..support.fake_vllm import FakeVLLM, serve
from .engine_contract import make_small_policy

BOUND = 1e-3
PATIENCE_S = 60.0  # of a wait that never lasts unless something is broken
LAYER = "model.layers.1.self_attn.o_proj.weight"
Served = tuple[FakeVLLM, VLLMEngine, Policy]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    policy = make_small_policy()
    with serve(tmp_path, policy.model) as (server, wire):
        yield server, VLLMEngine(policy, wire, FileTransfer(wire, tmp_path / "weights"), rows=4), policy


@torch.no_grad()
def train_a_little(policy: Policy) -> None:
    """As an update would, and enough to be seen beyond the bound."""
    torch.manual_seed(1)
    for parameter in policy.model.parameters():
        parameter.add_(0.02 * torch.randn_like(parameter))


def start(engine: VLLMEngine, policy: Policy) -> SyncProof:
    """A proof after a first step, with a completion of it."""
    proof = SyncProof(BOUND)
    proof.load(engine, policy, 0)
    assert proof.report is not None
    assert proof.report.difference < 1e-5
    [(completion,)] = engine.sample([Request(range(10, 60), 1, 0)], Sampling(max_new_tokens=12))
    proof.keep(completion)
    train_a_little(policy)
    return proof


def load_and_sample(proof: SyncProof, engine: VLLMEngine, policy: Policy, version: int) -> None:
    """As a step does; where the proof fails, nothing of it is handed on."""
    heard: list[int] = []
    proof.load(engine, policy, version)
    try:
        engine.sample(
            [Request(range(10, 60), 3, 0)],
            Sampling(max_new_tokens=3),
            lambda _, place, __: heard.append(place),
        )
    except RunError:
        assert heard == []
        raise
    assert sorted(heard) == [0, 1, 2]


def leave_out(name: str) -> Callable[[dict], dict]:
    return lambda state: {key: value for key, value in state.items() if key != name}


def transpose(name: str) -> Callable[[dict], dict]:
    return lambda state: {**state, name: state[name].T.contiguous()}


MUTATIONS: dict[str, tuple[Callable[[dict], dict | None], str]] = {
    "a layer left out": (leave_out(LAYER), f"these differ: {LAYER}"),
    "a layer transposed": (transpose(LAYER), f"these differ: {LAYER}"),
    "a norm left out": (leave_out("model.norm.weight"), "these differ: model.norm.weight"),
    "the load skipped": (lambda _: None, "these differ: model.embed_tokens.weight, .* more"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_other_weights_stop_the_run_and_are_named(served: Served, name: str):
    server, engine, policy = served
    change, words = MUTATIONS[name]
    proof = start(engine, policy)
    server.change_weights = change
    with pytest.raises(RunError, match=f"(?s)load of version 1, engine and trainer disagree.*{words}"):
        load_and_sample(proof, engine, policy, 1)
    server.change_weights = dict
    proof.load(engine, policy, 2)
    assert proof.report is not None
    assert proof.report.version == 2


def test_a_cache_of_prompts_that_is_kept_stops_the_run(served: Served):
    server, engine, policy = served
    server.keeps_cache = True
    proof = start(engine, policy)
    with pytest.raises(RunError, match="something that it keeps beside them"):
        load_and_sample(proof, engine, policy, 1)


def test_adapters_that_are_not_merged_stop_the_run(served: Served, monkeypatch: pytest.MonkeyPatch):
    _, engine, policy = served
    lora.add_adapters(policy.model, LoraConfig(lora_rank=4), 0)
    with torch.no_grad():
        for name, parameter in policy.model.named_parameters():
            if ".lora_B" in name:
                parameter.add_(0.1)
    load_and_sample(SyncProof(BOUND), engine, policy, 1)
    written = weights_module.save_weights

    def write_without(model, folder, dtype, state):
        plain = {name: tensor.data for name, tensor in lora.list_plain(model).items()}
        assert state is not None
        written(model, folder, dtype, {name: plain.get(name, tensor) for name, tensor in state.items()})

    monkeypatch.setattr(weights_module, "save_weights", write_without)
    with pytest.raises(RunError, match=r"(?s)disagree.*these differ: .*_proj\.weight"):
        load_and_sample(SyncProof(BOUND), engine, policy, 2)


def test_a_load_without_effect_is_noticed_before_it_is_beyond_the_bound(served: Served):
    server, engine, policy = served
    proof = SyncProof(BOUND)
    load_and_sample(proof, engine, policy, 0)
    server.change_weights = lambda _: None
    with torch.no_grad():
        policy.model.model.norm.weight.mul_(1 + 4e-4)
    with pytest.raises(RunError, match="had no effect: the engine answers as before"):
        load_and_sample(proof, engine, policy, 1)


def test_an_answer_that_is_no_number_stops_the_run():
    class Broken(LocalEngine):
        def compute_logprobs(self, rows, temperature=1.0):
            return [[math.nan] * len(row.ids) for row in rows]

    policy = make_small_policy()
    with pytest.raises(RunError, match=r"(?s)is not finite.*no checksums"):
        SyncProof(BOUND).load(Broken(policy, 2), policy, 1)


def test_a_local_engine_on_a_copy_of_the_weights_is_noticed():
    policy = make_small_policy()
    stale = LocalEngine(replace(policy, model=copy.deepcopy(policy.model)), 2)
    stale.load = lambda _policy, version: setattr(stale, "version", version)  # type: ignore[method-assign]
    seconds = iter([0.0, 1.0, 3.0, 50.0, 60.0, 100.0, 102.0])
    proof = SyncProof(BOUND, clock=lambda: next(seconds))
    proof.load(stale, policy, 0)
    assert proof.report is not None
    assert (proof.report.load_seconds, proof.report.seconds) == (1.0, 2.0)
    train_a_little(policy)
    proof.load(stale, policy, 1)
    assert proof.report is None, "59 seconds after a proof of 2 it is too soon: that is more than 2 %"
    with pytest.raises(RunError, match="disagree"):
        proof.load(stale, policy, 2)


def test_what_was_loaded_and_proven_is_not_again(served: Served):
    server, engine, policy = served
    proof = SyncProof(BOUND)
    proof.load(engine, policy, 3)
    report, asked = proof.report, len(server.asked)
    assert report is not None
    proof.load(engine, policy, 3)
    assert proof.report is report
    assert len(server.asked) == asked
    assert (engine.pushes, engine.version, report.version) == (1, 3, 3)


def test_nothing_is_handed_on_before_the_proof_holds_and_sampling_need_not_wait(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    """The trainer's pass of the proof ends only once the server has sampled."""
    server, engine, policy = served
    sampled, order = threading.Event(), list[str]()
    compute = sync.compute_expected

    def wait_for_the_samples(*asked):
        assert sampled.wait(PATIENCE_S)
        order.append("proven")
        return compute(*asked)

    def note(reply: dict) -> dict:
        if len(reply["choices"][0]["token_ids"]) == 3:
            sampled.set()
        return reply

    monkeypatch.setattr(sync, "compute_expected", wait_for_the_samples)
    server.change["/v1/completions"] = note
    proof = SyncProof(BOUND)
    proof.load(engine, policy, 1)
    requests = [Request(range(10, 60), 4, 0)]
    engine.sample(requests, Sampling(max_new_tokens=3), lambda *_: order.append("heard"))
    assert order[0] == "proven"
    assert order.count("heard") == 4
    assert proof.report is not None
    assert 0 < proof.report.held <= proof.report.seconds


def test_a_failure_of_the_proof_itself_is_told_in_place_of_what_it_breaks_off(served: Served):
    server, engine, policy = served

    def spoil(reply: dict) -> dict:
        if len(reply["choices"][0]["token_ids"]) == sync.DRAWN_TOKENS:
            reply["choices"][0]["logprobs"] = None
        return reply

    server.change["/v1/completions"] = spoil
    proof = SyncProof(BOUND)
    proof.load(engine, policy, 1)
    with pytest.raises(RunError, match="there are no log-probabilities"):
        engine.sample([Request(range(10, 60), 8, 0)], Sampling(max_new_tokens=20))
    server.change.clear()
    load_and_sample(proof, engine, policy, 1)
    assert engine.pushes == 1, "the weights are there; what was not known is whether they are the right ones"


def test_a_failure_of_the_sampling_is_told_although_the_proof_beside_it_is_broken_off(served: Served):
    server, engine, policy = served
    proving, over = threading.Semaphore(0), threading.Event()

    def wait_or_spoil(reply: dict) -> dict:
        if len(reply["choices"][0]["token_ids"]) == sync.DRAWN_TOKENS:
            proving.release()
            over.wait(PATIENCE_S)
        else:
            reply["choices"][0]["logprobs"] = None
        return reply

    server.change["/v1/completions"] = wait_or_spoil
    SyncProof(BOUND).load(engine, policy, 1)
    assert all(proving.acquire(timeout=PATIENCE_S) for _ in range(sync.DRAWS))
    with pytest.raises(RunError, match="there are no log-probabilities"):
        engine.sample([Request(range(10, 60), 1, 0)], Sampling(max_new_tokens=20))
    over.set()


def test_a_server_that_cannot_tell_of_prompts_is_told_of_by_that(served: Served):
    """The four draws of the proof are broken off by it, and the three completions beside it."""
    server, engine, policy = served
    proof, over = start(engine, policy), threading.Event()
    waiting = threading.Semaphore(0)

    def forget(reply: dict) -> dict:
        if "prompt_logprobs" not in reply["choices"][0]:
            waiting.release()
            over.wait(PATIENCE_S)
            return reply
        assert all(waiting.acquire(timeout=PATIENCE_S) for _ in range(sync.DRAWS + 3))
        return {"choices": [reply["choices"][0] | {"prompt_logprobs": None}]}

    server.change["/v1/completions"] = forget
    with pytest.raises(RunError, match=r"log-probabilities of .* prompt tokens"):
        load_and_sample(proof, engine, policy, 1)
    over.set()


def test_a_proof_that_nothing_was_sampled_for_is_over_once_the_engine_is_closed(served: Served):
    """It waits for an answer that never comes."""
    server, engine, policy = served
    asked, over = threading.Event(), threading.Event()

    def wait(reply: dict) -> dict:
        asked.set()
        over.wait(PATIENCE_S)
        return reply

    server.change["/v1/completions"] = wait
    before = set(threading.enumerate())
    SyncProof(BOUND).load(engine, policy, 1)
    [proving] = [each for each in {*threading.enumerate()} - before if each.name == sync.THREAD]
    assert asked.wait(PATIENCE_S)
    engine.close()
    assert not proving.is_alive()
    over.set()
