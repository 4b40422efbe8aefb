"""An engine that samples from a vLLM server, and hands it the policy's weights."""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ....tasks.core.errors import RunError, UserError
from ....tasks.core.seeds import digest
from ....verifiers import Completion
from ...model.policy import Policy
from ...model.prompts import decode
from ...model.tokens import count_logits
from ..base import Finished, Request, Row, Sampling, limit_tokens
from ..in_flight import BrokenOff, ask_each
from ..replies import BrokenReply
from .kept import find_kept
from .reading import read_drawn, read_named_logprob, read_prompt_logprobs
from .server import NAME
from .sleep import SleepMode
from .transfer import Transfer, commit
from .turn import Turn
from .weights import Difference, compare, read_label
from .wire import EngineError, Wire

COOLEST = 0.01  # vLLM raises lower temperatures to this
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class _Job:
    """A completion to ask for: index of the request, place in its samples."""

    request: int
    place: int
    body: Mapping[str, Any]


class VLLMEngine:
    """An `Engine` that asks a vLLM server, each completion by a question of its own.

    policy: whose tokenizer and weights.  wire: to the server, which serves the policy's model.
    transfer: by which the weights reach it.  rows: completions asked for at once.
    model: by which name the server knows it.  end: called as the engine is closed: ends what was started or
    made for it.  sleep_mode: of a server that gives its memory back when it is freed.

    A sample's seed on the server is made of its stream and number alone. Where the server rounds otherwise in
    another batch, a draw that stands at a boundary may fall to its other side.
    """

    in_place = False

    def __init__(
        self,
        policy: Policy,
        wire: Wire,
        transfer: Transfer,
        rows: int = 256,
        model: str = NAME,
        end: Callable[[], None] = lambda: None,
        sleep_mode: SleepMode | None = None,
    ) -> None:
        self.policy, self.version, self.rows = policy, 0, rows
        self._wire, self._transfer, self._model, self._end = wire, transfer, model, end
        self._sleep_mode = sleep_mode
        self._run = uuid.uuid4().hex  # so that nobody's version 3 is taken for ours
        self._loaded: Policy | None = None
        self._turn = Turn(self)
        self._release: Callable[[], None] = _wait_for_nothing
        self.pushes = 0

    @property
    def facts(self) -> dict[str, Any]:
        """What the server says that it is, and how it is given weights, for a record."""
        found, way = self._wire.get("/version"), {"weights": self._transfer.name}
        return {"vllm": str(found.get("version")), **way} if isinstance(found, Mapping) else way

    @property
    def asleep(self) -> bool:
        """See `Sleeps.asleep`."""
        return self._sleep_mode is not None and self._sleep_mode.asleep

    def join(self, policy: Policy, rows: int) -> VLLMEngine:
        """Another engine on the same server, which has nothing loaded; whoever loads last has the server, so
        those that are used in several threads `hold` it meanwhile. The server stays awake from here on."""
        if self._sleep_mode is not None:
            self._sleep_mode.shared = True
        joined = VLLMEngine(
            policy, self._wire, self._transfer, rows, self._model, sleep_mode=self._sleep_mode
        )
        joined._turn = self._turn
        return joined

    @contextmanager
    def hold(self) -> Iterator[bool]:
        """See `Shared.hold`."""
        with self._turn.take(self) as kept:
            if not kept:
                self._loaded = None
            yield kept

    def load(self, policy: Policy, version: int) -> None:
        """See `Engine.load`. A server that sleeps wakes up.

        Raises EngineError where it can't be asked or refuses.
        """
        if policy is self._loaded and version == self.version:
            return
        self._loaded = None  # whatever fails from here on leaves it unknown what the server has
        with nullcontext() if self._sleep_mode is None else self._sleep_mode.wake():
            self._transfer.send(policy)
            commit(self._wire, self._label(version))
        self.policy, self._loaded, self.version = policy, policy, version
        self.pushes += 1

    def sample(
        self, requests: Sequence[Request], sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Completion]]:
        """See `Engine.sample`. Raises EngineError where the server fails, or answers what it was not asked;
        UserError for a temperature that it does not take."""
        if 0 < sampling.temperature < COOLEST:
            raise UserError(
                f"vLLM samples at a temperature of {COOLEST:g} in place of lower ones, such as "
                f"{sampling.temperature:g}: give 0, {COOLEST:g} or more, or take --engine local."
            )
        vocabulary, end_ids = self._look_at(requests)
        jobs = [
            _Job(index, place, self._write_body(request, request.first + place, sampling, end_ids))
            for index, request in enumerate(requests)
            for place in range(request.samples)
        ]
        results: list[list[Completion | None]] = [[None] * request.samples for request in requests]
        truncated = sampling.record_kept and sampling.truncates(vocabulary)

        def read(job: _Job, reply: Any) -> Completion:
            request = requests[job.request]
            prompt_ids = request.ids
            drawn = read_drawn(reply, prompt_ids, limit_tokens(request, sampling), vocabulary)
            ends = drawn.ids[-1] in end_ids
            text = decode(self.policy.tokenizer, drawn.ids[:-1] if ends else drawn.ids)
            if drawn.ended and not ends and not any(stop in text for stop in sampling.stop):
                raise BrokenReply("the completion ended by nothing that ends one")
            if any(token in end_ids for token in drawn.ids[:-1]) or (ends and not drawn.ended):
                raise BrokenReply("the completion went on after an end token")
            reason = "stop" if drawn.ended else "length"
            ids, logprobs = tuple(drawn.ids), tuple(drawn.logprobs)
            return Completion(text, tuple(prompt_ids), ids, logprobs, reason, version=self.version)

        def hear(job: _Job, completion: Completion) -> None:
            self._release()
            if truncated:
                kept = find_kept(self.policy, completion.prompt_ids, completion.ids, sampling)
                completion = replace(completion, kept=kept)
            results[job.request][job.place] = completion
            if finished is not None:
                finished(job.request, job.place, completion)

        try:
            self._ask_all(jobs, read, hear)
        except EngineError:
            with suppress(BrokenOff):  # by this failure, which is the cause then
                self._release()
            raise
        return [[completion for completion in group if completion is not None] for group in results]

    def hold_back(self, release: Callable[[], None]) -> VLLMEngine:
        """See `HoldsBack.hold_back`: until the next load that is proven."""
        asked = copy.copy(self)
        asked._release, self._release = _wait_for_nothing, release
        return asked

    def compute_logprobs(self, rows: Sequence[Row], temperature: float = 1.0) -> list[list[float]]:
        """See `Engine.compute_logprobs`. At temperature 1 one question a row, else one for each token, since
        the server tells of prompts untempered."""
        if not temperature > 0:
            raise ValueError(f"Log-probabilities at temperature {temperature}: give one above 0.")
        self._look_at(rows)
        results = [[0.0] * len(row.ids) for row in rows]
        if temperature == 1:
            jobs = [(place, 0) for place, row in enumerate(rows) if len(row.ids)]
        else:
            jobs = [(place, token) for place, row in enumerate(rows) for token in range(len(row.ids))]
        asked = [self._write_row(place, token, rows[place], temperature) for place, token in jobs]

        def read(job: _Job, reply: Any) -> list[float]:
            row = rows[job.request]
            if temperature == 1:
                return read_prompt_logprobs(reply, [*row.prompt_ids, *row.ids], len(row.prompt_ids))
            before = [*row.prompt_ids, *row.ids[: job.place]]
            return [read_named_logprob(reply, before, row.ids[job.place])]

        def hear(job: _Job, found: list[float]) -> None:
            results[job.request][job.place : job.place + len(found)] = found

        self._ask_all(asked, read, hear)
        return results

    def compare_weights(self, policy: Policy) -> Difference | None:
        """Which of the server's parameters are not the policy's, by checksums; None where it has none, or has
        given their memory back."""
        if self.asleep:
            return None
        try:
            return compare(self._wire, policy)
        except EngineError:
            return None  # a server that does not know the route; the proof that asks has failed anyway

    def free(self) -> None:
        """See `Engine.free`. A server with sleep mode gives all of its memory back, until the next load;
        any other keeps it, and so does one that several engines ask.

        Raises RunError where the proof of the last load still goes on and fails, and EngineError where the
        server can't sleep.
        """
        if self._sleep_mode is None or self._sleep_mode.shared or self._sleep_mode.asleep:
            return
        self._release()  # a proof beside the sampling may still ask
        self._loaded = None
        self._sleep_mode.sleep()

    def close(self) -> None:
        """End the server where it is ours, and remove the folder of the weights where it was made for it.

        Where nothing was sampled since the last load, its proof may still go on: it is broken off, and over
        when this returns.
        """
        self._wire.hang_up()
        self._end()
        with suppress(RunError):  # nothing was handed on that it would have been for
            self._release()

    def _ask_all(self, jobs: Sequence[_Job], read: Any, hear: Any) -> None:
        """Ask for each job while the server has the weights that it was given. Raises EngineError."""
        if not jobs:
            return
        if self._loaded is None:
            self.load(self.policy, self.version)
        self._check_label()

        def ask(job: _Job, _stop: threading.Event) -> Any:
            reply = self._wire.post("/v1/completions", job.body)
            try:
                return read(job, reply)
            except BrokenReply as failure:
                raise EngineError(
                    f"The engine's server at {self._wire.address} answered what it was not asked: {failure}."
                ) from failure

        with ExitStack() as failed:
            failed.callback(self._wire.hang_up)  # the others are not wanted any more
            ask_each(jobs, ask, hear, self.rows)
            failed.pop_all()
        self._check_label()

    def _check_label(self) -> None:
        """Raise EngineError where the server has other weights than it was given."""
        found, expected = read_label(self._wire), self._label(self.version)
        if found != expected:
            self._loaded = None
            raise EngineError(
                f"The engine's server at {self._wire.address} goes by other weights ({found}) than it was "
                f"given ({expected}): it was started anew, or somebody else has loaded some. Resume the run, "
                "which loads its own, with a server of its own."
            )

    def _label(self, version: int) -> str:
        return f"{self._run}/{version}"

    def _look_at(self, asked: Sequence[Request] | Sequence[Row]) -> tuple[int, list[int]]:
        """Tokens that can be drawn, and those that end a completion.

        Raises UserError for a token that the model has no embedding of.
        """
        size = self.policy.model.get_input_embeddings().weight.shape[0]
        most = max((max(_list_ids(one)) for one in asked), default=0)
        if most >= size:
            raise UserError(
                f"{self.policy.source}: token {most} is beyond the model's {size} tokens, so its tokenizer "
                "is not the model's. Give the model its own tokenizer, or resize its embeddings."
            )
        return count_logits(self.policy.model), self.policy.end_ids

    def _write_body(
        self, request: Request, sample: int, sampling: Sampling, end_ids: list[int]
    ) -> dict[str, Any]:
        return {
            **self._write_prompt(request.ids),
            "max_tokens": limit_tokens(request, sampling),
            "temperature": sampling.temperature,
            "seed": digest(request.stream, sample) % 2**63,
            "top_k": sampling.top_k or -1,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "stop": list(sampling.stop),
            "include_stop_str_in_output": True,
            "stop_token_ids": end_ids,
            "ignore_eos": True,  # which are end tokens is the policy's to say
            "skip_special_tokens": False,
            "logprobs": 0,
        }

    def _write_row(self, place: int, token: int, row: Row, temperature: float) -> _Job:
        """What is asked for the log-probabilities of a row, or of one token of it."""
        if temperature == 1:
            prompt, what = [*row.prompt_ids, *row.ids], {"prompt_logprobs": 0}
        else:
            prompt = [*row.prompt_ids, *row.ids[:token]]
            what = {"logprobs": 0, "logprob_token_ids": [row.ids[token]], "return_tokens_as_token_ids": True}
        body = {**self._write_prompt(prompt), "max_tokens": 1, "temperature": temperature, "seed": 0, **what}
        return _Job(place, token, body)

    def _write_prompt(self, ids: Sequence[int]) -> dict[str, Any]:
        return {
            "model": self._model,
            "prompt": list(ids),
            "return_token_ids": True,
            "repetition_penalty": 1.0,
        }


def _wait_for_nothing() -> None:
    """What is sampled is handed on at once."""


def _list_ids(one: Request | Row) -> list[int]:
    return [*one.ids] if isinstance(one, Request) else [*one.prompt_ids, *one.ids]
