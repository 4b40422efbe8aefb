"""Pairs as demonstrations: token ids of a prompt and of the text to imitate."""

from __future__ import annotations

from collections.abc import Sequence

from ...tasks import Problem
from ..model.prompts import PromptFormat
from .fit import Demonstration
from .pairs import Pair


def encode_pairs(prompts: PromptFormat, pairs: Sequence[Pair], max_tokens: int) -> list[Demonstration]:
    """The pairs as token ids; those over `max_tokens` are left out."""
    demonstrations = []
    for pair in pairs:
        problem = Problem(prompt=pair.prompt)
        prompt = prompts.encode(problem)
        completion = prompts.encode_completion(pair.completion, problem.name)
        if len(prompt) + len(completion) <= max_tokens:
            demonstrations.append(Demonstration(prompt, completion))
    return demonstrations
