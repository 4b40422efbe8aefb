"""A real vLLM server, on this machine's CPU, takes weights by handles and the order of sleep and wake.

A card's memory is played by files; all else of its backend "ipc" runs as it would. Sleep frees nothing on a
CPU, but the engine's core pauses and resumes as on a card.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from palaestra.tasks.core.errors import RunError
from palaestra.trainer.config.engine import EngineConfig
from palaestra.trainer.config.shared import LoraConfig
from palaestra.trainer.engines.base import Row, Sampling
from palaestra.trainer.engines.sync import SyncProof, compute_expected
from palaestra.trainer.engines.vllm import ipc
from palaestra.trainer.engines.vllm.engine import VLLMEngine
from palaestra.trainer.engines.vllm.server import Launch, Server
from palaestra.trainer.engines.vllm.sleep import SleepMode
from palaestra.trainer.engines.vllm.start import Needs, make_folder, write_flags
from palaestra.trainer.engines.vllm.weights import list_names, write_model
from palaestra.trainer.model import lora
from palaestra.trainer.model.policy import Policy

from ...support import fake_card
from ...support.fake_card import FileMemory
from ..engine_contract import make_requests, make_small_policy

pytestmark = pytest.mark.slow

CHUNK = 200_000  # bytes: the small model has several
CLOSE = 1e-4  # nats


@pytest.fixture(scope="module")
def policy() -> Policy:
    return make_small_policy()


@pytest.fixture(scope="module")
def engine(
    vllm_python: str, policy: Policy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VLLMEngine]:
    place = tmp_path_factory.mktemp("card")
    folder = make_folder(policy)
    write_model(policy, folder / "weights")
    flags = [*write_flags(policy, EngineConfig(kind="vllm"), Needs(16, 200)), *ipc.FLAGS]
    script = Path(fake_card.__file__).with_name("card_server.py")
    module = [shutil.copy(script, folder)]  # beside no module that hides one of vLLM's
    python, model = Path(vllm_python), folder / "weights"
    launch = Launch(python, model, folder, place / "log", flags, module, environment=ipc.ENVIRONMENT)
    server = Server.start(launch, 600.0)
    handles = ipc.IpcTransfer(server.wire, list_names(model), FileMemory(place))
    mode = SleepMode(server.wire)
    engine = VLLMEngine(policy, server.wire, handles, rows=16, end=server.stop, sleep_mode=mode)
    handles.agree()
    yield engine
    engine.close()


@torch.no_grad()
def change(policy: Policy) -> None:
    for weight in policy.model.parameters():
        weight.add_(0.05 * torch.randn_like(weight))


def measure_gap(engine: VLLMEngine, policy: Policy) -> float:
    """The largest difference of the log-probabilities of what is drawn, in nats."""
    groups = engine.sample(make_requests(2), Sampling(max_new_tokens=8))
    drawn = [completion for group in groups for completion in group]
    expected = compute_expected(policy, [Row(one.prompt_ids, one.ids) for one in drawn])
    return max(
        abs(one - other)
        for completion, row in zip(drawn, expected, strict=True)
        for one, other in zip(completion.logprobs, row, strict=True)
    )


def test_what_is_drawn_is_of_the_weights_that_were_sent(
    engine: VLLMEngine, policy: Policy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ipc, "CHUNK_BYTES", CHUNK)
    engine.load(policy, 1)
    assert measure_gap(engine, policy) < CLOSE
    change(policy)
    assert measure_gap(engine, policy) > 100 * CLOSE, "it has the weights of before"
    engine.load(policy, 2)
    assert measure_gap(engine, policy) < CLOSE
    found = engine.compare_weights(policy)
    assert found is not None
    assert found.compared > 0
    assert found.names == ()


def test_adapters_are_merged_on_their_way(engine: VLLMEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ipc, "CHUNK_BYTES", CHUNK)
    adapted = make_small_policy(seed=3)
    lora.add_adapters(adapted.model, LoraConfig(lora_rank=4), 0)
    with torch.no_grad():
        for name, weight in adapted.model.named_parameters():
            if ".lora_B" in name:
                weight.add_(0.1)
    engine.load(adapted, 3)
    assert measure_gap(engine, adapted) < CLOSE


def test_it_sleeps_and_wakes_with_the_weights_of_the_next_load(engine: VLLMEngine, policy: Policy):
    proof = SyncProof(1e-3)
    for version in (4, 5):
        proof.load(engine, policy, version)
        assert measure_gap(engine, policy) < CLOSE
        engine.free()
        assert engine._wire.get("/is_sleeping") == {"is_sleeping": True}
        change(policy)
    assert measure_gap(engine, policy) < CLOSE, "what is asked of it asleep loads first"
    assert engine._wire.get("/is_sleeping") == {"is_sleeping": False}


def test_a_layer_that_is_left_out_stops_the_run(
    engine: VLLMEngine, policy: Policy, monkeypatch: pytest.MonkeyPatch
):
    pack = ipc.pack

    def leave_out(weights, buffer, dtype):
        return pack((each for each in weights if ".layers.1.mlp.down_proj" not in each[0]), buffer, dtype)

    proof = SyncProof(1e-3)
    proof.load(engine, policy, 6)
    assert measure_gap(engine, policy) < CLOSE
    change(policy)
    monkeypatch.setattr(ipc, "pack", leave_out)
    proof.load(engine, policy, 7)
    with pytest.raises(RunError, match="engine and trainer disagree"):
        measure_gap(engine, policy)


def test_half_an_update_ends_in_a_sentence_and_is_never_gone_on_with(
    engine: VLLMEngine, policy: Policy, monkeypatch: pytest.MonkeyPatch
):
    """The last of the tests: the server is of no use afterwards."""
    with monkeypatch.context() as patch:
        patch.setattr(FileMemory, "uuid", "another card")
        with pytest.raises(RunError, match="broke off in its middle"):
            engine.load(policy, 8)
    with pytest.raises(RunError, match="half of some weights"):
        engine.load(policy, 8)
