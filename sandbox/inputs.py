"""What programs and tests are given, checked before any program runs.

What can't be given is the problem's fault.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from . import wire
from .channel import encode_request
from .limits import MIB, Limits
from .outcome import Call

_MEMORY_PER_ARGUMENT = 32  # bytes of memory, at most, for each byte of an argument's encoding


def encode_call(entry: str, call: Call, limits: Limits) -> bytes:
    """A call in the encoding. Raises ValueError for one that no program could be given."""
    try:
        keywords = {name: wire.encode(value) for name, value in call.kwargs.items()}
        request = encode_request(
            op="call", entry=entry, args=[wire.encode(value) for value in call.args], kwargs=keywords
        )
    except wire.Unencodable as failure:
        raise ValueError(f"An argument can't be given to a program: {failure}") from failure
    if len(request) > limits.memory // _MEMORY_PER_ARGUMENT:
        raise ValueError(
            f"The arguments of a call take {len(request)} bytes in the encoding, too many for programs with "
            f"{limits.memory // MIB} MiB of memory. Raise the limit memory to {_MEMORY_PER_ARGUMENT} times "
            "that."
        )
    return request


def encode_stdin(text: str, limits: Limits) -> bytes:
    """Standard input. Raises ValueError for text that can't be encoded or is too long."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as failure:
        raise ValueError(
            f"The standard input is no text that UTF-8 can carry: {failure}. Fix the problem."
        ) from failure
    if len(data) > limits.input:
        raise ValueError(
            f"The standard input has {len(data)} bytes, over the limit input of {limits.input}. Raise it."
        )
    return data


def derive_seed(setup: str, tests: Sequence[str]) -> int:
    """Of the tests' random numbers: the same for every program, and known to none.

    No program ever sees the tests.
    """
    text = json.dumps([setup, *tests])
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
