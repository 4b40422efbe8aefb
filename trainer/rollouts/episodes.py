"""Episodes drawn from an engine: turns of the policy, and between them what the world answers.

While rows wait for their worlds, others are decoded: an engine that takes more requests on its way takes the
next turns together, once enough rows have ended; any other is asked again. A turn is asked for by the token
ids so far, which are never made of text again; or as a branch, by the conversation as the chat template
renders it now, where its past may be rewritten.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

from ...tasks import Problem, Task
from ...tasks.core.episode import Conversation, Reply
from ...tasks.core.errors import UserError
from ...tasks.core.seeds import digest
from ...tasks.core.worlds import Worlds
from ...verifiers import Completion
from ...verifiers.types import KeptTokens, Rewind, Turn, Usage
from ..engines.base import Finished, Owner, Request, Sampler, Sampling
from ..engines.tool_messages import answer_calls

LEFT_OPEN = ("length", "tokens", "turns")  # ends of which the world knows nothing


@runtime_checkable
class Between(Protocol):
    """The tokens between two turns (`model.seams.Seams`)."""

    def follow(self, reply: str, role: str, ended: bool, prompt: Sequence[int] = ()) -> list[int]: ...
    def has_ended(self, ids: Sequence[int], role: str = "user", prompt: Sequence[int] = ()) -> bool: ...


class Renders(Protocol):
    """A conversation as the chat template renders it at each turn (`model.branching.Branching`)."""

    def encode(self, problem: Problem, instruction: str, turns: Sequence[Turn]) -> list[int]: ...
    def blames(self, problem: Problem, instruction: str, turns: Sequence[Turn]) -> bool: ...


@dataclass
class Rollout:
    """One episode so far. key: no other has it.  request, place: as the caller numbers them.  tokens,
    per_turn: the most that it may have in all, and that one turn may.  turns: of the policy.  ids, logprobs,
    sampled, kept: of all that follows the prompt, the world's tokens included.  messages: the same for an
    engine that reads messages.  rewinds, context: of branches, and all that the last turn was drawn behind.
    last: whose the turn is that the next one goes on from, as the engine numbers requests; None where the
    past was rewritten.
    """

    key: str
    request: int
    place: int
    asked: Request
    problem: Problem
    task: Task
    talk: Conversation
    tokens: int
    per_turn: int
    turns: list[Completion] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    sampled: list[bool] = field(default_factory=list)
    kept: list[KeptTokens] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    rewinds: list[Rewind] = field(default_factory=list)
    context: list[int] = field(default_factory=list)
    last: Owner | None = None

    @property
    def room(self) -> int:
        """Tokens that it may still have."""
        unknown = sum(turn.tokens for turn in self.turns if not len(turn.ids))
        return self.tokens - len(self.ids) - unknown

    @property
    def budget(self) -> int:
        """Tokens that the next turn may have."""
        return min(self.per_turn, self.room)

    @property
    def is_left_open(self) -> bool:
        """Whether its world does not know that it has ended."""
        turns = self.talk.turns
        return self.talk.finish_reason in LEFT_OPEN or (len(turns) > 0 and turns[-1].role == "world")

    def say(self, turn: Completion) -> None:
        """What the policy says next."""
        cut = turn.finish_reason == "length" and ("tokens" if self.budget < self.per_turn else "length")
        self.turns.append(turn)
        self.ids += turn.ids
        self.logprobs += turn.logprobs
        self.sampled += [True] * len(turn.ids)
        if turn.kept is not None:
            self.kept.append(turn.kept)
        self.talk.say(turn.text)
        self.talk.finish_reason = cut or ""

    def hear(self, reply: Reply, between: Between | Renders | None) -> Request | None:
        """The request for the turn after a reply; None where the episode has ended."""
        shown = self.talk.hear(reply)
        if shown is None:
            return None
        foreign = list[int]()
        if between is None:
            self.messages += _write_messages(self.turns[-1], shown, reply.answers)
        elif isinstance(between, Between):
            prompt = self.asked.ids
            ended = between.has_ended(self.turns[-1].ids, reply.role, prompt)
            foreign = between.follow(shown, reply.role, ended, prompt)
        else:
            foreign = self._rewrite(between)
        if self.talk.finish_reason:
            return None
        if len(foreign) >= self.room:
            self.talk.finish_reason = "tokens"
            return None
        self.ids += foreign
        self.logprobs += [0.0] * len(foreign)
        self.sampled += [False] * len(foreign)
        if self.kept:  # a token that was not drawn is as if drawn among itself alone
            self.kept.append(KeptTokens(array("i", foreign), array("i", [1] * len(foreign))))
        sample = self.asked.first + self.place
        stream = digest("turn", self.asked.stream, sample, len(self.turns))
        said = [*self.asked.messages, *self.messages]
        return Request(self._read(), 1, stream, 0, said, self.budget, self.last, self.asked.tools)

    def _read(self) -> list[int]:
        """All that the next turn is drawn behind."""
        if self.rewinds:
            return self.context
        return [*self.asked.ids, *self.ids] if len(self.asked.ids) else []

    def _rewrite(self, renders: Renders) -> list[int]:
        """The foreign tokens of the next branch: those with which the conversation, as it is rendered now,
        leaves what was read so far. Where the template refuses what was said, that counts against the
        policy."""
        told = self.problem, self.task.instruction, self.talk.turns
        try:
            rendered = renders.encode(*told)
        except UserError as failure:
            blamed = renders.blames(*told)
            self.talk.finish_reason, self.talk.fault = "raised" if blamed else "unavailable", str(failure)
            return []
        before = [*self.context, *self.turns[-1].ids] if self.rewinds else [*self.asked.ids, *self.ids]
        pairs = enumerate(zip(before, rendered, strict=False))
        shared = next((at for at, (a, b) in pairs if a != b), min(len(before), len(rendered)))
        shared = min(shared, len(rendered) - 1)  # one at least is foreign: a turn begins behind it
        foreign = rendered[shared:]
        if shared < len(before) and len(foreign) < self.room:
            self.rewinds.append(Rewind(len(self.ids), shared))
            self.last = None
        self.context = rendered
        return foreign

    def complete(self) -> Completion:
        """The whole of it, as the rubric and the update read it."""
        said, first = self.talk.complete(), self.turns[0]
        usage = None
        if first.usage is not None:
            counts = [turn.usage for turn in self.turns if turn.usage is not None]
            usage = Usage(sum(count.tokens for count in counts), first.usage.prompt_tokens)
        return replace(
            said,
            prompt_ids=first.prompt_ids,
            ids=tuple(self.ids),
            logprobs=tuple(self.logprobs),
            kept=_join(self.kept) if self.kept else None,
            sampled=() if all(self.sampled) else tuple(self.sampled),
            rewinds=tuple(self.rewinds),
            usage=usage,
            version=first.version,
            reasoning="\n".join(turn.reasoning for turn in self.turns if turn.reasoning),
        )


class Episodes:
    """Draws the episodes of a task.

    between: makes the tokens between two turns, or renders each anew, for the engine's model; None for an
    engine that has a tokenizer of its own and reads messages.  worlds: where they answer; None makes
    processes of its own.
    """

    def __init__(self, task: Task, between: Between | Renders | None, worlds: Worlds | None = None) -> None:
        self.task, self.between, self.worlds = task, between, worlds or Worlds()
        self.numbers = itertools.count()
        self._threads = ThreadPoolExecutor(self.worlds.workers, thread_name_prefix="world")

    def sample(
        self,
        engine: Sampler,
        requests: Sequence[Request],
        problems: Sequence[Problem],
        sampling: Sampling,
        finished: Finished,
    ) -> list[list[Completion]]:
        """As `Engine.sample`, of whole episodes. problems: of each request.

        `sampling.max_new_tokens` is for all of an episode, of policy and world together. Turn number n of a
        sample is drawn with random numbers that (stream of the request, number of the sample, n) alone
        decides, the first as a single turn would be.
        """
        table = _Table(self, requests, problems, sampling, finished)
        if getattr(engine, "takes_more", False):
            taking: Any = engine
            taking.sample(table.start(), sampling, table.hear, table)
        else:
            asked = table.start()
            while asked:
                engine.sample(asked, sampling, partial(table.hear_round, table.begin_round(len(asked))))
                asked = table.take()
        return table.gather()

    def ask(self, rollout: Rollout) -> Future[Reply]:
        """Have the world of an episode answer, beside whatever else goes on."""
        factory, talk = rollout.task.episode, rollout.talk
        assert factory is not None
        return self._threads.submit(
            self.worlds.answer, factory, rollout.problem, talk.limits, rollout.key, talk.said
        )

    def forget(self, rollout: Rollout) -> None:
        """Have the world of an episode that it did not end let go of it."""
        if rollout.task.episode is not None:
            self._threads.submit(self.worlds.forget, rollout.task.episode, rollout.key)

    def close(self) -> None:
        """End the worlds."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.worlds.close()


@dataclass(frozen=True)
class _Answer:
    """What a world is asked for."""

    rollout: Rollout
    reply: Future[Reply]

    @property
    def place(self) -> tuple[int, int]:
        """Of the episode among all."""
        return self.rollout.request, self.rollout.place


class _Table:
    """The episodes of one call, and what an engine is asked for on its way (`engines.base.More`)."""

    def __init__(
        self,
        episodes: Episodes,
        requests: Sequence[Request],
        problems: Sequence[Problem],
        sampling: Sampling,
        finished: Finished,
    ) -> None:
        self.episodes, self.finished = episodes, finished
        self.ended: dict[tuple[int, int], Completion] = {}
        self.answers = list[_Answer]()
        # What was asked for, by the number of the request: the rollouts of its samples.
        self.asked: list[list[Rollout]] = []
        self.requests = list[Request]()
        for number, (request, problem) in enumerate(zip(requests, problems, strict=True)):
            task = episodes.task.find_member(problem.id)
            limits = task.limits
            tokens = min(limits.tokens or sampling.max_new_tokens, sampling.max_new_tokens)
            per_turn = min(limits.tokens_per_turn or tokens, tokens)
            if task.episode is None:
                tokens = per_turn = sampling.max_new_tokens
            rollouts = [
                Rollout(
                    str(key), number, place, request, problem, task, Conversation(limits), tokens, per_turn
                )
                for place, key in zip(range(request.samples), episodes.numbers, strict=False)
            ]
            self.asked.append(rollouts)
            self.requests.append(replace(request, budget=per_turn))

    def start(self) -> list[Request]:
        """The first turns."""
        return self.requests

    def begin_round(self, count: int) -> int:
        """The number of the first of the last `count` requests."""
        return len(self.asked) - count

    def hear_round(self, base: int, request: int, place: int, turn: Completion) -> None:
        self.hear(base + request, place, turn)

    def hear(self, request: int, place: int, turn: Completion) -> None:
        """A turn of the policy has ended."""
        rollout = self.asked[request][place]
        if rollout.task.episode is None:
            self._end(rollout, turn)
            return
        rollout.last = Owner(request, place)
        rollout.say(turn)
        if rollout.talk.finish_reason:
            self._end(rollout, rollout.complete())
            return
        self.answers.append(_Answer(rollout, self.episodes.ask(rollout)))

    @property
    def pending(self) -> int:
        """Episodes whose worlds are answering, or have answered."""
        return len(self.answers)

    def take(self) -> list[Request]:
        """The next turns of all of these; waits for their worlds. In an order that hangs on no clock."""
        answers, self.answers = sorted(self.answers, key=lambda one: one.place), []
        requests = list[Request]()
        for answer in answers:
            rollout = answer.rollout
            request = rollout.hear(answer.reply.result(), self.episodes.between)
            if request is None:
                self._end(rollout, rollout.complete())
            else:
                self.asked.append([rollout])
                requests.append(request)
        return requests

    def is_over(self, request: int, place: int) -> bool:
        """Whether nothing will go on from what was drawn for a request."""
        rollout = self.asked[request][place]
        return (rollout.request, rollout.place) in self.ended or rollout.last is None

    def gather(self) -> list[list[Completion]]:
        """All episodes, in the order in which they were asked for."""
        return [
            [self.ended[number, place] for place in range(request.samples)]
            for number, request in enumerate(self.requests)
        ]

    def _end(self, rollout: Rollout, completion: Completion) -> None:
        self.ended[rollout.request, rollout.place] = completion
        if rollout.is_left_open:
            self.episodes.forget(rollout)
        self.finished(rollout.request, rollout.place, completion)


def _write_messages(turn: Completion, shown: str, answers: Sequence[str]) -> list[dict[str, Any]]:
    """A turn and the world's reply for an engine that reads messages."""
    if turn.message is None:
        return [{"role": "assistant", "content": turn.text}, {"role": "user", "content": shown}]
    return [dict(turn.message), *answer_calls(turn.message, shown, answers)]


def _join(kept: Sequence[KeptTokens]) -> KeptTokens:
    ids, counts = array("i"), array("i")
    for each in kept:
        ids.extend(each.ids)
        counts.extend(each.counts)
    return KeptTokens(ids, counts)
