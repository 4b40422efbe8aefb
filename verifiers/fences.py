"""Fences of code blocks (CommonMark 0.31, section 4.5), and which blocks hold a Python program, by their text alone.

Every function reads its text once or a fixed number of times; nothing is parsed or executed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .regexes import compiled

_LANGUAGE = r"i?py(?:thon)?(?:[23](?:\.[0-9]{1,2})?)?"
_NAME_END = r"[\s,;:{}=(\[]"
_MARKER = r" {0,40}(?:[-*+]|[0-9]{1,9}[.)])(?: {1,4}|$)"
# A line that begins a statement no program's output would hold.
_STATEMENT = (
    r"(?m)^(?:(?:async[ ]+)?def[ ]+\w+[ ]*\(|class[ ]+\w+[ ]*[(:]|import[ ]+[\w.]+(?:[ ]+as[ ]+\w+)?[ ]*(?:[,;#]|$)"
    r"|from[ ]+[\w.]+[ ]+import\b|print[ ]*\(|@\w|try:|(?:for|while|if|with)\b[^\n]*:[ ]*(?:#[^\n]*)?$)"
)


class Fence(NamedTuple):
    """mark: its run of backticks or tildes.  info: what follows on its line.  indent: columns before it."""

    mark: str
    info: str
    indent: int

    def is_closed_by(self, line: str) -> bool:
        """Whether a line ends the block that this fence began; a line indented further is part of the block."""
        text = line.strip()
        return (
            text.startswith(self.mark)
            and not text.strip(self.mark[0])
            and len(line[: line.index(text[0])].expandtabs(4)) <= self.indent + 3
        )


class Block(NamedTuple):
    info: str
    text: str

    @property
    def is_program(self) -> bool:
        """Whether it says that it is Python, or says nothing and has a statement of Python; else it may be an output.

        A session of the interpreter is none, whatever it says.
        """
        if self.text.lstrip().startswith(">>>"):
            return False
        return bool(self.info) or compiled(_STATEMENT).search(self.text) is not None


def read_fence(line: str) -> Fence | None:
    """The fence that a line consists of, at any indentation."""
    line = line.rstrip()
    text = line.lstrip(" \t")
    character = text[:1]
    if character not in ("`", "~") or not text.startswith(3 * character):
        return None
    info = text.lstrip(character)
    if character == "`" and "`" in info:
        return None
    before = line[: len(line) - len(text)].expandtabs(4)
    return Fence(text[: len(text) - len(info)], info.strip(), len(before))


def item_offset(line: str) -> int:
    """Columns before the contents of a list item that begins in this line; 0 for other lines."""
    match = compiled(_MARKER).match(line)
    return match.end() if match else 0


def dedent(line: str, columns: int) -> str:
    """A line of a block without the indentation that its fence has, too."""
    return line[min(columns, len(line) - len(line.lstrip(" "))) :]


def is_python(info: str) -> bool:
    """Whether a fence's info string names Python, or no language: `python title="a.py"`, `{python}`, `{.py3}`, `Python3.12`."""
    if not info.strip(" {}"):
        return True
    name = re.split(_NAME_END, info.strip().lstrip("{").lstrip(" ."), maxsplit=1)[0].lower()
    return compiled(_LANGUAGE).fullmatch(name) is not None


def programs_of(blocks: list[Block]) -> list[str]:
    """The Python blocks; where some of them are programs, those that may be their output are left out."""
    found = [block for block in blocks if is_python(block.info)]
    return [block.text for block in found if block.is_program] or [block.text for block in found]
