"""Groups of completions with their scores. Each completion is verified as soon as it ends,
while decoding goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

from transformers import PreTrainedTokenizerBase

from ...sandbox import default_workers
from ...tasks import Problem, Task
from ...tasks.core.seeds import digest
from ...verifiers import Completion, Score
from ..config.train import RolloutConfig
from ..engines.base import Engine, Request, Sampling
from ..model.prompts import encode_prompt
from ..reward_models.model import Scorer
from ..reward_models.scoring import fill
from .group import Group


class Rollouts:
    """Samples and scores groups for one task.

    tokenizer: of the engine's model, for the prompts.  workers: completions verified at once; None takes as
    many as the sandbox has.
    scorers: reward models that fill in the learned criteria of the task's rubric (criterion's name ->
    scorer).
    """

    def __init__(
        self,
        engine: Engine,
        tokenizer: PreTrainedTokenizerBase,
        task: Task,
        max_prompt_tokens: int,
        workers: int | None = None,
        scorers: Mapping[str, Scorer] | None = None,
    ) -> None:
        self.engine, self.tokenizer = engine, tokenizer
        self.task, self.max_prompt_tokens = task, max_prompt_tokens
        self.scorers = scorers or {}
        threads = default_workers() if workers is None else workers
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="verify")

    def fits(self, problem: Problem) -> bool:
        """Whether the prompt is within the budget. Prompts are refused and counted, never cut."""
        return len(self._encode(problem)) <= self.max_prompt_tokens

    def sample_groups(
        self, problems: Sequence[Problem], samples: int, sampling: Sampling, seed: object
    ) -> list[Group]:
        """`samples` scored completions of each problem. Same seed, same problem, same weights:
        same completions."""
        requests = [Request(self._encode(p), samples, digest("rollout", seed, p.id)) for p in problems]
        pending: dict[tuple[int, int], Future[Score]] = {}

        def submit(request: int, sample: int, completion: Completion) -> None:
            pending[request, sample] = self._pool.submit(self.task.score, completion, problems[request])

        completions = self.engine.sample(requests, sampling, submit)
        scores = [pending[p, g].result() for p in range(len(problems)) for g in range(samples)]
        if self.scorers:
            repeated = [problem for problem in problems for _ in range(samples)]
            scores = fill(self.task, self.scorers, repeated, list(chain.from_iterable(completions)), scores)
        return [
            Group(problem, tuple(completions[p]), tuple(scores[p * samples : (p + 1) * samples]))
            for p, problem in enumerate(problems)
        ]

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _encode(self, problem: Problem) -> list[int]:
        return encode_prompt(self.tokenizer, problem, self.task.instruction)


def make_sampling(config: RolloutConfig) -> Sampling:
    """Rollouts are drawn from the whole distribution (no top-k, no top-p):
    it is the one that the update differentiates."""
    return Sampling(temperature=config.temperature, max_new_tokens=config.max_new_tokens)
