"""Groups of completions with their scores. A completion is verified once it ends, while decoding goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from ...sandbox import default_workers
from ...tasks import Problem, Task
from ...tasks.core.seeds import digest
from ...verifiers import Completion, Score
from ..config.evaluation import SamplingConfig
from ..config.train import RolloutConfig
from ..engines.base import Engine, Request, Sampling
from ..model.prompts import PromptFormat
from ..reward_models.model import Scorer
from ..reward_models.scoring import fill
from .group import Group


class Rollouts:
    """Samples and scores groups for one task.

    prompts: how the engine's model reads a problem.  workers: completions verified at once; None takes as
    many as the sandbox has.
    scorers: reward models that fill in the learned criteria of the task's rubric (criterion's name ->
    scorer).
    """

    def __init__(
        self,
        engine: Engine,
        prompts: PromptFormat,
        task: Task,
        max_prompt_tokens: int,
        workers: int | None = None,
        scorers: Mapping[str, Scorer] | None = None,
    ) -> None:
        self.engine, self.prompts = engine, prompts
        self.task, self.max_prompt_tokens = task, max_prompt_tokens
        self.scorers = scorers or {}
        threads = default_workers() if workers is None else workers
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="verify")

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
        requests = [Request(self._encode(p), samples, digest("rollout", seed, p.id)) for p in problems]
        pending: dict[tuple[int, int], Future[Score]] = {}

        def submit(request: int, sample: int, completion: Completion) -> None:
            pending[request, sample] = self._pool.submit(self.task.score, completion, problems[request])

        completions = self.engine.sample(requests, sampling, submit)
        scores = [pending[p, g].result() for p in range(len(problems)) for g in range(samples)]
        if self.scorers:
            problems_B = [problem for problem in problems for _ in range(samples)]
            completions_B = [completion for group in completions for completion in group]
            scores = fill(self.task, self.scorers, problems_B, completions_B, scores)
        return [
            Group(problem, tuple(completions[p]), tuple(scores[p * samples : (p + 1) * samples]))
            for p, problem in enumerate(problems)
        ]

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _encode(self, problem: Problem) -> list[int]:
        return self.prompts.encode(problem, self.task.instruction)


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
