"""The worlds of a task's episodes as a hash: their code with all that it reaches, their tools, their limits.
Episodes of one hash can be compared, and gone on with."""

from __future__ import annotations

import hashlib
import inspect
from functools import partial

from ...verifiers.fingerprint import hash_check
from .episode import Conversation
from .task import Task


def hash_worlds(task: Task) -> str:
    """Of a task's worlds, and of a mixture's members', 64 hexadecimal digits; "" where none of its problems
    has an episode. A player counts for nothing: it is no part of the world.

    >>> import palaestra as pal
    >>> hash_worlds(pal.tasks.get("gcd")), len(hash_worlds(pal.tasks.get("number_guess")))
    ('', 64)
    """
    worlds = [
        f"{member.name} {hash_check(member.episode)} {member.limits}"
        for member in sorted(task.members, key=lambda each: each.name)
        if member.episode is not None
    ]
    if not worlds:
        return ""
    rules = hash_check(Conversation)  # how a reply is heard, cut and ended
    return hashlib.sha256("\n".join([rules, *worlds]).encode()).hexdigest()


def find_world_file(task: Task) -> str:
    """The file of a task's world, for a person; "" where it has none."""
    made = task.episode.func if isinstance(task.episode, partial) else task.episode
    kind = made if inspect.isclass(made) or inspect.isroutine(made) else type(made)
    try:
        return inspect.getsourcefile(kind) or ""
    except TypeError:
        return ""
