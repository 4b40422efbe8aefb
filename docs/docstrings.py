"""For the site: docstrings as Markdown.

Examples become blocks of code, which would be read as quotations, and what is said of a parameter begins on a
line of its own.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

EXAMPLE = re.compile(r"(?m)^>>> .*(?:\n(?!\s*$).*)*")  # from a prompt to the next empty line
PARAMETER = re.compile(r"(?m)(?<=[^\n])\n(?=\w+(?:, \w+)*: )")
FLAG = re.compile(r" *# doctest: .*")


def write_markdown(docstring: str) -> str:
    """The docstring with each example between fences and each parameter on a line of its own."""
    parts, at = [], 0
    for match in EXAMPLE.finditer(docstring):
        parts += [
            PARAMETER.sub("  \n", docstring[at : match.start()]),
            f"\n```pycon\n{FLAG.sub('', match[0])}\n```\n",
        ]
        at = match.end()
    return "".join([*parts, PARAMETER.sub("  \n", docstring[at:])])


class Markdown(Extension):
    """Sees every object of the package that is documented."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = write_markdown(obj.docstring.value)
