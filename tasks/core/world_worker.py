"""What a worker process does for episodes: it keeps the worlds that it was asked for, and answers what is
said to them.

Requests come from this machine's own process alone, which is why pickled objects may be read.
"""

from __future__ import annotations

import base64
import pickle
import re
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from .episode import Factory, World
from .errors import TaskError
from .modules import load_module
from .problem import Problem

MOST_KEPT = 1024  # open worlds of one worker; the one asked for longest ago is made anew when needed
TARGET = f"{__name__}:answer"
_worlds: OrderedDict[str, World] = OrderedDict()


def pack(factory: Factory) -> dict[str, Any]:
    """A maker of worlds as plain data. One that no import finds (of a notebook, a closure) travels by value;
    one of a file that was loaded by its path, with the path.

    Raises TaskError for one that can't travel.
    """
    import dill  # slow to import, and only episodes need it

    try:
        packed = base64.b64encode(dill.dumps(factory, recurse=True)).decode()
    except Exception as failure:  # whatever somebody's object raises when it is pickled
        raise TaskError(
            f"The episode {factory!r} can't be sent to a process of its own ({type(failure).__name__}: "
            f"{failure}). Write it as a class in a file, without open files or connections."
        ) from failure
    name = getattr(factory, "__module__", None) or type(factory).__module__
    file = getattr(sys.modules.get(name), "__file__", None)
    what = re.fullmatch(r"palaestra_(\w+)_[0-9a-f]+", name)
    return {"factory": packed, "file": [file, what[1].replace("_", " ")] if file and what else []}


def make_request(
    packed: Mapping[str, Any], problem: Problem | None = None, key: str = "", said: Sequence[str] = ()
) -> dict[str, Any]:
    """What `answer` reads. key: of the episode in which all of this was said, "" for one that ends there.
    Without a problem the maker of its world is loaded, the world of the key let go, and nothing else."""
    asked = base64.b64encode(pickle.dumps(problem)).decode()
    return {**packed, "problem": asked, "key": key, "said": list(said)}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The reply to the last of what was said, as plain data."""
    factory = _load(request["factory"], tuple(request["file"]))
    problem, said, key = pickle.loads(base64.b64decode(request["problem"])), request["said"], request["key"]
    world = _worlds.pop(key, None)
    if problem is None:
        return {}
    if world is None or world.said != said[:-1]:
        world = World(factory, problem)
        world.said = list(said[:-1])
    reply = world.answer(said[-1])
    if reply.text is not None and key:
        _worlds[key] = world
        if len(_worlds) > MOST_KEPT:
            _worlds.popitem(last=False)
    return asdict(reply)


@cache
def _load(packed: str, file: tuple[str, ...]) -> Factory:
    import dill

    if file:
        load_module(Path(file[0]), file[1])
    return dill.loads(base64.b64decode(packed))
