"""Text that is no value, as the stream of its tokens: spacing, styling and spelling don't count, symbols do.

Prose is folded to lower case without its article. Where a text has mathematics in it, words of prose lose
their case and letters keep it, since `X` and `x` are two variables.
"""

from __future__ import annotations

import re

from .vocabulary import RELATIONS

_PIECE = re.compile(r"\\[A-Za-z]+|\\.|[A-Za-z]+|\d+(?:\.\d+)?|\S", re.S)
_MATHS = re.compile(r"[\\^_=<>+*/|{}\[\]\d]")
_FIRST_WORD = re.compile(r"(?:an?|the)\s+(?=[A-Za-z]{2,})", re.IGNORECASE)
_ARTICLE = re.compile(r"(?:an?|the)\s+(?=\S{2,})")
_ONE_ARGUMENT = frozenset(("frac", "\\sqrt"))
_NAMES = {
    **{name: sign for name, sign in RELATIONS.items() if name.isalpha() and name != "in"},
    **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac", "sfrac"), "frac"),
    **dict.fromkeys(("cdot", "times", "ast", "*"), "*"),
    **dict.fromkeys(("ldots", "cdots", "dots", "dotsc", "dotsb", "dotsm"), "..."),
    **dict.fromkeys(("rightarrow", "longrightarrow", "->"), "->"),
    **dict.fromkeys(("Rightarrow", "implies", "Longrightarrow"), "=>"),
    **dict.fromkeys(("varnothing", "emptyset"), "emptyset"),
    **dict.fromkeys(("vert", "lvert", "rvert", "mid", "|"), "|"),
    **dict.fromkeys(("lbrace", "{"), "{"), **dict.fromkeys(("rbrace", "}"), "}"),
    "wedge": "land", "vee": "lor", "epsilon": "varepsilon", "phi": "varphi", "colon": ":", "prime": "'",
    "div": "/",
}  # fmt: skip


def stream(text: str) -> str:
    """A normalised text as its tokens, joined by spaces; equal texts say the same in the same order."""
    text = " ".join(text.split())
    if not _MATHS.search(text):
        return fold(text)
    opened: list[int] = []
    kept: list[str] = []
    for match in _PIECE.finditer(text, first.end() if (first := _FIRST_WORD.match(text)) else 0):
        piece = _named(match[0])
        if piece == "{":
            opened.append(len(kept))
        elif piece == "}" and opened:
            begin = opened.pop()
            if len(kept) - begin == 2:  # braces around one token say nothing
                del kept[begin]
                continue
        elif piece.isdigit() and len(piece) > 1 and _takes_digit(kept):
            kept.extend((piece[0], piece[1:]))  # \\frac12
            continue
        kept.append(piece)
    while kept and kept[-1] in ".,;:":
        kept.pop()
    return " ".join(_bound(kept) if "\\{" in kept else kept)


def _bound(kept: list[str]) -> list[str]:
    """Set-builders with one name for their bound letter, and one sign before their condition."""
    ends = [index for index, piece in enumerate(kept) if piece == "\\}"]
    end = ends[0] if ends else 0
    begin = kept.index("\\{")
    inside = kept[begin + 1 : end]
    if len(ends) != 1 or kept.count("\\{") != 1 or len(inside) < 3:
        return kept
    if inside[0] == "(" and ")" in inside[:-2] and inside[(after := inside.index(")") + 1)] == ":":
        inside[after] = "|"
    elif inside[1] in (":", "|", "in", "\\in") and _is_letter(inside[0]):
        letter = inside[0]
        if not any(
            letter in piece and piece != letter for piece in inside if piece.isalpha() and len(piece) < 4
        ):
            inside = ["bound" if piece == letter else piece for piece in inside]
        inside = ["|" if piece == ":" else piece for piece in inside]
    return [*kept[: begin + 1], *inside, *kept[end:]]


def _is_letter(piece: str) -> bool:
    return (len(piece) == 1 and piece.isalpha()) or piece[0] == "\\"


def fold(text: str) -> str:
    """Prose for comparison: lower case, single spaces, no quotes, dots or articles."""
    folded = " ".join(re.sub(r"[\"'.;]+", "", text).lower().replace("\\", "").split()).strip(" ,:")
    first = _ARTICLE.match(folded)
    return folded[first.end() :] if first else folded


def _named(piece: str) -> str:
    if piece[0] == "\\" and len(piece) > 1:
        command = piece[1:]
        if command in "{}":
            return piece  # the braces of a set are no grouping
        return _NAMES.get(command, piece) if command.isalpha() else command
    if len(piece) > 1 and piece.isalpha() and (len(piece) > 3 or piece[1:].islower()):
        piece = piece.lower()
    return _NAMES.get(piece, piece) if not piece.isalpha() else piece


def _takes_digit(kept: list[str]) -> bool:
    """Whether the argument of a fraction or root stands next, without braces."""
    return bool(kept) and kept[-1] in _ONE_ARGUMENT


__all__ = ["fold", "stream"]
