"""Text of a model's, a data set's or an exception's making on a terminal,
where control characters would act."""

from __future__ import annotations

import sys
from functools import cache
from re import Pattern, compile
from typing import TextIO

# Controls but tab and newline, what reorders or hides text, lone surrogates, tags.
_ACTING = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def escape_controls(text: str) -> str:
    """The text with every character that acts on a terminal written as an escape:
    `\\x1b` for the one that begins colours."""
    return _compile_acting().sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def say(text: str, file: TextIO | None = None) -> None:
    """Print a line of which a part is not ours. file: standard output by default."""
    print(escape_controls(text), file=file if file is not None else sys.stdout)


def survive_odd_characters() -> None:
    """Let the standard streams write what their encoding lacks as escapes, rather than end the program."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(
            stream, "reconfigure", None
        )  # a stream that was put in their place may not have it
        if reconfigure is not None:
            # Line by line: in a log that both streams go to, what is said stands in its order.
            reconfigure(errors="backslashreplace", line_buffering=True)


@cache
def _compile_acting() -> Pattern[str]:
    return compile(_ACTING)
