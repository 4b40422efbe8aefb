"""The engine on a real vLLM server, on this machine's CPU, keeps the contract of engines."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import ClassVar

import pytest
import torch
from palaestra.tasks.core.errors import RunError
from palaestra.trainer.config.engine import EngineConfig
from palaestra.trainer.engines.base import Engine, Sampling
from palaestra.trainer.engines.choice import Extent, make_engine
from palaestra.trainer.engines.sync import SyncProof
from palaestra.trainer.engines.vllm import weights
from palaestra.trainer.engines.vllm.engine import VLLMEngine
from palaestra.trainer.engines.vllm.wire import Wire
from palaestra.trainer.model.policy import Policy

from .. import engine_contract as contract
from ..engine_contract import CHECKS, Candidate

pytestmark = pytest.mark.slow

LONGEST = 300


class TakesTurns(VLLMEngine):
    """One of several on a server: each has its own weights loaded when its turn comes. As it is asked for a
    proof, beside its sampling, it is the same one."""

    turn: ClassVar[list[str]] = []

    def load(self, policy, version):
        self.take_turn()
        super().load(policy, version)

    def sample(self, requests, sampling, finished=None):
        self.take_turn()
        return super().sample(requests, sampling, finished)

    def compute_logprobs(self, rows, temperature=1.0):
        self.take_turn()
        return super().compute_logprobs(rows, temperature)

    def take_turn(self) -> None:
        if self.turn != [self._run]:
            self.turn[:] = [self._run]
            self._loaded = None


@pytest.fixture(scope="module")
def candidate(vllm_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Candidate]:
    """An engine on a server for each arithmetic, one server at a time."""
    config, folder = EngineConfig(kind="vllm", python=vllm_python), tmp_path_factory.mktemp("vllm")
    running: dict[torch.dtype, VLLMEngine] = {}
    stack = ExitStack()

    def make(policy: Policy, rows: int) -> Engine:
        if policy.dtype not in running:
            stack.close()
            running.clear()
            engine = make_engine(policy, config, Extent(256, LONGEST), folder, print)
            assert isinstance(engine, VLLMEngine)
            running[policy.dtype] = engine
            stack.callback(engine.close)
        joined = running[policy.dtype].join(policy, rows)
        joined.__class__ = TakesTurns
        return joined

    with stack:
        yield Candidate("vllm", make, worst=2e-5, mean=2e-6)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_engine_keeps_the_contract(candidate: Candidate, check: Callable[[Candidate], None]):
    check(candidate)


@torch.no_grad()
def test_what_a_server_may_keep_of_older_weights_is_caught(
    candidate: Candidate, monkeypatch: pytest.MonkeyPatch
):
    """The load skipped, what was computed of prompts kept, a tied head kept in packed form."""
    policy = contract.make_small_policy()
    engine = candidate.make(policy, 8)
    post = Wire.post

    def load_and_sample(proof: SyncProof, version: int) -> None:
        proof.load(engine, policy, version)
        engine.sample(contract.make_requests(2), Sampling(max_new_tokens=8))

    def load_without(path: str, version: int) -> SyncProof:
        proof = SyncProof(1e-3)
        load_and_sample(proof, version)
        for parameter in policy.model.parameters():
            parameter.mul_(1.05)
        with monkeypatch.context() as patch:
            answer = {"success": True}
            patch.setattr(Wire, "post", lambda *asked: answer if asked[1] == path else post(*asked))
            with pytest.raises(RunError, match=r"engine and trainer disagree|had no effect"):
                load_and_sample(proof, version + 1)
        return proof

    load_without("/collective_rpc", 1)
    proof = load_without("/reset_prefix_cache", 3)
    load_and_sample(proof, 5)
    assert proof.report is not None
    assert proof.report.difference < 1e-5
    policy.model.lm_head.weight.mul_(1.2)
    monkeypatch.setattr(weights, "_write_head", lambda _weight, _folder: None)
    with pytest.raises(RunError, match=r"these differ: lm_head\.weight"):
        load_and_sample(proof, 6)
