"""Episodes on the page: their turns, with the calls of tools in them and the places of their tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from ...tasks.core.tools.calls import read_calls
from ..storage.rows import find_wrong_turn
from .tokens import TokenPlaces


@dataclass(frozen=True)
class _Drawn:
    """The tokens of one turn of the policy."""

    ids: Sequence[int]
    logprobs: Sequence[int]


def describe_episode(record: Mapping[str, Any], places: TokenPlaces | None = None) -> dict[str, Any]:
    """What a row of an episode tells the page beside its text; {} for a single turn.

    places: where tokens lie in a text; None leaves tokens out.
    """
    turns = record.get("turns")
    if not turns or find_wrong_turn(turns):
        return {}
    with_tools = any(turn.get("voice") == "tool" for turn in turns)
    drawn = _list_drawn(record) if places is not None else iter(())
    described = []
    for turn in turns:
        shown: dict[str, Any] = {"role": turn["role"], "text": turn["text"]}
        if turn.get("voice", "user") != "user":
            shown["voice"] = str(turn["voice"])
        if turn.get("reward") is not None:
            shown["reward"] = turn["reward"]
        if turn["role"] == "policy":
            if with_tools and (calls := _list_calls(turn["text"])):
                shown["calls"] = calls
            tokens = next(drawn, None)
            if places is not None and tokens is not None:
                lengths = places.find(tokens.ids, turn["text"])
                if lengths is not None:
                    shown.update(logprobs=tokens.logprobs, lengths=lengths)
        described.append(shown)
    found: dict[str, Any] = {"turns": described}
    if record.get("fault"):
        found["fault"] = str(record["fault"])
    if record.get("state") is not None:
        found["state"] = json.dumps(record["state"], ensure_ascii=False)
    return found


def list_texts(record: Mapping[str, Any]) -> list[str]:
    """All that was said: the completion, or the turns of an episode, the world's with them."""
    turns = record.get("turns")
    return [turn["text"] for turn in turns] if turns else [record.get("completion", "")]


def _list_calls(said: str) -> list[list[str]]:
    """The name of each call and what it is given, as text that keeps the lines of a program."""
    listed = []
    for call in read_calls(said):
        given = [
            f"{name}:{chr(10) if isinstance(value, str) and chr(10) in value else ' '}"
            f"{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)}"
            for name, value in call.arguments.items()
        ]
        listed.append([call.name or "?", "\n".join([*([call.fault] if call.fault else []), *given])])
    return listed


def _list_drawn(record: Mapping[str, Any]) -> Iterator[_Drawn]:
    """The tokens of each turn of the policy, where the row tells whose they are."""
    ids, logprobs = record.get("token_ids", []), record.get("logprobs_x100", [])
    spoken = sum(turn["role"] == "policy" for turn in record["turns"])
    counts = record.get("tokens_by_turn") or ([len(ids)] if spoken == 1 else [])
    if len(ids) != len(logprobs) or len(counts[::2]) != spoken or sum(counts) != len(ids):
        return
    ends = list(accumulate(counts))
    for count, end in zip(counts[::2], ends[::2], strict=True):
        yield _Drawn(ids[end - count : end], logprobs[end - count : end])
