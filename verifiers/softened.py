"""Ends of an episode at which no check should fail, for a check that failed at one: with them it is found out
whether the policy's words, or what it left out, are the reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from .types import Completion, Turn

LONG = (Turn("policy", "", reward=0.0), Turn("world", "0")) * 16 + (Turn("policy", "", reward=0.0),)


def list_softened(completion: Completion) -> Iterator[Completion]:
    """Harmless ends in the place of a completion's, in which nothing is said: its state with
    harmless values; no turns, its own, and many. Of a single turn there is one, an empty completion."""
    for state in [None] if completion.state is None else _list_states(completion.state):
        for turns in [(), tuple(completion.turns), LONG] if completion.turns else [()]:
            yield Completion("", state=state, turns=turns)


def _list_states(state: Any) -> Iterator[Any]:
    for value in (0, 1):
        for blank in (value, str(value), [value], defaultdict(lambda one=value: one)):
            yield soften(state, value, blank)


def soften(state: Any, value: int, blank: Any) -> Any:
    """An episode's state with one value in the place of all its numbers and texts, and `blank` where there is
    nothing: for None, for the element of an empty list, for any key of an object within it. So what the
    policy's words put there, or left out, is gone; what the world calls things stays.

    >>> soften({"floor": 9, "said": ["up", True, None], "moves": []}, 0, "0")
    {'floor': 0, 'said': ['0', True, '0'], 'moves': ['0']}
    """
    if isinstance(state, dict):
        return {key: _open(soften(part, value, blank), blank) for key, part in state.items()}
    if isinstance(state, list):
        return [_open(soften(part, value, blank), blank) for part in state] or [blank]
    if state is None:
        return blank
    if isinstance(state, bool):
        return state
    return str(value) if isinstance(state, str) else value


def _open(part: Any, blank: Any) -> Any:
    return defaultdict(lambda: blank, part) if isinstance(part, dict) else part
