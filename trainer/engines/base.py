"""What is asked of an engine, which samples completions: requests, how tokens are drawn, the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ...verifiers import Completion
from ..model.policy import Policy


@dataclass(frozen=True)
class Owner:
    """Whose a completion is: index of the request, number of the sample."""

    request: int
    sample: int


@dataclass(frozen=True)
class Request:
    """One prompt to complete `samples` times.

    ids: token ids of the prompt, at least one.  stream: seed of its random numbers, in [0, 2**64); the same
    stream gives the same draws.  first: number of the first sample, 0 or more; a request for the samples 3
    and 4 draws what a request for five would have drawn there.  messages: the prompt as a chat, for an engine
    that has a tokenizer of its own; `ids` may be empty then.  budget: tokens after which a completion of it
    is cut, at most those of the sampling, which None takes.  after: of a request that joins a call on its
    way (`More`), the completion whose prompt and ids its own begin with.  tools: of which an engine that
    reads messages is told apart from them, as JSON schemas.  Raises ValueError for a prompt
    without tokens or messages, less than one sample, or a stream or a first sample out of range.

    >>> import palaestra as pal
    >>> pal.Request(ids=[4, 7], samples=8, stream=0).samples
    8
    """

    ids: Sequence[int]
    samples: int
    stream: int
    first: int = 0
    messages: Sequence[Mapping[str, Any]] = ()
    budget: int | None = None
    after: Owner | None = None
    tools: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        said = len(self.ids) or len(self.messages)
        if not said or self.samples < 1 or not 0 <= self.stream < 2**64 or self.first < 0:
            raise ValueError(
                "A request needs at least one prompt token or message, samples >= 1, a stream in [0, 2**64) "
                f"and first >= 0, not {len(self.ids)} token(s), {self.samples}, {self.stream}, {self.first}."
            )


@dataclass(frozen=True)
class Row:
    """A prompt and one continuation of it, as token ids. Raises ValueError for a prompt without tokens."""

    prompt_ids: Sequence[int]
    ids: Sequence[int]

    def __post_init__(self) -> None:
        if not len(self.prompt_ids):
            raise ValueError("A row needs at least one prompt token: its first id is drawn after the prompt.")


Finished = Callable[[int, int, Completion], None]  # (index of the request, place in its samples, completion)


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    temperature: 0 takes the most likely token (greedy); nothing is truncated then.
    top_k: keep the k most likely tokens (and ties with the last of them), 0 for all.
    top_p: of these keep the fewest, most likely first, whose probability reaches p, in (0, 1].
    min_p: of these keep those whose probability is at least min_p times that of the most likely, in [0, 1].
    record_kept: note in `Completion.kept` what was left when each token was drawn; an update needs it.
    max_new_tokens: tokens after which a completion is cut (finish_reason "length").
    stop: texts that end a completion; they stay in its text.

    >>> import palaestra as pal
    >>> pal.Sampling(temperature=0.7, stop=("</answer>",)).max_new_tokens
    256
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    max_new_tokens: int = 256
    stop: tuple[str, ...] = ()
    record_kept: bool = False

    def __post_init__(self) -> None:
        truncation = self.top_k >= 0 and 0 < self.top_p <= 1 and 0 <= self.min_p <= 1
        if self.temperature < 0 or not truncation or self.max_new_tokens < 1:
            wanted = "temperature >= 0, top_k >= 0, 0 < top_p <= 1, 0 <= min_p <= 1 and max_new_tokens >= 1"
            raise ValueError(f"Give {wanted}, not {self}.")

    def truncates(self, vocabulary: int) -> bool:
        """Whether tokens may be left out, of a vocabulary of that size."""
        chosen = 0 < self.top_k < vocabulary or self.top_p < 1 or self.min_p > 0
        return self.temperature > 0 and chosen


def limit_tokens(request: Request, sampling: Sampling) -> int:
    """The most tokens that a completion may have."""
    return min(request.budget or sampling.max_new_tokens, sampling.max_new_tokens)


class More(Protocol):
    """Where requests come from that join a call of `sample` on its way (the next turns of episodes).

    They are numbered behind those of the call, in the order in which they are taken. With its budget none is
    longer than a prompt of the call and `max_new_tokens` of the sampling. An engine that serves this has
    `takes_more = True`, and `sample(requests, sampling, finished, more)`; others are asked again.
    When it takes them must hang on counts, never on the time: a run is repeated to the bit.
    """

    @property
    def pending(self) -> int:
        """How many may come of what has ended so far."""
        ...

    def take(self) -> Sequence[Request]:
        """Those that follow on all that has ended so far; waits for them. Fewer than `pending` where nothing
        follows."""
        ...

    def is_over(self, request: int, place: int) -> bool:
        """Whether nothing will follow a completion, so that what is kept of it may go."""
        ...


class Sampler(Protocol):
    """What an evaluation asks of an engine: completions, from whatever model it has."""

    @property
    def rows(self) -> int:
        """Completions that it draws at once: with fewer in a call it is not busy."""
        ...

    def sample(
        self, requests: Sequence[Request], sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Completion]]:
        """See `Engine.sample`."""
        ...


class Engine(Sampler, Protocol):
    """Draws completions from a policy's weights, and says how likely given tokens are under them.

    Whoever calls needs no context around the calls: an engine sees to its own arithmetic and leaves the model
    as it was (training mode, gradients). tests/trainer/engines/engine_contract.py holds every engine to what
    is said here.

    >>> import palaestra as pal
    >>> policy = pal.load_policy("embedded")
    >>> engine: pal.Engine = pal.LocalEngine(policy, rows=2)
    >>> request = pal.Request(policy.tokenizer("2+3=").input_ids, samples=2, stream=7)
    >>> [completions] = engine.sample([request], pal.Sampling(max_new_tokens=4))
    >>> len(completions), len(completions[0].ids) == len(completions[0].logprobs)
    (2, True)
    """

    @property
    def version(self) -> int:
        """Of the weights that are sampled from: what the last `load` was given, 0 before the first."""
        ...

    @property
    def in_place(self) -> bool:
        """Whether it reads the policy's own weights at each call, and so has nothing of older ones."""
        ...

    def load(self, policy: Policy, version: int) -> None:
        """From now on sample from the weights that `policy` has now, as `version` (in a run, the step).

        Loading a version that the engine has from the same policy may do nothing, so weights that were
        changed get a number of their own. An engine may read the policy's weights in place of a copy (the
        local one does): then a change shows before it is loaded, and a caller that relies on neither loads
        after every change.
        """
        ...

    def sample(
        self, requests: Sequence[Request], sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Completion]]:
        """The completions of each request: requests in the order given, of each its samples in order.

        Seeds: sample number n of a request (they count from its `first`) is drawn with random numbers that
        (stream, n) alone decides, so the same stream and the same weights give the same tokens, whatever else
        is in the batch.
        Log-probabilities may differ by the rounding of another batch; where rounding moves a draw across a
        boundary, so may what follows it.

        Ends: a completion ends with the first end token (of the tokenizer or of the model's generation
        config; it is the last of `ids` and not in `text`), with the token that completes a string of
        `sampling.stop` (it stays in `text`; finish_reason "stop" for both), or after `max_new_tokens` tokens,
        or its request's `budget` where that is less (finish_reason "length").

        logprobs: of each of `ids`, the end token's too, the natural-log probability under the distribution
        that it was drawn from: after temperature, top-k, top-p and min-p; for temperature 0 that of the
        untempered model, whatever is truncated.

        kept: with `sampling.record_kept`, where `sampling` truncates, the set of tokens that each of `ids`
        was drawn among, itself included: the log-probabilities are normalised over it. Else None.

        finished: called exactly once for each completion, with the very object that is returned, soon after
        it has ended, at the latest before `sample` returns, by the thread that called `sample`. (An engine
        need not look at every step: for the local one on CUDA each look is a wait for the device.) What it
        raises ends the call, and the engine can be used again. The same holds for an engine's own errors: no
        partial result is returned.
        """
        ...

    def compute_logprobs(self, rows: Sequence[Row], temperature: float = 1.0) -> list[list[float]]:
        """Of each row the natural-log probability of each of `ids`, given all before it.

        Under the weights that are sampled from, logits divided by `temperature`; nothing is truncated. For
        what `sample` drew from the whole distribution at the same temperature these are its log-probabilities
        up to rounding; and where engine and trainer agree, those of the trainer's own pass.

        Raises ValueError for a temperature that is not above 0.
        """
        ...

    def free(self) -> None:
        """Let go of what is kept from call to call beside the weights. The next call makes it anew, and draws
        the same."""
        ...

    def close(self) -> None:
        """End what was started for it, such as a server. It is not asked again."""
        ...
