"""What can be told of functions that a user gives before one is called: whether it takes what it will be
given, and returns rather than waits."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from .episode import EpisodeLimits, HasEpisodes
from .errors import TaskError

_DEFERRED = (inspect.iscoroutinefunction, inspect.isasyncgenfunction, inspect.isgeneratorfunction)


def is_deferred(function: Callable[..., Any]) -> bool:
    """Whether a call of it gives a coroutine or a generator, and no result.

    >>> def count(): yield 1
    >>> is_deferred(count), is_deferred(len)
    (True, False)
    """
    return any(kind(function) for kind in _DEFERRED)


def check_taken(function: Callable[..., Any], where: str, what: str) -> None:
    """Raise TaskError for a function that can't be called with one argument. where: the beginning of the
    sentence.  what: the argument, in words."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a function in C, which tells nothing
        return
    try:
        signature.bind(None)
    except TypeError as failure:
        raise TaskError(f"{where} {signature}: it is called with {what} alone.") from failure


def check_episode(task: HasEpisodes) -> None:
    """Raise TaskError for an episode that makes no world of a problem, for a `reply` that takes another thing
    than one text or does not return, and for what is no player or no limits. A world that gets its `reply`
    when it is made is asked there."""
    factory, name = task.episode, f"The episode of task {task.name}"
    if factory is not None:
        if not callable(factory):
            raise TaskError(f"{name} is {factory!r:.60}: give a class, or a function of a problem.")
        if is_deferred(factory):
            raise TaskError(f"{name} waits or yields: give a class, or a function that returns a world.")
        check_taken(factory, f"{name} takes", "a problem")
        reply = getattr(factory, "reply", None) if isinstance(factory, type) else None
        if inspect.isfunction(reply):
            if is_deferred(reply):
                raise TaskError(f"{name} has a `reply` that waits or yields: write one that returns a text.")
            static = isinstance(inspect.getattr_static(factory, "reply"), staticmethod)
            check_taken(
                reply if static else partial(reply, None), f"{name} has a `reply` that takes", "what was said"
            )
    if task.player is not None and not callable(task.player):
        raise TaskError(f"The player of task {task.name} is {task.player!r:.60}: give a generator function.")
    if not isinstance(task.limits, EpisodeLimits):
        raise TaskError(f"The limits of task {task.name} are {task.limits!r:.60}: give an EpisodeLimits.")
