"""Groups of completions with their scores. A completion is verified once it ends, while decoding goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from ...sandbox import default_workers
from ...tasks import Problem, Task
from ...tasks.core.chats import Message
from ...tasks.core.errors import UserError
from ...tasks.core.seeds import digest
from ...tasks.core.worlds import Worlds
from ...verifiers import Completion, Score
from ..config.evaluation import SamplingConfig
from ..config.train import RolloutConfig
from ..engines.base import Request, Sampler, Sampling
from ..model.branching import prove_branching
from ..model.prompts import PromptFormat
from ..model.turns import prove_seams
from ..reward_models.model import Scorer
from ..reward_models.scoring import fill
from .episodes import Episodes
from .group import Group

Scored = Callable[[int, int, Completion, Score], None]  # (index of the ask, place in its samples, ...)


@dataclass(frozen=True)
class Ask:
    """Samples number `first` to `first + samples - 1` of a problem."""

    problem: Problem
    samples: int
    first: int = 0


class Prompts(Protocol):
    """How problems become what an engine reads."""

    @property
    def has_template(self) -> bool:
        """Whether a chat template renders them."""
        ...

    def encode(self, problem: Problem, instruction: str, /) -> list[int]:
        """As token ids; none for an engine that has its own tokenizer."""
        ...

    def converse(self, problem: Problem, instruction: str, /) -> list[Message]:
        """As messages."""
        ...

    def list_tools(self, problem: Problem, /) -> Sequence[Mapping[str, Any]]:
        """Of which an engine that reads messages is told apart from them."""
        ...

    def decode(self, ids: Sequence[int], /) -> str:
        """A prompt's token ids as the text that the model saw."""
        ...


EngineT = TypeVar("EngineT", bound=Sampler)
Result = TypeVar("Result")


class Rollouts(Generic[EngineT]):
    """Samples and scores groups for one task.

    prompts: how the engine's model reads a problem.  workers: completions verified at once; None takes as
    many as the sandbox has.
    scorers: reward models that fill in the learned criteria of the task's rubric (criterion's name ->
    scorer).  worlds: where episodes answer; None makes processes of their own.
    """

    def __init__(
        self,
        engine: EngineT,
        prompts: Prompts,
        task: Task,
        max_prompt_tokens: int,
        workers: int | None = None,
        scorers: Mapping[str, Scorer] | None = None,
        worlds: Worlds | None = None,
    ) -> None:
        self.engine, self.prompts = engine, prompts
        self.task, self.max_prompt_tokens = task, max_prompt_tokens
        self.scorers = scorers or {}
        self._episodes = open_episodes(prompts, task, worlds)
        threads = default_workers() if workers is None else workers
        self._open: list[_Told] = []  # sampled, and not yet finished
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="verify")

    @property
    def rows(self) -> int:
        """Completions that are decoded at once."""
        return self.engine.rows

    def fits(self, problem: Problem) -> bool:
        """Whether the prompt is within the budget. Prompts are refused and counted, never cut."""
        return len(self._encode(problem)) <= self.max_prompt_tokens

    def sample_groups(
        self,
        problems: Sequence[Problem],
        samples: int,
        sampling: Sampling,
        seed: object,
    ) -> list[Group]:
        """`samples` scored completions of each problem: the same for the same seed, problem and weights."""
        return self.sample([Ask(problem, samples) for problem in problems], sampling, seed)

    def sample(
        self, asked: Sequence[Ask], sampling: Sampling, seed: object, scored: Scored | None = None
    ) -> list[Group]:
        """A group for each ask: a sample is the same for the same seed, problem, number and weights.

        scored: called from this thread once for each completion, soon after its score is known; where reward
        models score, that is once all completions are there. When sampling ends early (Ctrl-C, a full disk),
        those that are scored by then are still told.
        """
        return self.begin(asked, sampling, seed, scored)()

    def begin(
        self, asked: Sequence[Ask], sampling: Sampling, seed: object, scored: Scored | None = None
    ) -> Callable[[], list[Group]]:
        """`sample` in two parts: the completions now, their scores when the function that is returned is
        called. Between the two, others may be sampled while the verifiers of these are at work; `scored` is
        told of these then, too."""
        requests = [self._make_request(ask, digest("rollout", seed, ask.problem.id)) for ask in asked]
        told = _Told(None if self.scorers else scored)
        self._open.append(told)

        def submit(request: int, place: int, completion: Completion) -> None:
            future = self._pool.submit(self.task.score, completion, asked[request].problem)
            told.pending.append(_Drawn(request, place, completion, future))
            for each in self._open:
                each.tell_ended()

        with self._close_on_failure():
            if self._episodes is None:
                completions = self.engine.sample(requests, sampling, submit)
            else:
                problems = [ask.problem for ask in asked]
                completions = self._episodes.sample(self.engine, requests, problems, sampling, submit)

        def finish() -> list[Group]:
            with self._close_on_failure():
                told.wait()
            self._open.remove(told)
            return self._gather(asked, completions, told.scores, scored)

        return finish

    @contextlib.contextmanager
    def _close_on_failure(self) -> Iterator[None]:
        """Where sampling ends early, what is scored by then is told of, and nothing is open any more."""
        with contextlib.ExitStack() as failed:
            failed.callback(self._close_open)
            yield
            failed.pop_all()

    def _close_open(self) -> None:
        left, self._open = self._open, []
        for each in left:
            each.tell_ended()

    def _gather(
        self,
        asked: Sequence[Ask],
        completions: Sequence[Sequence[Completion]],
        found: Mapping[tuple[int, int], Score],
        scored: Scored | None,
    ) -> list[Group]:
        """The groups of finished completions, scored by reward models, too, where there are any."""
        scores = [found[p, g] for p, ask in enumerate(asked) for g in range(ask.samples)]
        if self.scorers:
            problems_B = [ask.problem for ask in asked for _ in range(ask.samples)]
            completions_B = [completion for group in completions for completion in group]
            scores = fill(self.task, self.scorers, problems_B, completions_B, scores)
        rest = iter(scores)
        groups = [
            Group(ask.problem, tuple(completions[p]), tuple(islice(rest, ask.samples)))
            for p, ask in enumerate(asked)
        ]
        if self.scorers and scored is not None:
            for p, group in enumerate(groups):
                for place, pair in enumerate(zip(group.completions_G, group.scores_G, strict=True)):
                    scored(p, place, *pair)
        return groups

    def score_again(self, problems_B: Sequence[Problem], completions_B: Sequence[Completion]) -> list[Score]:
        """The scores of completions that are there already."""
        scores = list(self._pool.map(self.task.score, completions_B, problems_B))
        return fill(self.task, self.scorers, problems_B, completions_B, scores) if self.scorers else scores

    def run_beside(self, function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Call a function in a thread of the verifiers."""
        return self._pool.submit(function, *arguments)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        if self._episodes is not None:
            self._episodes.close()

    def _make_request(self, ask: Ask, stream: int) -> Request:
        ids = self._encode(ask.problem)
        if ids:
            return Request(ids, ask.samples, stream, ask.first)
        messages = self.prompts.converse(ask.problem, self._instruct(ask.problem))
        tools = self.prompts.list_tools(ask.problem)
        return Request(ids, ask.samples, stream, ask.first, messages, tools=tools)

    def _encode(self, problem: Problem) -> list[int]:
        return self.prompts.encode(problem, self._instruct(problem))

    def _instruct(self, problem: Problem) -> str:
        return self.task.find_member(problem.id).instruction


def open_episodes(prompts: Prompts, task: Task, worlds: Worlds | None = None) -> Episodes | None:
    """What draws a task's episodes; None where its problems have a single turn. Raises UserError where the
    tokens between two turns can't be proven."""
    if not task.has_episodes:
        return None
    if not isinstance(prompts, PromptFormat):
        return Episodes(task, None, worlds)
    if prompts.config.trajectories == "branching":
        return Episodes(task, prove_branching(prompts), worlds)
    try:
        return Episodes(task, prove_seams(prompts), worlds)
    except UserError as refusal:
        try:
            prove_branching(prompts)
        except UserError:
            raise refusal from None
        raise UserError(f"{refusal} --trajectories branching renders each turn anew, and takes it.") from None


@dataclass(frozen=True)
class _Drawn:
    """A completion whose score is on its way."""

    request: int
    place: int
    completion: Completion
    score: Future[Score]


@dataclass
class _Told:
    """Tells of completions once they are scored, from the thread that adds them."""

    scored: Scored | None
    pending: list[_Drawn] = field(default_factory=list)
    scores: dict[tuple[int, int], Score] = field(default_factory=dict)

    def wait(self) -> None:
        """Until all are scored and told."""
        while self.pending:
            wait([drawn.score for drawn in self.pending], return_when=FIRST_COMPLETED)
            self.tell_ended()

    def tell_ended(self) -> None:
        """Of those that are scored."""
        waiting, self.pending = self.pending, []
        for drawn in waiting:
            if not drawn.score.done():
                self.pending.append(drawn)
                continue
            score = drawn.score.result()
            self.scores[drawn.request, drawn.place] = score
            if self.scored is not None:
                self.scored(drawn.request, drawn.place, drawn.completion, score)


def make_sampling(
    config: RolloutConfig | SamplingConfig, *, stop: tuple[str, ...] = (), record_kept: bool = False
) -> Sampling:
    """How completions are drawn. record_kept: for an update, whose log-probabilities are among what was
    left."""
    return Sampling(
        config.temperature,
        config.top_k,
        config.top_p,
        config.min_p,
        config.max_new_tokens,
        stop,
        record_kept=record_kept,
    )
