"""Which fenced blocks hold a Python program, by their text alone. Each text is read once;
nothing is parsed or executed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..quotations import Block
from ..regexes import compile_once

_LANGUAGE = r"i?py(?:thon)?(?:[23](?:\.[0-9]{1,2})?)?"
_NAME_END = r"[\s,;:{}=(\[]"
# A line that begins a statement no program's output would hold.
_STATEMENT = (
    r"(?m)^(?:(?:async[ ]+)?def[ ]+\w+[ ]*\(|class[ ]+\w+[ ]*[(:]"
    r"|import[ ]+[\w.]+(?:[ ]+as[ ]+\w+)?[ ]*(?:[,;#]|$)"
    r"|from[ ]+[\w.]+[ ]+import\b|print[ ]*\(|@\w|try:|(?:for|while|if|with)\b[^\n]*:[ ]*(?:#[^\n]*)?$)"
)


def is_python(info: str) -> bool:
    """Whether a fence's info string names Python, or no language:
    `python title="a.py"`, `{python}`, `{.py3}`, `Python3.12`."""
    if not info.strip(" {}"):
        return True
    name = re.split(_NAME_END, info.strip().lstrip("{").lstrip(" ."), maxsplit=1)[0].lower()
    return compile_once(_LANGUAGE).fullmatch(name) is not None


def programs_of(blocks: Sequence[Block]) -> list[str]:
    """The contents of the Python blocks; where some of them are programs, those
    that may be their output are left out."""
    programs = [block for block in blocks if is_python(block.info)]
    return [block.content for block in programs if _is_program(block)] or [
        block.content for block in programs
    ]


def _is_program(block: Block) -> bool:
    """Whether it says that it is Python, or says nothing and has a
    statement of Python; else it may be an output.

    A session of the interpreter is none, whatever it says.
    """
    if block.content.lstrip().startswith(">>>"):
        return False
    return bool(block.info) or compile_once(_STATEMENT).search(block.content) is not None
