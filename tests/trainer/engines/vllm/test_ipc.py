"""Weights by handles: all of them arrive, and whatever does not is noticed; files where there are none."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from palaestra.tasks.core.errors import RunError, UserError
from palaestra.trainer.config.engine import EngineConfig
from palaestra.trainer.config.settings import SettingError
from palaestra.trainer.config.shared import LoraConfig
from palaestra.trainer.engines.base import Sampling
from palaestra.trainer.engines.checks import check_engine
from palaestra.trainer.engines.sync import SyncProof
from palaestra.trainer.engines.vllm import ipc, start
from palaestra.trainer.engines.vllm.engine import VLLMEngine
from palaestra.trainer.engines.vllm.ipc import IpcTransfer, find_hindrance, pack
from palaestra.trainer.engines.vllm.start import Needs, agree, choose_handles, start_server
from palaestra.trainer.engines.vllm.wire import EngineError, Wire
from palaestra.trainer.model import lora
from palaestra.trainer.model.policy import Policy

from ...support.fake_card import FileMemory, Handles
from ...support.fake_vllm import FakeVLLM, Handler, serve
from ..engine_contract import make_requests, make_small_policy

CHUNK = 50_000  # bytes: the small model has several, and a weight that is larger


@dataclass(frozen=True)
class Served:
    policy: Policy
    server: FakeVLLM
    wire: Wire
    memory: FileMemory
    transfer: IpcTransfer
    engine: VLLMEngine

    def load_and_sample(self, version: int) -> SyncProof:
        proof = SyncProof(1e-3)
        proof.load(self.engine, self.policy, version)
        self.engine.sample(make_requests(1)[:1], Sampling(max_new_tokens=2))
        return proof


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(ipc, "CHUNK_BYTES", CHUNK)
    policy = make_small_policy()
    with serve(tmp_path, policy.model) as (server, wire):
        server.handles, memory = Handles(), FileMemory(tmp_path)
        transfer = IpcTransfer(wire, policy.model.state_dict(), memory)
        yield Served(policy, server, wire, memory, transfer, VLLMEngine(policy, wire, transfer, rows=4))


@torch.no_grad()
def change(policy: Policy) -> None:
    for place, weight in enumerate(policy.model.parameters()):
        weight.mul_(1.01 + 0.001 * place)


def test_all_weights_arrive_chunk_by_chunk_in_one_buffer(served: Served, tmp_path: Path):
    served.transfer.agree()
    change(served.policy)
    report = served.load_and_sample(1).report
    assert report is not None
    assert report.difference < 1e-6
    state = served.policy.model.state_dict()
    for name, weight in served.server.model.state_dict().items():
        assert torch.equal(weight, state[name]), name
    updates = served.server.asked.count("/update_weights")
    assert updates > 2
    assert served.memory.waits == updates, "nothing is read before it is written"
    assert served.engine.facts["weights"] == "ipc"
    assert not [*tmp_path.glob("buffer-*")], "the memory is given back"
    order = [path for path in served.server.asked if path in ORDER]
    assert list(dict.fromkeys(order)) == list(ORDER)


ORDER = (
    "/get_world_size", "/init_weight_transfer_engine", "/start_weight_update", "/update_weights",
    "/finish_weight_update", "/reset_prefix_cache", "/update_weight_version",
)  # fmt: skip


def test_adapters_are_merged_on_their_way(served: Served):
    served.transfer.agree()
    lora.add_adapters(served.policy.model, LoraConfig(lora_rank=4), 0)
    with torch.no_grad():
        for name, weight in served.policy.model.named_parameters():
            if ".lora_B" in name:
                weight.add_(0.1)
    served.load_and_sample(1)
    merged = lora.merge_adapters(served.policy.model)
    for name, weight in served.server.model.state_dict().items():
        assert torch.equal(weight, merged[name]), name


def test_numbers_are_sent_in_the_type_that_the_policy_computes_in():
    weights = [("a", torch.randn(3, 5)), ("b", torch.tensor([7, 8])), ("c", torch.tensor(0.5))]
    buffer = torch.empty(64, dtype=torch.uint8)
    found, taken = list[str](), dict[str, torch.Tensor]()
    for parts in pack(weights, buffer, torch.bfloat16):
        begin = 0
        for part in parts:
            numbers = buffer[begin : begin + part.size].view(part.dtype)
            taken[part.name] = numbers.view(tuple(part.shape)).clone()
            begin += part.size
        found.append("".join(part.name for part in parts))
    assert found == ["a", "b", "c"], "a chunk has one type"
    assert torch.equal(taken["a"], weights[0][1].bfloat16())
    assert torch.equal(taken["b"], weights[1][1])
    assert float(taken["c"]) == 0.5


def test_a_weight_that_is_left_out_stops_the_run(served: Served, monkeypatch: pytest.MonkeyPatch):
    served.transfer.agree()
    served.load_and_sample(1)
    left = "model.layers.1.mlp.down_proj.weight"

    def leave_out(weights, buffer, dtype):
        return pack((each for each in weights if each[0] != left), buffer, dtype)

    monkeypatch.setattr(ipc, "pack", leave_out)
    change(served.policy)
    with pytest.raises(RunError, match=r"disagree.*these differ: model\.layers\.1\.mlp\.down_proj\.weight\."):
        served.load_and_sample(2)


def test_memory_that_is_gone_before_the_server_has_finished_is_noticed(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    served.transfer.agree()
    post = Wire.post

    def lose(wire: Wire, path: str, body: dict, *, again: bool = True) -> object:
        if path == "/finish_weight_update":
            for file in served.memory._paths.values():
                file.unlink(missing_ok=True)
        return post(wire, path, body, again=again)

    monkeypatch.setattr(Wire, "post", lose)
    with pytest.raises(EngineError, match="handle is gone"):
        served.engine.load(served.policy, 1)


@pytest.mark.parametrize("path", ["/start_weight_update", "/update_weights", "/finish_weight_update"])
def test_half_an_update_is_no_version_and_nothing_is_sent_after_it(served: Served, path: str):
    served.transfer.agree()
    served.engine.load(served.policy, 1)

    def hang_up(_: Handler) -> None:
        asked.append(path)

    asked = list[str]()
    served.server.answer[path] = hang_up
    with pytest.raises(EngineError, match="broke off in its middle, so it is not known which"):
        served.engine.load(served.policy, 2)
    assert asked == [path], "it is not asked again: it may have been done"
    assert served.engine.version == 1
    served.server.answer.clear()
    with pytest.raises(EngineError, match="half of some weights"):
        served.engine.sample(make_requests(1), Sampling(max_new_tokens=2))


@pytest.mark.parametrize("where", ["allocate", "share", "wait"])
def test_memory_that_runs_out_ends_in_a_sentence_with_the_other_way(
    served: Served, monkeypatch: pytest.MonkeyPatch, where: str
):
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    served.transfer.agree()
    monkeypatch.setattr(served.memory, where, fail)
    with pytest.raises(EngineError, match="CUDA out of memory") as caught:
        served.engine.load(served.policy, 1)
    assert caught.value.flags == "--engine-weights files"
    sent = "/start_weight_update" in served.server.asked
    assert sent == (where == "wait"), "without memory nothing is begun"


def test_a_label_that_is_not_set_is_noticed(served: Served):
    served.transfer.agree()
    served.server.answer["/update_weight_version"] = lambda handler: handler.send(200, b"{}")
    with pytest.raises(EngineError, match="goes by other weights"):
        served.load_and_sample(1)


@pytest.mark.parametrize("reason", ["not configured", "2 processes", "can't be shared"])
def test_where_the_server_takes_no_handles_files_serve(
    served: Served, monkeypatch: pytest.MonkeyPatch, reason: str
):
    if reason == "not configured":
        served.server.handles = None
    elif reason == "2 processes":
        served.server.change["/get_world_size"] = lambda _: {"world_size": 2}
    else:

        def fail(_: torch.Tensor) -> object:
            raise RuntimeError("invalid argument")

        monkeypatch.setattr(served.memory, "share", fail)
    said = list[str]()
    assert not agree(served.transfer, EngineConfig(kind="vllm"), said.append)
    assert len(said) == 1
    assert "by files" in said[0]
    assert reason in said[0]
    with pytest.raises(EngineError, match=reason):
        agree(served.transfer, EngineConfig(kind="vllm", weights="ipc"), said.append)


@pytest.fixture
def on_card(monkeypatch: pytest.MonkeyPatch) -> Policy:
    """A policy that says that it is on a card."""
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    return replace(make_small_policy(), device=torch.device("cuda"))


def test_handles_are_taken_where_both_are_in_one_process_on_one_card(on_card: Policy):
    names = [*on_card.model.state_dict()]
    assert find_hindrance(on_card, [], names) == ""
    assert "on the cpu" in find_hindrance(make_small_policy(), [], names)
    second = replace(on_card, device=torch.device("cuda:1"))
    assert "CUDA_VISIBLE_DEVICES" in find_hindrance(second, [], names)
    assert "another card" in find_hindrance(on_card, ["--max-num-seqs=3", "--device-ids=1"], names)
    assert "(experts.0.weight, ...)" in find_hindrance(on_card, [], [*names, "experts.0.weight"])
    said = list[str]()
    for weights, device, expected in (("auto", "cuda:1", 1), ("files", "cuda:1", 0), ("auto", "cpu", 0)):
        policy = replace(on_card, device=torch.device(device))
        said.clear()
        assert not choose_handles(policy, EngineConfig(kind="vllm", weights=weights), names, said.append)
        assert len(said) == expected


def test_asking_for_handles_where_there_can_be_none_is_refused_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(start, "find_python", lambda *_: tmp_path)
    monkeypatch.setattr(start.Server, "start", lambda *_: pytest.fail("it was started"))
    config = EngineConfig(kind="vllm", weights="ipc")
    with pytest.raises(UserError, match=r"--engine-weights ipc can't be: .* the policy is on the cpu"):
        start_server(make_small_policy(), config, Needs(2, 20), tmp_path, print)
    with pytest.raises(SettingError, match="engine_url names another"):
        EngineConfig(kind="vllm", weights="ipc", url="http://localhost:8000")
    with pytest.raises(UserError, match="--engine-weights would have no effect"):
        check_engine(EngineConfig(weights="files"))


@pytest.mark.parametrize("sleeps", [False, True])
@pytest.mark.parametrize("takes", [False, True])
def test_a_server_on_the_card_is_started_for_handles_and_for_sleep(
    on_card: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, sleeps: bool, takes: bool
):
    launched = list[start.Launch]()
    with serve(tmp_path, on_card.model) as (server, wire):
        server.handles = Handles() if takes else None

        class Started:
            def __init__(self) -> None:
                self.wire = wire

            def stop(self) -> None:
                launched.clear()

            @classmethod
            def start(cls, launch: start.Launch, *_: object) -> "Started":
                launched.append(launch)
                return cls()

        monkeypatch.setattr(start, "Server", Started)
        monkeypatch.setattr(start, "find_python", lambda *_: tmp_path)
        monkeypatch.setattr(ipc, "CardMemory", lambda _: FileMemory(tmp_path))
        said, config = list[str](), EngineConfig(kind="vllm", folder=str(tmp_path), flags=("--mine",))
        engine = start_server(on_card, config, Needs(2, 20, sleeps), tmp_path, said.append)
        [launch] = launched
        assert launch.flags[launch.flags.index("--weight-transfer-config") + 1] == '{"backend": "ipc"}'
        assert launch.environment == {"VLLM_ALLOW_INSECURE_SERIALIZATION": "1"}
        assert ("--enable-sleep-mode" in launch.flags) == sleeps
        assert launch.flags[-1] == "--mine", "what the user says wins"
        assert engine.facts["weights"] == ("ipc" if takes else "files")
        assert len(said) == (not takes)
        engine.load(on_card, 1)
        engine.free()
        assert engine.asleep == sleeps
        engine.close()
        assert not launched
