"""`palaestra chat`"""

from __future__ import annotations

import sys
from collections.abc import Iterator


def main(argv: list[str]) -> int:
    """Read problems from the terminal, or from standard input, until its end."""
    from ..config.chat import ChatConfig
    from ..config.parse import parse

    config = parse(ChatConfig, argv, "palaestra chat")
    from ..evaluation.chat import chat
    from ..terminal import say

    chat(config, read_typed(), say)
    return 0


def read_typed() -> Iterator[str]:
    """The lines that are typed, after a prompt where somebody sits there."""
    if not sys.stdin.isatty():
        yield from sys.stdin
        return
    import readline  # noqa: F401  (arrow keys and history for `input`)

    while True:
        try:
            yield input("\n> ")
        except EOFError:
            print()
            return
