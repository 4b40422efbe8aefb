"""Completions from a server, against one that misbehaves on purpose."""

import threading
from collections.abc import Callable

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.evaluation import EndpointConfig
from palaestra.trainer.engines.base import Request, Sampling
from palaestra.trainer.engines.endpoint import EndpointEngine, Pace

from ..support import server
from ..support.server import FAULTS, answer, serve

SAMPLING = Sampling(temperature=0.5, max_new_tokens=9)


def make_requests(count: int, samples: int = 1) -> list[Request]:
    return [Request((), samples, n, messages=[{"role": "user", "content": f"q{n}"}]) for n in range(count)]


def make_engine(url: str, **settings) -> EndpointEngine:
    return EndpointEngine(EndpointConfig(url=url, **settings), "tiny", first_delay=0.001)


def list_texts(completions) -> list[list[str]]:
    return [[completion.text for completion in group] for group in completions]


def test_requests_are_what_the_sampling_says():
    with serve() as there:
        engine = EndpointEngine(EndpointConfig(url=there.url), "tiny", {"enable_thinking": False})
        sampling = Sampling(0.7, top_k=5, top_p=0.9, min_p=0.1, max_new_tokens=33)
        [[first, second]] = engine.sample(make_requests(1, 2), sampling)
    assert (first.text, first.finish_reason, first.tokens, first.prompt_tokens) == ("echo q0", "stop", 7, 5)
    assert second.text == "echo q0"
    sent = sorted(there.bodies, key=lambda body: body.pop("seed"))
    assert sent[0] == sent[1]
    assert sent[0] == {
        "model": "tiny", "messages": [{"role": "user", "content": "q0"}], "max_tokens": 33,
        "temperature": 0.7, "top_p": 0.9, "top_k": 5, "min_p": 0.1,
        "chat_template_kwargs": {"enable_thinking": False},
    }  # fmt: skip


def test_a_sample_has_a_seed_of_its_own_whatever_else_is_asked():
    def read_seeds(requests: list[Request]) -> set[int]:
        with serve() as there:
            make_engine(there.url).sample(requests, SAMPLING)
        return {body["seed"] for body in there.bodies}

    message = [{"role": "user", "content": "q"}]
    whole = read_seeds([Request((), 4, 7, messages=message)])
    assert len(whole) == 4
    assert read_seeds([Request((), 2, 7, 2, message)]) | read_seeds([Request((), 2, 7, 0, message)]) == whole
    assert not read_seeds([Request((), 4, 8, messages=message)]) & whole


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_what_goes_wrong_on_the_way_is_asked_again(fault: Callable):
    with serve(faults=[fault, None], again=2) as there:
        told = []
        found = make_engine(there.url, concurrency=4).sample(
            make_requests(8),
            SAMPLING,
            lambda request, place, completion: told.append((request, completion.text)),
        )
    assert list_texts(found) == [[f"echo q{n}"] for n in range(8)]
    assert sorted(told) == [(n, f"echo q{n}") for n in range(8)]
    assert len(there.bodies) > 8


def test_64_requests_are_in_flight_and_none_is_lost_though_a_third_is_dropped():
    with serve(faults=[server.drop, None, None], meet=64) as there:
        found = make_engine(there.url, concurrency=64).sample(make_requests(640), SAMPLING)
    assert list_texts(found) == [[f"echo q{n}"] for n in range(640)]
    assert there.most == 64
    assert len(there.bodies) > 800


def test_the_other_interface_goes_on_with_texts():
    with serve() as there:
        found = make_engine(there.url, api="completions").sample(make_requests(2), SAMPLING)
    assert list_texts(found) == [["echo q0"], ["echo q1"]]
    assert sorted(body["prompt"] for body in there.bodies) == ["q0", "q1"]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_kept_apart_from_the_text(name: str):
    def reply(body: dict) -> dict:
        said = answer(body, "42")
        said["choices"][0]["message"][name] = "six by seven"
        return said

    with serve(reply=reply) as there:
        [[completion]] = make_engine(there.url).sample(make_requests(1), SAMPLING)
    assert (completion.text, completion.reasoning) == ("42", "six by seven")


def test_all_reasoning_and_no_text_is_a_completion_that_was_cut():
    def reply(body: dict) -> dict:
        said = answer(body)
        said["choices"][0] |= {"finish_reason": "length"}
        said["choices"][0]["message"] = {"role": "assistant", "content": None, "reasoning_content": "hm"}
        return said | {"usage": None}

    with serve(reply=reply) as there:
        [[completion]] = make_engine(there.url).sample(make_requests(1), SAMPLING)
    assert (completion.text, completion.reasoning, completion.finish_reason) == ("", "hm", "length")
    assert completion.tokens == 0


def test_a_stop_string_ends_the_text_and_stays_in_it():
    with serve(reply=lambda body: answer(body, "a</x>b</y>c")) as there:
        sampling = Sampling(max_new_tokens=9, stop=("</y>", "</x>"))
        [[completion]] = make_engine(there.url).sample(make_requests(1), sampling)
    assert completion.text == "a</x>"


def test_a_budget_by_another_name_and_no_seed_are_found_out():
    def reply(body: dict):
        if "max_tokens" in body:
            return 400, {"error": {"message": "Use 'max_completion_tokens' instead."}}
        if "seed" in body:
            return 422, {"error": {"message": "Extra inputs are not permitted: seed"}}
        return answer(body)

    with serve(reply=reply) as there:
        found = make_engine(there.url, concurrency=4).sample(make_requests(12), SAMPLING)
    assert list_texts(found) == [[f"echo q{n}"] for n in range(12)]
    assert there.bodies[-1].keys() == {"model", "messages", "max_completion_tokens", "temperature"}


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "environment variable MY_KEY"),
        (404, "Is the model's name right"),
        (400, "Change the settings that it names"),
    ],
)
def test_a_refusal_is_a_sentence_without_the_key(status: int, says: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_KEY", "sk-very-secret")

    def reply(_body: dict):
        return status, {"error": {"message": "sk-very-secret is wrong"}}

    with serve(reply=reply) as there, pytest.raises(UserError, match=says) as caught:
        make_engine(there.url, key_variable="MY_KEY").sample(make_requests(3), SAMPLING)
    assert "secret" not in str(caught.value)
    assert "***" in str(caught.value)
    assert all(headers["authorization"] == "Bearer sk-very-secret" for headers in map(lower, there.headers))


@pytest.mark.parametrize("shown", ["sk-very-secret-key", "sk-ve***ry-secret-key"])
def test_a_key_that_the_server_says_is_on_no_record(shown: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_KEY", "sk-very-secret-key")

    def reply(body: dict):
        return answer(body, f"Is it {shown}? <answer>4</answer>", model=f"for {shown}")

    def refuse(_body: dict):
        return 401, {"error": {"message": f"Incorrect key: {shown}"}}

    with serve(reply=reply) as there:
        engine = make_engine(there.url, key_variable="MY_KEY")
        [[completion]] = engine.sample(make_requests(1), SAMPLING)
    assert "secret" not in completion.text
    assert completion.text.endswith("? <answer>4</answer>")
    assert "secret" not in str(engine.said)
    with serve(reply=refuse) as there, pytest.raises(UserError) as caught:
        make_engine(there.url, key_variable="MY_KEY").sample(make_requests(1), SAMPLING)
    assert "secret" not in str(caught.value)


def test_a_short_key_changes_no_text(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_KEY", "EMPTY")
    with serve(reply=lambda body: answer(body, "The set is EMPTY.")) as there:
        [[completion]] = make_engine(there.url, key_variable="MY_KEY").sample(make_requests(1), SAMPLING)
    assert completion.text == "The set is EMPTY."


def test_a_text_in_parts_is_read_and_counts_below_0_are_not_known():
    def reply(body: dict) -> dict:
        said = answer(body, usage={"completion_tokens": -5, "prompt_tokens": "many"})
        parts = [{"type": "text", "text": "It is "}, {"type": "text", "text": "4."}]
        said["choices"][0]["message"]["content"] = parts
        return said

    with serve(reply=reply) as there:
        [[completion]] = make_engine(there.url).sample(make_requests(1), SAMPLING)
    assert completion.text == "It is 4."
    assert (completion.tokens, completion.prompt_tokens) == (0, 0)


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def test_what_has_arrived_is_handed_over_before_a_failure_is_raised():
    def reply(body: dict):
        return (500, {}) if body["messages"][0]["content"] == "q3" else answer(body)

    told = []
    with serve(reply=reply) as there, pytest.raises(UserError, match=r"failed 3 times.*--retries"):
        make_engine(there.url, concurrency=1, retries=2).sample(
            make_requests(9), SAMPLING, lambda request, place, completion: told.append(request)
        )
    assert told == [0, 1, 2]


def test_what_the_caller_raises_ends_the_call_and_the_engine_goes_on():
    def refuse(*_):
        raise KeyboardInterrupt

    with serve() as there:
        engine = make_engine(there.url)
        with pytest.raises(KeyboardInterrupt):
            engine.sample(make_requests(5), SAMPLING, refuse)
        assert list_texts(engine.sample(make_requests(1), SAMPLING)) == [["echo q0"]]


def test_the_server_says_what_it_is():
    with serve() as there:
        engine = make_engine(there.url)
        engine.look()
        assert engine.said == {"id": "tiny", "owned_by": "tests", "created": 3}
        engine.sample(make_requests(2), SAMPLING)
        assert engine.said == {
            "id": "tiny", "owned_by": "tests", "created": 3,
            "model": ["tiny-of-today"], "system_fingerprint": ["fp_7"],
        }  # fmt: skip
        listed = EndpointEngine(EndpointConfig(url=there.url), "listed")
        listed.look()
        assert listed.said == {"id": "listed", "owned_by": "tests", "created": 3}
        unlisted = EndpointEngine(EndpointConfig(url=there.url), "other")
        unlisted.look()
        assert unlisted.said == {}


def test_nothing_that_listens_is_found_out_before_anything_is_asked():
    with serve() as there:
        url = there.url
    with pytest.raises(UserError, match=r"The endpoint http://127.* failed"):
        make_engine(url).look()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("localhost:8000", "give the base URL"),
        ("http://", "give the base URL"),
        ("http://[", "give the base URL"),
        ("https://me:secret@host/v1", "leave user, password"),
        ("https://host/v1?key=secret", "leave user, password"),
    ],
)
def test_a_url_that_is_none_or_holds_a_secret_is_refused(url: str, says: str):
    with pytest.raises(UserError, match=says) as caught:
        EndpointConfig(url=url)
    assert "secret" not in str(caught.value)


def test_requests_keep_the_pace():
    class Slept(threading.Event):
        now = 0.0

        def wait(self, timeout=None):
            self.now += timeout or 0.0
            return False

    never = Slept()
    pace, free = (Pace(per_minute, lambda: never.now) for per_minute in (6000, 0))
    for _ in range(11):
        pace.wait(never)
    assert never.now == pytest.approx(0.1)
    free.wait(never)
    assert never.now == pytest.approx(0.1)
    pace.pause(0.05)
    pace.wait(never)
    assert never.now == pytest.approx(0.15)


@pytest.mark.parametrize(
    "error",
    [
        {"message": "The prompt triggered the content management policy.", "code": "content_filter"},
        {"message": "This model's maximum context length is 4096 tokens.", "code": 400},
        {"message": "Too long.", "code": "context_length_exceeded"},
    ],
)
def test_a_prompt_that_is_refused_has_an_empty_completion_and_the_others_go_on(error: dict):
    def reply(body: dict):
        return (400, {"error": error}) if body["messages"][0]["content"] == "q3" else answer(body)

    with serve(reply=reply) as there:
        engine = make_engine(there.url, concurrency=1)
        found = engine.sample(make_requests(9), SAMPLING)
    assert list_texts(found) == [["" if n == 3 else f"echo q{n}"] for n in range(9)]
    assert error["message"].rstrip(".") in engine.said["refused"][0]


def test_a_server_that_refuses_most_prompts_is_no_server_for_them():
    error = {"message": "The prompt is too long.", "code": 400}
    with serve(reply=lambda _body: (400, {"error": error})) as there:
        with pytest.raises(UserError, match=r"too long.*Change the settings"):
            make_engine(there.url, concurrency=1).sample(make_requests(50), SAMPLING)
        assert len(there.bodies) == 6
