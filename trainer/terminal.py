"""Text of a model's, a data set's or an exception's making on a terminal,
where control characters would act."""

from __future__ import annotations

import sys
from typing import TextIO

from ..verifiers.display import escape_controls


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
