"""Electron configurations: `1s^{2} 2s^{2} 2p^{6}` is a list of shells,
and no product of powers of s and p."""

from __future__ import annotations

import re

from ..values import Words

_SHELL = re.compile(
    r"(?:\\, ?| )?([1-8]) ?([spdfg]) ?\^ ?(?:\{ ?(\d{1,2}) ?\}|(\d\d?(?=$|[ \\])|\d(?=[1-8] ?[spdfg] ?\^)"
    r"|\d\d))"
)
_CORE = re.compile(r"\[ ?([A-Z][a-z]) ?\]")


def read_configuration(text: str) -> Words | None:
    """The shells in their order as text; None for a text that is no
    configuration of two shells or a core and one."""
    core = _CORE.match(text)
    shells, at = [core[1].lower()] if core else [], core.end() if core else 0
    while at < len(text):
        match = _SHELL.match(text, at)
        if match is None:
            return None
        shells.append(f"{match[1]}{match[2]}{match[3] or match[4]}")
        at = match.end()
    return Words(" ".join(shells)) if len(shells) > 1 else None


__all__ = ["read_configuration"]
