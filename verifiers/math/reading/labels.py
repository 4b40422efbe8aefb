"""Labelled values: angles, segments and quantities by name, largest and smallest values,
parts of a question, points."""

from __future__ import annotations

import re

_POINT = r"[A-Z](?: ?_ ?\{? ?[A-Za-z0-9]{1,2} ?\}?)?(?: ?')?"
_FIGURE = (
    r"(?:m ?)?\\(?:angle|measuredangle|triangle|overline|overrightarrow|vec|widehat)(?![a-z]) ?\{? ?"
    rf"{_POINT}(?: ?{_POINT}){{0,3}} ?\}}?"
)
_SEGMENT = rf"{_POINT}(?: ?{_POINT}){{1,3}}"
_WORDS = r"[A-Za-z]{5,20}(?: [A-Za-z]{1,20}){0,3}|Area|area|Sum|sum"
_LABEL = re.compile(rf"({_FIGURE}|{_SEGMENT}|{_WORDS})\s*(?:=|\\approx|\\simeq)([^=<>]+)")
_EXTREME = re.compile(
    r"(?:(?:the|a|its|with|has an?) )?(?:\\?(?:(?P<most>max(?:imum)?|greatest|largest)"
    r"|(?P<least>min(?:imum)?|smallest|least)))"
    r"(?![A-Za-z])(?: value)?\.?\s*(?:=|:|\bis\b|\bof\b)?\s*(?P<value>(?!\\\{)[-+\\\d.][^=<>]*)",
    re.IGNORECASE,
)
_EXTREMES = {"maximum": "max", "max": "max", "minimum": "min", "min": "min"}
_SPACED = re.compile(r"[A-Z](?: [A-Z]){1,3}")
_LETTER = re.compile(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])")
_NAMELESS = re.compile(r"\\(?:angle|measuredangle)\s*(?:=|\\approx)\s*(?=[-\d\\(])")
_PARTS = ("(1)", "(a)", "(A)", "(i)")
_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x")
_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def split_label(text: str) -> tuple[str, str] | None:
    """`AB = 5`, `\\angle ABC = 60`, `Area = 12`: the name and what it equals. None for anything else."""
    match = _LABEL.fullmatch(text)
    # P V = n R T is an equation
    if match is None or (_SPACED.fullmatch(match[1].strip()) and _LETTER.search(match[2])):
        return None
    return _name(match[1]), match[2].strip()


def split_extreme(text: str) -> tuple[str, str] | None:
    """`maximum 5`, `\\min = -3`, "the smallest value is 2": `max` or `min`, and its value."""
    match = _EXTREME.fullmatch(text)
    if match is None:
        return None
    return ("max" if match["most"] else "min"), match["value"].strip()


def known_label(label: str) -> str:
    """`maximum` as `max`; any other label as it is."""
    return _EXTREMES.get(label.lower(), label)


def _name(label: str) -> str:
    """A label without spaces between its points; an angle is the same from either side."""
    words = " ".join(re.sub(r"[{}]", " ", label).split())
    figure = re.fullmatch(r"(?:m ?)?(\\[a-z]+) ?(.*)", words)
    if figure is None and not re.fullmatch(_SEGMENT, words):
        return words
    head, points = (figure[1], figure[2]) if figure else ("", words)
    letters = re.findall(r"[A-Z](?:_[A-Za-z0-9]{1,2})?'?", points.replace(" ", ""))
    if head in ("\\angle", "\\measuredangle") and len(letters) == 3:
        letters = min(letters, letters[::-1])
    return f"{head} {''.join(letters)}".strip()


def labelled_list(pieces: list[str]) -> list[tuple[str, str]] | None:
    """The pieces of a list as labels with texts, where each of them has a
    label and none has another's; or None."""
    pieces = [part.removeprefix("and ").strip() for piece in pieces for part in piece.split(" and ")]
    if not 2 <= len(pieces) <= 20:
        return None
    pairs = [split_label(piece) or split_extreme(piece) for piece in pieces]
    labels = [each[0] for each in pairs if each is not None]
    return [each for each in pairs if each is not None] if len(set(labels)) == len(pieces) else None


def strip_name(text: str) -> str:
    """`\\angle = 18.8` says 18.8."""
    return _NAMELESS.sub("", text, count=1) if text.startswith("\\") else text


def separate_parts(text: str) -> str:
    """`(1) 3 (2) 4` with a comma before each label that counts on; other texts as they are."""
    kind = next((first for first in _PARTS if text.startswith(first)), None)
    if kind is None:
        return text
    labels = [f"({label})" for label in _counting(kind)]
    pieces, begin, at, depth = [], 0, 0, 0
    expected = 1
    while at < len(text) and expected < len(labels):
        if not depth and at and text[at - 1] == " " and text.startswith(labels[expected] + " ", at):
            pieces.append(text[begin:at].rstrip(" ,;").removesuffix(" and").rstrip(" ,;"))
            begin, at, expected = at, at + len(labels[expected]), expected + 1
            continue
        depth = max(0, depth + _BRACKETS.get(text[at], 0))
        at += 1
    return ", ".join((*pieces, text[begin:]))


def _counting(kind: str) -> tuple[str, ...]:
    if kind == "(1)":
        return tuple(map(str, range(1, 10)))
    return _ROMAN if kind == "(i)" else tuple("abcdefghij" if kind == "(a)" else "ABCDEFGHIJ")


__all__ = ["known_label", "labelled_list", "separate_parts", "split_extreme", "split_label", "strip_name"]
