"""The engine on a server that goes wrong in every way: each ends in a sentence, none in numbers."""

import http.client
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.engines.base import Row, Sampling
from palaestra.trainer.engines.vllm import wire as wire_module
from palaestra.trainer.engines.vllm.engine import VLLMEngine
from palaestra.trainer.engines.vllm.transfer import FileTransfer
from palaestra.trainer.engines.vllm.wire import EngineError, Wire
from palaestra.trainer.model.policy import Policy

from ...support.fake_vllm import FakeVLLM, Handler, serve
from .. import engine_contract as contract
from ..engine_contract import Candidate, make_requests, make_small_policy

COMPLETIONS = "/v1/completions"
PATIENCE_S = 0.3
LATE_S = 20.0  # by which a hang must have ended, on a busy machine


@pytest.fixture(scope="module")
def policy() -> Policy:
    return make_small_policy()


@pytest.fixture
def served(policy: Policy, tmp_path: Path) -> Iterator[tuple[FakeVLLM, VLLMEngine]]:
    with serve(tmp_path, policy.model) as (server, wire):
        yield server, VLLMEngine(policy, wire, FileTransfer(wire, tmp_path / "weights"), rows=4)


def sample(engine: VLLMEngine) -> None:
    engine.sample(make_requests(2), Sampling(max_new_tokens=3))


@pytest.mark.parametrize(
    "check",
    [
        contract.check_results_follow_the_requests,
        contract.check_greedy,
        contract.check_the_budget_of_a_request,
    ],
    ids=lambda check: check.__name__,
)
def test_on_a_server_that_works_the_contract_is_kept(tmp_path: Path, check: Callable[[Candidate], None]):
    with serve(tmp_path, make_small_policy().model) as (_, wire):
        engines: list[VLLMEngine] = []

        def make(policy: Policy, rows: int) -> VLLMEngine:
            engines.append(VLLMEngine(policy, wire, FileTransfer(wire, tmp_path / "weights"), rows))
            return engines[-1]

        check(Candidate("fake", make, worst=1e-4, mean=1e-5))
        assert sum(engine.pushes for engine in engines) >= 1


def change_choice(**changes: object) -> Callable[[dict], dict]:
    """A reply whose choice has other values; functions are given the old one."""

    def change(reply: dict) -> dict:
        choice = reply["choices"][0]
        for name, value in changes.items():
            choice[name] = value(choice[name]) if callable(value) else value
        return reply

    return change


def with_logprobs(change: Callable[[list], object]) -> Callable[[dict], dict]:
    return change_choice(logprobs=lambda said: {**said, "token_logprobs": change(said["token_logprobs"])})


WRONG_REPLIES: dict[str, tuple[Callable[[dict], object], str]] = {
    "no choices": (lambda _: {"choices": []}, "not one choice"),
    "two choices": (lambda reply: {"choices": reply["choices"] * 2}, "not one choice"),
    "no object": (lambda _: [], "not one choice"),
    "no ids": (change_choice(token_ids=None), "no token ids"),
    "ids as text": (change_choice(token_ids=lambda ids: [*map(str, ids)]), "no token ids"),
    "too many ids": (change_choice(token_ids=lambda ids: ids * 5), "1 to 3 were asked for"),
    "none": (change_choice(token_ids=[]), "1 to 3 were asked for"),
    "an unknown id": (change_choice(token_ids=lambda ids: [103, *ids[1:]]), "not one of the model's 103"),
    "a negative id": (change_choice(token_ids=lambda ids: [-1, *ids[1:]]), "not one of the model's 103"),
    "no logprobs": (change_choice(logprobs=None), "there are no log-probabilities"),
    "too few logprobs": (with_logprobs(lambda found: found[1:]), "log-probabilities of"),
    "nan": (with_logprobs(lambda found: [math.nan, *found[1:]]), "stands for a log-probability"),
    "null": (with_logprobs(lambda found: [None, *found[1:]]), "None stands for a log-probability"),
    "infinite": (with_logprobs(lambda found: [-math.inf, *found[1:]]), "stands for a log-probability"),
    "a huge number": (with_logprobs(lambda found: [-(10**400), *found[1:]]), "-10000.* is no log-prob"),
    "a text": (with_logprobs(lambda found: ["-0.5", *found[1:]]), "'-0.5' stands for a log-probability"),
    "a probability": (with_logprobs(lambda found: [0.7, *found[1:]]), "0.7 is no log-probability"),
    "impossible": (with_logprobs(lambda found: [-9999.0, *found[1:]]), "-9999 is no log-probability"),
    "another prompt": (change_choice(prompt_token_ids=[1, 2]), "another prompt"),
    "a number for a prompt": (change_choice(prompt_token_ids=7), "another prompt"),
    "no prompt": (change_choice(prompt_token_ids=None), "return_token_ids"),
    "no end": (change_choice(finish_reason=None), "ended by None"),
    "aborted": (change_choice(finish_reason="abort"), "ended by 'abort'"),
    "an end by nothing": (change_choice(finish_reason="stop", token_ids=[5, 6, 7]), "ended by nothing"),
    "on after an end": (change_choice(finish_reason="length", token_ids=[5, 1, 7]), "after an end token"),
    "cut early": (
        change_choice(finish_reason="length", token_ids=[5], logprobs={"token_logprobs": [-1.0]}),
        "--max-model-len",
    ),
}


@pytest.mark.parametrize("name", WRONG_REPLIES)
def test_a_reply_that_is_not_what_was_asked_for_is_refused(served, name: str):
    server, engine = served
    change, words = WRONG_REPLIES[name]
    server.change[COMPLETIONS] = change
    with pytest.raises(EngineError, match=words):
        sample(engine)
    server.change.clear()
    sample(engine)  # it can be used again


def hang(handler: Handler) -> None:
    time.sleep(3 * PATIENCE_S)


def trickle(handler: Handler) -> None:
    handler.send(200, b"", length=10**6)
    for _ in range(60):
        handler.wfile.write(b" ")
        time.sleep(PATIENCE_S / 10)


FAILURES: dict[str, tuple[Callable[[Handler], None], str]] = {
    "hang": (hang, "has not answered /v1/completions within 0.3 s"),
    "trickle": (trickle, "has not answered /v1/completions within 0.3 s"),
    "death before an answer": (lambda handler: None, "was lost at /v1/completions"),
    "death in the middle": (lambda handler: handler.send(200, b'{"choices"', length=99), "was lost"),
    "cut JSON": (lambda handler: handler.send(200, b'{"choices": [{'), "no JSON"),
    "a page": (lambda handler: handler.send(200, b"<html>"), "no JSON"),
    "depth": (lambda handler: handler.send(200, b"[" * 10**5), "no JSON"),
    "500": (lambda handler: handler.send(500, b"EngineDeadError"), "status 500: EngineDeadError"),
    "400": (lambda handler: handler.send(400, b'{"error": "too long"}'), "status 400: .*too long"),
    "401": (lambda handler: handler.send(401, b""), "VLLM_API_KEY"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_server_that_fails_ends_in_a_sentence_in_time(policy: Policy, tmp_path: Path, name: str):
    answer, words = FAILURES[name]
    with serve(tmp_path, policy.model) as (server, wire):
        engine = VLLMEngine(policy, wire, FileTransfer(wire, tmp_path / "weights"), rows=4)
        engine.load(policy, 1)
        if name in ("hang", "trickle"):
            wire.timeout = PATIENCE_S
        server.answer[COMPLETIONS] = answer
        start = time.monotonic()
        with pytest.raises(EngineError, match=words):
            sample(engine)
        assert time.monotonic() - start < LATE_S
        server.answer.clear()
        wire.timeout = 60.0
        sample(engine)


def test_where_nothing_listens_the_sentence_says_so(policy: Policy, tmp_path: Path):
    for address in (f"unix:{tmp_path / 'nothing'}", "http://127.0.0.1:9"):
        wire = Wire(address, 5.0)
        engine = VLLMEngine(policy, wire, FileTransfer(wire, tmp_path / "weights"))
        with pytest.raises(EngineError, match="Does a server listen there"):
            sample(engine)


ROUTES = {
    "/collective_rpc": (lambda handler: handler.send(404, b"{}"), "VLLM_SERVER_DEV_MODE=1"),
    "/reset_prefix_cache": (
        lambda handler: handler.send(200, b'{"success": false}'),
        "under the old weights",
    ),
    "/update_weight_version": (lambda handler: handler.send(500, b"no"), "status 500"),
}


@pytest.mark.parametrize("path", ROUTES)
def test_weights_that_are_not_taken_are_no_version(served, policy: Policy, path: str):
    server, engine = served
    engine.load(policy, 1)
    answer, words = ROUTES[path]
    server.answer[path] = answer
    with pytest.raises(EngineError, match=words):
        engine.load(policy, 2)
    assert engine.version == 1
    server.answer.clear()
    engine.load(policy, 2)
    assert (engine.version, engine.pushes) == (2, 2)


def test_a_server_that_was_started_anew_or_that_somebody_else_has_loaded_is_noticed(served, policy: Policy):
    server, engine = served
    engine.load(policy, 1)
    for other in ("default", "another/1"):
        server.version = other
        with pytest.raises(EngineError, match=f"other weights \\({other}\\)"):
            sample(engine)
        sample(engine)  # with the weights loaded anew


def test_what_the_model_has_no_embedding_of_is_not_sent(served):
    server, engine = served
    with pytest.raises(UserError, match="beyond the model's 103 tokens"):
        engine.compute_logprobs([Row([1], [103])])
    with pytest.raises(UserError, match=r"0\.01"):
        engine.sample(make_requests(1), Sampling(temperature=0.001))
    assert COMPLETIONS not in server.asked


def test_each_completion_knows_the_version_of_its_weights(served, policy: Policy):
    _, engine = served
    engine.load(policy, 7)
    [(completion,)] = engine.sample(make_requests(1)[:1], Sampling(max_new_tokens=2))
    assert completion.version == 7


def test_a_connection_is_kept_from_question_to_question(served):
    server, engine = served
    assert [engine.facts for _ in range(3)] == [{"vllm": "0.0", "weights": "files"}] * 3
    assert (server.connections, server.asked) == (1, ["/version"] * 3)


def test_a_connection_that_answers_as_all_are_ended_is_closed(
    policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    opened: list[http.client.HTTPConnection] = []
    open_connection, read = wire_module._open_connection, wire_module._read

    def read_and_hang_up(reply: http.client.HTTPResponse, end: float) -> bytes:
        text = read(reply, end)
        wire.hang_up()
        return text

    def open_and_tell(address: str, limit: float) -> http.client.HTTPConnection:
        opened.append(open_connection(address, limit))
        return opened[-1]

    monkeypatch.setattr(wire_module, "_open_connection", open_and_tell)
    monkeypatch.setattr(wire_module, "_read", read_and_hang_up)
    with serve(tmp_path, policy.model) as (_, wire):
        assert wire.get("/version")
        assert [connection.sock for connection in opened] == [None]
