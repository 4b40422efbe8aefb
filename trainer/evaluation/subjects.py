"""What is evaluated: a model on this machine, or one behind an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from ...tasks import Problem
from ...verifiers import Completion
from ..config.evaluation import EvalConfig
from ..engines.base import Sampler
from ..engines.choice import Extent, describe_engine, make_engine
from ..engines.sync import LOGPROB_BOUNDS, SyncProof
from ..model.context import limit_prompts
from ..model.conversations import Conversations
from ..model.policy import Policy, load_policy_of
from ..model.probe import describe_decoding
from ..model.prompts import PromptFormat
from ..model.threads import use_threads
from ..reward_models.model import Scorer
from ..reward_models.scoring import Judged
from ..rollouts.rollouts import Prompts
from .hashes import hash_source, hash_weights

Say = Callable[[str], None]


@dataclass(frozen=True)
class Opened:
    """A subject, ready to be sampled from for one task.

    config: the settings, held to what it can do.  scorers: reward models that read the same prompts.
    facts: what it is, for the record.  identity: what of it must not change, by the keys of `identity.WORDS`.
    describe: what an endpoint has said of itself by now.  close: ends what was started for it.
    """

    config: EvalConfig
    engine: Sampler
    prompts: Prompts
    scorers: Mapping[str, Scorer]
    facts: Mapping[str, Any]
    identity: Mapping[str, Any]
    describe: Callable[[], dict[str, Any]] = dict
    close: Callable[[], None] = lambda: None

    def render(self, problems: Iterable[Problem], instruction: str) -> Iterator[list[Any]]:
        """The prompts as the subject reads them: token ids, or messages."""
        for problem in problems:
            ids = self.prompts.encode(problem, instruction)
            yield ids or self.prompts.converse(problem, instruction)

    def write_prompt(self, sample: int, completion: Completion) -> str:
        """The prompt as the model saw it, for the record of a problem's first sample; "" for the others, and
        where token ids are the endpoint's."""
        return self.prompts.decode(completion.prompt_ids) if sample == 0 else ""


class Subject(Protocol):
    """A model to evaluate."""

    def open(self, config: EvalConfig, judged: Judged, date: str, say: Say, log: Path = Path()) -> Opened:
        """Ready for a task. judged: with the reward models that score.  date: of the prompts; "" for today's.
        log: folder for what an engine's server says.

        Raises UserError for a model that can't be served rightly.
        """
        ...


@dataclass(frozen=True)
class Local:
    """A model in this process's memory. model_hash: of its files, or of its weights where it has none."""

    policy: Policy
    model_hash: str

    @classmethod
    def load(cls, config: EvalConfig) -> Local:
        """The model that the settings name. Raises UserError where there is none."""
        policy = load_policy_of(config.model)
        found = "" if config.model.source == "embedded" else hash_source(config.model.source)
        return cls(policy, found or hash_weights(policy))

    @classmethod
    def of(cls, policy: Policy) -> Local:
        return cls(policy, hash_weights(policy))

    def open(self, config: EvalConfig, judged: Judged, date: str, say: Say, log: Path = Path()) -> Opened:
        """See `Subject`. Says how it is sampled from where that is not as usual."""
        policy, asked = self.policy, config.sampling
        if note := describe_decoding(policy, judged.task.has_episodes):
            say(note)
        readers = {f"The reward model {name}": model.positions for name, model in judged.models.items()}
        budget = limit_prompts(policy, asked.max_prompt_tokens, asked.max_new_tokens, say, readers)
        use_threads(config.model.threads)
        prompts = PromptFormat.of(policy.tokenizer, config.prompt, say, date, policy.end_ids)
        arithmetic = {"device": policy.device.type, "dtype": str(policy.dtype).removeprefix("torch.")}
        if policy.weights is not torch.float32:
            arithmetic["dtype"] += ", weights too"
        if config.engine.kind != "local":
            arithmetic["dtype"] += f", by {config.engine.kind}"
        extent = Extent(None if asked.rows == "auto" else asked.rows, budget + asked.max_new_tokens)
        engine = make_engine(policy, config.engine, extent, log, say)
        with ExitStack() as refused:
            refused.callback(engine.close)
            SyncProof(LOGPROB_BOUNDS[policy.dtype]).load(engine, policy, 0)
            refused.pop_all()
        return Opened(
            config.but(max_prompt_tokens=budget),
            engine,
            prompts,
            judged.make_scorers(prompts),
            {**prompts.facts, **arithmetic, **describe_engine(engine)},
            {"model": self.model_hash, **arithmetic},
            close=engine.close,
        )


@dataclass(frozen=True)
class Remote:
    """A model behind an endpoint, by its name there."""

    name: str

    def open(
        self,
        config: EvalConfig,
        judged: Judged,  # noqa: ARG002
        date: str,  # noqa: ARG002
        say: Say,  # noqa: ARG002
        log: Path = Path(),  # noqa: ARG002
    ) -> Opened:
        """See `Subject`. Raises UserError where nothing listens there, too."""
        from ..engines.endpoint import EndpointEngine

        plain = config.endpoint.api == "completions"
        apart = not plain and config.endpoint.tool_calls == "field"
        prompts = Conversations(config.prompt, plain, tells_tools=not apart)
        engine = EndpointEngine(config.endpoint, self.name, prompts.variables)
        engine.look()
        return Opened(config, engine, prompts, {}, {}, {"model": self.name}, lambda: engine.said)


def load_subject(config: EvalConfig) -> Subject:
    """The model that the settings name."""
    return Remote(config.model.source) if config.endpoint.url else Local.load(config)
