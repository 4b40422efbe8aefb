"""Whether training on one task has cost something else: prompts that have nothing to do with it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ....tasks import Problem
from ...engines.base import Request, Row, Sampling
from ...engines.local import LocalEngine
from ...intervals import Interval, mean_interval
from ...model.policy import Policy
from ...model.prompts import PromptFormat

TOKENS = 24  # of a completion whose likelihood is compared
SHOWN_TOKENS = 32
SHOWN = ("What is the capital of France?", "Write one sentence about the sea.", "What do bees make?")
PROMPTS = (
    *SHOWN,
    "Name a fruit that is red.", "What colour is the sky on a clear day?", "Who wrote Hamlet?",
    "Translate 'good morning' into French.", "What is the opposite of hot?", "Name an animal of the sea.",
    "Why do we sleep?", "Write a greeting for a birthday card.", "What is a volcano?",
    "Give a synonym for happy.", "What does a carpenter do?", "Name a season of the year.",
    "How is bread made?", "What is photosynthesis?", "Write a short poem about rain.",
    "Which planet do we live on?", "What language is spoken in Brazil?", "Name a musical instrument.",
    "Why is the sea salty?", "What is the largest ocean?", "Give one reason to read books.",
    "What is a library?", "Name a tool for cutting wood.", "What do cows eat?",
    "Write the first line of a fairy tale.", "What is gravity?", "Name a country in Africa.",
    "How do birds fly?", "What is a recipe?", "Give an example of a metal.",
    "What does a doctor do?", "Describe a cat in one sentence.", "What is democracy?",
    "Name a famous painter.", "What is snow made of?", "How can I be a good friend?",
    "What is the past tense of 'go'?", "Name a river in Europe.", "What is an island?",
    "Why do leaves fall in autumn?", "Suggest a name for a dog.", "What is a computer program?",
    "What do you call a young sheep?", "Give one tip for saving water.", "What is the Moon?",
    "Name something that floats.", "What is music?",
)  # fmt: skip


@dataclass(frozen=True)
class Before:
    """What a model said to the prompts before training. rows: a sampled completion of each.

    logprobs: of their tokens.  said: greedy answers to `SHOWN`.
    """

    rows: list[Row]
    logprobs: list[list[float]]
    said: list[str]


@dataclass(frozen=True)
class Drift:
    """What became of it. kl: of the trained model from the first, in nats per token of what the first said,
    with a 95 % interval over prompts.  said: greedy answers to `SHOWN`, before and after."""

    kl: Interval
    before: list[str]
    after: list[str]


def look_before(policy: Policy) -> Before:
    """Sample an answer of the untrained model to each prompt."""
    engine, prompts = LocalEngine(policy), PromptFormat.of(policy.tokenizer)
    requests = [
        Request(prompts.encode(Problem(text)), samples=1, stream=number)
        for number, text in enumerate(PROMPTS)
    ]
    groups = engine.sample(requests, Sampling(max_new_tokens=TOKENS))
    rows = [Row(request.ids, group[0].ids) for request, group in zip(requests, groups, strict=True)]
    return Before(rows, [list(group[0].logprobs) for group in groups], _answer(engine, requests))


def look_after(policy: Policy, before: Before) -> Drift:
    """Compare a trained model with what it was.

    With r = p_after / p_before of a token that the first model drew, r - 1 - log r is an unbiased estimate of
    KL(before, after), never below 0 (k3; Schulman 2020, "Approximating KL divergence").
    """
    engine = LocalEngine(policy)
    requests = [Request(row.prompt_ids, samples=1, stream=number) for number, row in enumerate(before.rows)]
    estimates_PT = [
        [math.expm1(new - old) - (new - old) for old, new in zip(olds, news, strict=True)]
        for olds, news in zip(before.logprobs, engine.compute_logprobs(before.rows), strict=True)
    ]
    most = max((value for row in estimates_PT for value in row), default=0.0)
    return Drift(mean_interval(estimates_PT, 0.0, most), before.said, _answer(engine, requests))


def _answer(engine: LocalEngine, requests: list[Request]) -> list[str]:
    greedy = Sampling(temperature=0.0, max_new_tokens=SHOWN_TOKENS)
    return [group[0].text for group in engine.sample(requests[: len(SHOWN)], greedy)]
