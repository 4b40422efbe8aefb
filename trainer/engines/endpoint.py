"""Completions from a server with OpenAI's interface: an engine without `load`, for evaluations.

Many requests are in flight at once, each in a thread of its own; what fails on the way is sent again, later
and at random. Whatever has arrived when one request finally fails is handed over before the error is raised.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import openai

from ...tasks.core.errors import UserError, shorten
from ...tasks.core.seeds import digest
from ...verifiers import Completion
from ..config.evaluation import EndpointConfig
from .base import Finished, Request, Sampling, limit_tokens
from .in_flight import ask_each
from .replies import BrokenReply, read_completion, read_self, refuses_prompt

QUEUED = 64  # requests in a call for each that is in flight: there is a pause at its end only
FIRST_DELAY_S, LONGEST_DELAY_S = 0.5, 30.0
PART = 10  # characters of a key that give it away; shorter ones may be words
TRANSIENT = {408, 409, 425, 429}
FEW_REFUSED, MOST_REFUSED = 5, 0.2  # prompts that a server may refuse: so many, and else a share of all asked


@dataclass(frozen=True)
class Job:
    """One completion to ask for: index of the request, place in its samples, what is sent."""

    request: int
    place: int
    body: Mapping[str, Any]


class EndpointEngine:
    """A `Sampler` that asks a server.

    config: which server, how many requests at once, how often again.  model: its name there.
    variables: for the server's chat template.  first_delay: seconds before a request is sent again for the
    first time; it doubles.

    The server draws as it does: the seed is sent, and some heed it. A stop string is looked for here, so that
    it stays in the text as with any engine.
    """

    def __init__(
        self,
        config: EndpointConfig,
        model: str,
        variables: Mapping[str, Any] | None = None,
        first_delay: float = FIRST_DELAY_S,
    ) -> None:
        self.config, self.model, self.first_delay = config, model, first_delay
        self.rows = QUEUED * config.concurrency
        self._key = os.environ.get(config.key_variable, "")
        self._client = openai.OpenAI(
            api_key=self._key or "none", base_url=config.url, timeout=config.timeout, max_retries=0
        )
        self._variables = dict(variables or {})
        self._pace = Pace(config.requests_per_minute)
        self._names = {"max_tokens": "max_tokens", "seed": "seed"}  # "" for what the server does not take
        self._entry: dict[str, Any] = {}
        self._names_heard: dict[str, set[str]] = {"model": set(), "system_fingerprint": set()}
        self._asked, self._refused, self._count_lock = 0, 0, threading.Lock()
        self._refusals: set[str] = set()

    @property
    def said(self) -> dict[str, Any]:
        """What the server has said of itself so far: its entry of the model, the names it answered by, why
        it refused prompts."""
        return {
            **self._entry,
            **{name: sorted(values) for name, values in self._names_heard.items() if values},
            **({"refused": sorted(self._refusals)} if self._refusals else {}),
        }

    def look(self) -> None:
        """Ask for the server's entry of the model, which a server need not have.

        Raises UserError where nothing listens at the URL, or the key is refused.
        """
        for attempt in range(3):
            try:
                self._entry = read_self(self._find_entry(min(10.0, self.config.timeout)))
                return
            except (openai.AuthenticationError, openai.PermissionDeniedError) as failure:
                raise self._explain(failure) from failure
            except openai.APIConnectionError as failure:
                if "connect" in type(failure.__cause__).__name__.lower() and attempt:
                    raise self._explain(failure) from failure
                time.sleep(self.first_delay)
            except (openai.OpenAIError, ValueError, RecursionError):
                return

    def _find_entry(self, timeout: float) -> Any:
        """The server's entry of the model, asked for by itself; servers such as vLLM only list what they
        have."""
        try:
            return self._client.models.retrieve(self.model, timeout=timeout)
        except openai.NotFoundError:
            listed = self._client.models.list(timeout=timeout).data
            return next((entry for entry in listed if entry.id == self.model), None)

    def sample(
        self, requests: Sequence[Request], sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Completion]]:
        """See `Engine.sample`. A prompt that the server refuses for its content or its length has an empty
        completion. Raises UserError where more than a few are, for a request that is refused otherwise, or
        that fails too often; those in flight are waited for first."""
        jobs = [
            Job(index, place, self._write_body(request, request.first + place, sampling))
            for index, request in enumerate(requests)
            for place in range(request.samples)
        ]
        results: list[list[Completion | None]] = [[None] * request.samples for request in requests]

        def hear(job: Job, completion: Completion) -> None:
            results[job.request][job.place] = completion
            if finished is not None:
                finished(job.request, job.place, completion)

        ask_each(jobs, lambda job, stop: self._ask(job, sampling, stop), hear, self.config.concurrency)
        return [[completion for completion in group if completion is not None] for group in results]

    def _ask(self, job: Job, sampling: Sampling, stop: threading.Event) -> Completion:
        """One completion, asked for again where that may help."""
        delay, attempts = self.first_delay, 0
        while True:
            self._pace.wait(stop)
            names = dict(self._names)
            try:
                return self._ask_once(job.body, names, sampling)
            except openai.APIStatusError as failure:
                if self._adapt(failure, names):
                    continue
                if self._bears_refusal(failure):
                    return Completion("", finish_reason="stop")
                if failure.status_code not in TRANSIENT and failure.status_code < 500:
                    raise self._explain(failure, tools="tools" in job.body) from failure
                self._pace.pause(read_retry_after(failure))
                problem: Exception = failure
            except (openai.APIError, BrokenReply, ValueError) as failure:
                problem = failure  # a lost connection, a time-out, an answer that is none
            except RecursionError:
                problem = BrokenReply("the answer is nested too deep")
            attempts += 1
            if attempts > self.config.retries or stop.is_set():
                raise self._explain(problem, attempts, tools="tools" in job.body) from problem
            stop.wait(delay * random.uniform(0.5, 1))
            delay = min(LONGEST_DELAY_S, 2 * delay)

    def _ask_once(self, body: Mapping[str, Any], names: Mapping[str, str], sampling: Sampling) -> Completion:
        named = {names.get(name, name): value for name, value in body.items()}
        named.pop("", None)
        chat = self.config.api == "chat"
        create: Any = self._client.chat.completions.create if chat else self._client.completions.create
        reply = create(model=self.model, **named)
        for name, values in self._names_heard.items():
            if isinstance(value := getattr(reply, name, None), str):
                values.add(hide_key(value, self._key))
        with self._count_lock:
            self._asked += 1
        found = read_completion(reply, chat, sampling.stop)
        return replace(
            found, text=hide_key(found.text, self._key), reasoning=hide_key(found.reasoning, self._key)
        )

    def _write_body(self, request: Request, sample: int, sampling: Sampling) -> dict[str, Any]:
        messages = [dict(message) for message in request.messages]
        chat = self.config.api == "chat"
        if not chat and len(messages) > 1:
            raise UserError("An endpoint that completes texts can't hold a conversation; take --api chat.")
        extra = {
            **({"top_k": sampling.top_k} if sampling.top_k else {}),
            **({"min_p": sampling.min_p} if sampling.min_p else {}),
            **({"chat_template_kwargs": self._variables} if self._variables and chat else {}),
        }
        return {
            **({"messages": messages} if chat else {"prompt": messages[0]["content"]}),
            **({"tools": [dict(tool) for tool in request.tools]} if request.tools and chat else {}),
            "max_tokens": limit_tokens(request, sampling),
            "temperature": sampling.temperature,
            "seed": digest(request.stream, sample) % 2**31,
            **({"top_p": sampling.top_p} if sampling.top_p < 1 else {}),
            **({"extra_body": extra} if extra else {}),
        }

    def _adapt(self, failure: openai.APIStatusError, names: Mapping[str, str]) -> bool:
        """Whether what was refused can be said in other words: some servers call the budget otherwise, or
        take no seed. names: those that were sent."""
        said = str(failure)
        if failure.status_code not in (400, 422):
            return False
        if "max_completion_tokens" in said and names["max_tokens"] == "max_tokens":
            self._names["max_tokens"] = "max_completion_tokens"
            return True
        if "seed" in said and names["seed"]:
            self._names["seed"] = ""
            return True
        return False

    def _bears_refusal(self, failure: openai.APIStatusError) -> bool:
        """Whether a prompt was refused, and so few are that the evaluation goes on without them."""
        said = f"{getattr(failure, 'code', '')} {failure}"
        if not refuses_prompt(failure.status_code, said):
            return False
        with self._count_lock:
            self._asked, self._refused = self._asked + 1, self._refused + 1
            few = self._refused <= max(FEW_REFUSED, MOST_REFUSED * self._asked)
        if few:
            self._refusals.add(self._quote(failure))
        return few

    def _quote(self, failure: Exception, cause: object = "") -> str:
        """What a failure says; the key is not in it."""
        text = f"{failure} {cause or ''}".strip()
        return shorten(hide_key(text, self._key), 200)

    def _explain(self, failure: Exception, attempts: int = 1, *, tools: bool = False) -> UserError:
        """The sentence about a request that failed for good; the key is not in it. tools: were sent."""
        status = getattr(failure, "status_code", None)
        cause = failure.__cause__ if isinstance(failure, openai.APIConnectionError) else None
        text = self._quote(failure, cause)
        if status in (401, 403):
            advice = f"Put the key into the environment variable {self.config.key_variable}."
        elif status == 404:
            advice = "Is the model's name right, and does the URL end as the server wants it (/v1)?"
        elif tools and status is not None and status not in TRANSIENT and "tool" in text.lower():
            advice = (
                "It seems to take no tools: start it with its parser of tool calls, or give --tool-calls "
                "text, which tells of them in the prompt."
            )
        elif status is not None and status < 500 and status not in TRANSIENT:
            advice = "Change the settings that it names."
        elif status is None and attempts == 1:
            advice = "Does a server listen there?"
        else:
            advice = "Start it again, or raise --retries; the same command goes on with what is there."
        again = f" {attempts} times" if attempts > 1 else ""
        return UserError(f"The endpoint {self.config.url} failed{again}: {text}. {advice}")


def hide_key(text: str, key: str) -> str:
    """The text without the key and its parts: a server that masks keys may show some of it.

    >>> hide_key("no such key: sk-***ret-key1234", "sk-secret-key1234")
    'no such key: sk-******'
    """
    parts = {key[start : start + PART] for start in range(len(key) - PART + 1)}
    if not any(part in text for part in parts):
        return text
    for length in range(len(key), PART - 1, -1):
        for start in range(len(key) - length + 1):
            text = text.replace(key[start : start + length], "***")
    return text


class Pace:
    """When the next request may begin, for all threads. per_minute: 0 for no limit.  clock: in seconds."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._interval = 60 / per_minute if per_minute else 0.0
        self._next, self._lock = 0.0, threading.Lock()

    def wait(self, stop: threading.Event) -> None:
        """Until this request's turn, or until `stop`."""
        with self._lock:
            turn = max(self._clock(), self._next)
            self._next = turn + self._interval if self._interval else self._next
        if (seconds := turn - self._clock()) > 0:
            stop.wait(seconds)

    def pause(self, seconds: float) -> None:
        """Let nobody begin for so long: the server has asked for it."""
        with self._lock:
            self._next = max(self._next, self._clock() + min(seconds, 2 * LONGEST_DELAY_S))


def read_retry_after(failure: openai.APIStatusError) -> float:
    """Seconds that a reply asks to wait; 0 where it does not say."""
    try:
        return max(0.0, float(failure.response.headers.get("retry-after", 0)))
    except (ValueError, AttributeError):
        return 0.0
