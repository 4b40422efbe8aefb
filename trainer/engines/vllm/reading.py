"""What a vLLM server answered, as tokens with log-probabilities. Nothing in it is taken for granted.

Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ....tasks.core.errors import shorten
from ..replies import BrokenReply

ABOVE_ZERO = 1e-4  # nats, by which rounding may lift a log-probability above 0
LEAST = -9000.0  # nats; vLLM writes -9999 for what has no probability


@dataclass(frozen=True)
class Drawn:
    """ids: the tokens of a completion.  logprobs: of each, in nats.  ended: by an end token or a stop string,
    else by the budget."""

    ids: Sequence[int]
    logprobs: Sequence[float]
    ended: bool


def read_drawn(reply: Any, prompt_ids: Sequence[int], budget: int, vocabulary: int) -> Drawn:
    """The completion in an answer of /v1/completions with return_token_ids and logprobs.

    prompt_ids: what was sent; the server must have read the same.  budget: tokens, at most.
    vocabulary: ids lie below it.  Raises BrokenReply for whatever is not as it was asked for.
    """
    choice = _read_choice(reply, prompt_ids)
    ids = _read_ids(choice.get("token_ids"), "the completion", vocabulary)
    reason = choice.get("finish_reason")
    if reason not in ("stop", "length"):
        raise BrokenReply(f"the completion ended by {reason!r}")
    if not 1 <= len(ids) <= budget:
        raise BrokenReply(f"it has {len(ids)} tokens, and 1 to {budget} were asked for")
    if reason == "length" and len(ids) < budget:
        raise BrokenReply(f"it was cut at {len(ids)} tokens of {budget}: raise the server's --max-model-len")
    said = choice.get("logprobs")
    logprobs = said.get("token_logprobs") if isinstance(said, Mapping) else None
    if not isinstance(logprobs, list) or len(logprobs) != len(ids):
        there = len(logprobs) if isinstance(logprobs, list) else "no"
        raise BrokenReply(f"there are {there} log-probabilities of {len(ids)} tokens")
    return Drawn(ids, [_read_logprob(value) for value in logprobs], reason == "stop")


def read_prompt_logprobs(reply: Any, ids: Sequence[int], first: int) -> list[float]:
    """Log-probabilities of `ids[first:]` from an answer that was asked for prompt_logprobs of `ids`.

    first: 1 or more, since nothing stands before the first token.  Raises BrokenReply.
    """
    found = _read_choice(reply, ids).get("prompt_logprobs")
    if not isinstance(found, list) or len(found) != len(ids):
        there = len(found) if isinstance(found, list) else "no"
        raise BrokenReply(f"there are {there} log-probabilities of {len(ids)} prompt tokens")
    return [_read_entry(found[place], ids[place]) for place in range(first, len(ids))]


def read_named_logprob(reply: Any, prompt_ids: Sequence[int], token: int) -> float:
    """The log-probability of one token after the prompt, from an answer that was asked for it by
    logprob_token_ids. Raises BrokenReply."""
    said = _read_choice(reply, prompt_ids).get("logprobs")
    top = said.get("top_logprobs") if isinstance(said, Mapping) else None
    table = top[0] if isinstance(top, list) and top else None
    if not isinstance(table, Mapping):
        raise BrokenReply("there are no log-probabilities of named tokens")
    return _read_logprob(table.get(f"token_id:{token}"))


def _read_choice(reply: Any, prompt_ids: Sequence[int]) -> Mapping[str, Any]:
    choices = reply.get("choices") if isinstance(reply, Mapping) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], Mapping):
        raise BrokenReply("the answer has not one choice")
    read = choices[0].get("prompt_token_ids")
    if read is None:
        raise BrokenReply("the answer has no token ids: take a vLLM that knows return_token_ids")
    if not isinstance(read, list) or read != list(prompt_ids):
        raise BrokenReply("the server has read another prompt than the one that was sent")
    return choices[0]


def _read_ids(found: Any, what: str, vocabulary: int) -> list[int]:
    if not isinstance(found, list) or not all(type(token) is int for token in found):
        raise BrokenReply(f"{what} has no token ids")
    if wrong := next((token for token in found if not 0 <= token < vocabulary), None):
        raise BrokenReply(f"token {wrong} is not one of the model's {vocabulary}")
    return found


def _read_entry(found: Any, token: int) -> float:
    entry = found.get(str(token)) if isinstance(found, Mapping) else None
    return _read_logprob(entry.get("logprob") if isinstance(entry, Mapping) else None)


def _read_logprob(value: Any) -> float:
    if type(value) not in (int, float) or (type(value) is float and not math.isfinite(value)):
        raise BrokenReply(f"{value!r} stands for a log-probability")
    if not LEAST < value <= ABOVE_ZERO:
        said = f"{value:g}" if isinstance(value, float) else shorten(str(value), 20)
        raise BrokenReply(f"{said} is no log-probability of a token that was drawn")
    return min(0.0, float(value))
