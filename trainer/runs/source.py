"""Where the steps of a run get their groups: in the step itself, or from a sampler with weights of its own
that runs ahead of the updates.

Shapes: B rows, T completion tokens.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ...tasks import Problem
from ...verifiers import Completion
from ..config.settings import resolve
from ..engines.base import Engine, Finished, More, Request, Row, Sampling
from ..engines.choice import make_beside
from ..engines.sync import Answers, SyncProof, compute_expected
from ..model.memory import count_sampler_copies
from ..reward_models.model import Scorer
from ..rollouts.ahead import Ahead, Collect, InStep, Known, Source
from ..rollouts.collect import Collected, collect, take_next_problems
from ..rollouts.group import Group
from ..rollouts.rollouts import Rollouts, make_sampling
from ..rollouts.stream import Position
from ..storage.background import Twin
from .guards import find_bound
from .state import Run
from .weights import Rates, find_factors, read_ramps, weigh_groups

REMEDY = "Nothing was learned from it: sample in step with the updates (--staleness 0)."


def open_source(run: Run, until: int) -> Source:
    """Where the steps of a run get their groups. until: the step before which sampling ends.

    Raises UserError for an engine that can't sample ahead.
    """
    config = run.config
    if not config.rollouts.staleness:

        def sample(problems: Sequence[Problem], step: int) -> list[Group]:
            return run.sample(problems, step)

        return InStep(_make_collect(run, sample, run.rollouts.fits))
    weights = SamplerWeights(run)
    reads = config.rollouts.curriculum or config.rollouts.mixture == "progress"
    collect_ahead = _make_collect(run, weights.sample, weights.fits)
    return Ahead(collect_ahead, weights, config.rollouts.staleness, until, reads_ledger=reads)


def _make_collect(
    run: Run,
    sample: Callable[[Sequence[Problem], int], list[Group]],
    fits: Callable[[Problem], bool],
) -> Collect:
    config, ramps = run.config, read_ramps(run.config.reward.criterion_weight)

    def collect_step(step: int, position: Position, known: Known) -> Collected:
        factors = find_factors(ramps, step, Rates(dict(known.passed)))
        return collect(
            lambda problems: weigh_groups(sample(problems, step), run.task, factors),
            lambda count: take_next_problems(count, run.task, config, position, known.ledger, fits),
            config,
        )

    return collect_step


def take_turns(scorers: Mapping[str, Scorer]) -> dict[str, Scorer]:
    """The same scorers, of which one is at work at a time, whichever threads ask."""
    lock = threading.Lock()

    def guard(scorer: Scorer) -> Scorer:
        def score(*arguments: Any) -> Any:
            with lock:
                return scorer(*arguments)

        return score

    return {name: guard(scorer) for name, scorer in scorers.items()}


class Stopped(Exception):
    """Sampling was ended from outside."""


class _StoppableEngine:
    """An engine whose `sample` raises `Stopped` at the next completion that ends once `stopped` is set."""

    def __init__(self, engine: Engine, stopped: threading.Event) -> None:
        self._engine, self._stopped = engine, stopped
        self.takes_more = getattr(engine, "takes_more", False)

    @property
    def rows(self) -> int:
        return self._engine.rows

    def sample(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        finished: Finished | None = None,
        more: More | None = None,
    ) -> list[list[Completion]]:
        def tell(request: int, place: int, completion: Completion) -> None:
            if self._stopped.is_set():
                raise Stopped
            if finished is not None:
                finished(request, place, completion)

        engine: Any = self._engine
        return engine.sample(requests, sampling, tell, *([] if more is None else [more]))


@dataclass(frozen=True)
class _Staged:
    """Weights that were staged. expected: of some rows the log-probabilities (nats) of their tokens under
    them, by the trainer's own pass."""

    version: int
    rows: Sequence[Row]
    expected: Sequence[Sequence[float]]


class SamplerWeights:
    """A copy of the policy on its device, and the engine and the verifiers' threads that sample from it.

    The local engine samples from the copy itself: on a GPU on a stream of its own, on a CPU it shares the
    cores with the update. A server is handed the copy when a step begins to be sampled; where an evaluation
    has had it in between, it is handed it again. Either is proven: the copy against what the trainer said of
    some rows when it was staged, a server against the copy.
    With a staleness of 2 or more there is a second copy, so that the newest weights can be kept while older
    ones are sampled from.
    """

    def __init__(self, run: Run) -> None:
        self._run, policy = run, run.learner.policy
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._twin = Twin(policy.model, policy.device)
        copies = count_sampler_copies(run.config.rollouts.staleness)
        self._staged = Twin(policy.model, policy.device) if copies > 1 else self._twin
        # Tokenizers are changed while they are used: each thread has its own.
        prompts = copy.deepcopy(run.rollouts.prompts)
        tokenizer = copy.deepcopy(policy.tokenizer)
        self._policy = replace(policy, model=self._twin.module, tokenizer=tokenizer)
        used, rows = run.rollouts, run.config.rollouts.rows
        fast = run.config.rollouts.fast_path != "no"
        self._engine = make_beside(used.engine, self._policy, resolve(rows, used.engine.rows), fast=fast)
        self._rollouts = Rollouts(
            _StoppableEngine(self._engine, self._stopped), prompts, run.task, used.max_prompt_tokens,
            scorers=used.scorers,
        )  # fmt: skip
        cuda = policy.device.type == "cuda"
        self._stream = torch.cuda.Stream(policy.device) if cuda else None
        bound = find_bound(run.config.guards, policy)
        self._sync, self._served = SyncProof(bound, REMEDY), SyncProof(bound, REMEDY)
        self._known, self._loaded = _Staged(0, (), ()), 0

    def stage(self, version: int) -> None:
        """See `Weights.stage`."""
        with self._lock:
            self._staged.refresh()
            policy = self._run.learner.policy
            rows = self._sync.list_rows(policy)
            self._known = _Staged(version, rows, compute_expected(policy, rows))
            if self._stream is not None:
                torch.cuda.current_stream().synchronize()

    def load(self) -> None:
        """See `Weights.load`. Raises RunError where the sampler has other weights than those staged."""
        with torch.cuda.stream(self._stream):
            with self._lock:
                known = self._known
                if self._staged is not self._twin:
                    for mine, staged in zip(
                        self._twin.module.state_dict().values(),
                        self._staged.module.state_dict().values(),
                        strict=True,
                    ):
                        mine.copy_(staged)
                    if self._stream is not None:  # the next `stage` writes what is read here
                        self._stream.synchronize()
            if self._engine.in_place:
                self._engine.load(self._policy, known.version)
                found = self._engine.compute_logprobs(known.rows)
            else:
                found = compute_expected(self._policy, known.rows)
            answers = Answers(known.rows, found, known.expected)
            self._sync.compare(self._policy, known.version, answers)
            self._loaded = known.version

    def fits(self, problem: Problem) -> bool:
        """As `Rollouts.fits`, for the thread that samples."""
        return self._rollouts.fits(problem)

    def sample(self, problems: Sequence[Problem], step: int) -> list[Group]:
        """Scored completions of the problems, as `Run.sample` draws them, from what was loaded last."""
        rollouts, seed = self._run.config.rollouts, (self._run.config.seed, step)
        sampling = make_sampling(rollouts, record_kept=True)
        with torch.cuda.stream(self._stream), self._served.hold(self._engine):
            if not self._engine.in_place:
                self._served.load(self._engine, self._policy, self._loaded)
            groups = self._rollouts.sample_groups(problems, rollouts.group_size, sampling, seed)
        for proof in (self._sync, self._served):
            proof.keep(groups[0].completions_G[0])
        return groups

    def stop(self) -> None:
        """See `Weights.stop`."""
        self._stopped.set()

    def close(self) -> None:
        """See `Weights.close`."""
        self._rollouts.close()
