"""Texts of others in Markdown, where they stay text."""

from __future__ import annotations

import re


def escape(text: str) -> str:
    """A text that stays text, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))


def fence(text: str, language: str = "") -> str:
    """A block of code, by more backticks than the text has in a row."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{language}\n{text}\n{marks}"
