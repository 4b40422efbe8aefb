"""What is said after an answer: where its parameters are from, for which arguments it holds,
which of several it is.

All patterns look at a bounded tail of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .conditions import without_condition
from .vocabulary import NOT_COUNTED

_TAIL = 100  # characters at the end in which a qualifier is searched for
_QUANTITY = r"(?:(?:all|any|every|each|some|an|a|arbitrary|fixed) ){0,3}"
_START = r"[,;:]? ?\(?(?:\b(?:where|for|with|and)\b ?|\\forall ?)?"
_END = r" ?\)?$"
# "where k is an integer", "for any real constant c", "(n an integer)"
_SAID = re.compile(
    _START
    + _QUANTITY
    + r"(?:(?P<kind>integer|real)s?(?: numbers?| constants?| values? of)? (?P<name>[A-Za-z])"
    + r"|(?<![A-Za-z\\])(?P<first>[A-Za-z]) (?:is |are |being )?"
    + _QUANTITY
    + r"(?P<last>integer|real)s?(?: number| constant)?)"
    + _END
)
# "for some constant c", "where c is a constant", "(C constant)", "c arbitrary"
_CONSTANT = re.compile(
    r"[,;:]? ?\(?(?:\b(?:where|for|with|and)\b ?)?"
    + _QUANTITY
    + r"(?:constants? (?P<name>[A-Za-z])|(?<![A-Za-z\\])(?P<first>[A-Za-z]) (?:is |being )?"
    + r"(?:(?:an|a|any|some|arbitrary) ){0,3}(?:constant|arbitrary|the constant of integration))"
    + _END
)
# "for all x", "for every x \in \mathbb{R}", "\forall n \ge 1", "for all real numbers x", "for all positive
# integers n"
_UNIVERSAL = re.compile(
    r"[,;:]? ?\(?(?:for (?:all|any|every|each)|\\forall)\b ?"
    + r"(?:(?:positive|non-?negative|negative|natural|real|rational|complex|whole|possible|such) ){0,2}"
    + r"(?P<kind>integers?|reals?|numbers?|values? of)? ?(?P<name>[A-Za-z])"
    + r"(?P<domain> ?(?:\\in|\\geq?|>|\\neq?|=|in) ?[^;]{1,50})?"
    + _END
)
# in every qualifier there is one of these
_SAYS_SOMETHING = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{2}|\\(?:in|ge|forall)|>")
_PARENTHESIS = re.compile(r"(?P<answer>.*[^\s(,]) ?\((?P<words>[A-Za-z][A-Za-z ,'-]{2,60})\)$", re.S)
_REMARKS = frozenset(  # what is said of an answer without changing it
    str.split(
        "the a an of in is as it this all and only unique smallest largest least greatest minimum maximum "
        "minimal maximal final exact exactly correct required desired simplified simplest lowest reduced "
        "possible integer answer value solution number result terms term form total fully first last "
        "smaller larger positive root given by definition"
    )
)
_CHANGES = frozenset(
    str.split("not or no non never wrong except false if unless approximately about percent degrees base mod")
)
_INDEX_DOMAIN = re.compile(
    r" ?(?:\\geq? ?[0-3]|> ?[0-2]|\\in ?\\mathbb ?\{ ?[NZ] ?\}(?: ?\^ ?\{? ?[+*] ?\}?)?|\\in ?N)"
)
_REALS = re.compile(r" ?(?:\\in|in) ?(?:\\mathbb ?\{ ?[RC] ?\}|R)")


def read_qualifiers(text: str, is_unit: Callable[[str], bool]) -> str:
    """The text with memberships in symbols (`..., k \\in \\mathbb{Z}`), and
    without what adds nothing to the answer.

    is_unit: whether words in brackets are a unit, which then stays (`5 (meters)`).
    """
    if not _SAYS_SOMETHING.search(text):
        return text
    if not text.endswith((")", "}", "]", ".", "*", "+", "dots")) and not text[-1:].isalnum():
        return text
    if (shorter := without_condition(text)) is not None:
        return shorter
    if text.endswith(")") and (shorter := _without_parenthesis(text, is_unit)) is not None:
        return shorter
    for pattern, replace in ((_SAID, _membership), (_CONSTANT, _constant), (_UNIVERSAL, _universal)):
        head, tail = text[:-_TAIL], text[-_TAIL:]
        match = pattern.search(tail)
        answer = (head + tail[: match.start()]).strip() if match else ""
        if match and answer and (added := replace(match, answer)) is not None:
            return answer + added
    return text


def _without_parenthesis(text: str, is_unit: Callable[[str], bool]) -> str | None:
    """`17 (the smallest)` says 17."""
    match = _PARENTHESIS.fullmatch(text)
    if match is None:
        return None
    words = match["words"].lower().replace(",", " ").split()
    if is_unit(match["words"]):
        return f"{match['answer']} {match['words']}"
    described = words[0] == "the" and _CHANGES.isdisjoint(words) and NOT_COUNTED.isdisjoint(words[1:])
    if not (described or _REMARKS.issuperset(words)) or not re.search(
        r"[\d}\])]$|\b[A-Za-z]$", match["answer"]
    ):
        return None
    return match["answer"] if len(words) > 1 or len(words[0]) > 4 else None


def _membership(match: re.Match[str], _answer: str) -> str | None:
    letter = "Z" if (match["kind"] or match["last"]) == "integer" else "R"
    return _belongs(match["name"] or match["first"], letter)


def _constant(match: re.Match[str], _answer: str) -> str | None:
    return _belongs(match["name"] or match["first"], "R")


def _universal(match: re.Match[str], answer: str) -> str | None:
    """A function holds for all its arguments, a sequence for all its places:
    said or not. Else a parameter is declared."""
    name = re.escape(match["name"])
    left, equals, _ = answer.partition("=")
    domain = match["domain"] or ""
    everywhere = (
        not domain
        or _REALS.fullmatch(domain)
        or (match["name"] in "nmkij" and _INDEX_DOMAIN.fullmatch(domain))
    )
    if equals and everywhere and re.search(rf"[(_]\s*\{{?\s*{name}\b|,\s*{name}\s*\)", left):
        return ""
    if match["domain"]:
        return f", {match['name']}{match['domain']}"
    return _belongs(match["name"], "Z" if (match["kind"] or "").startswith("integer") else "R")


def _belongs(name: str, letter: str) -> str:
    return f", {name} \\in \\mathbb{{{letter}}}"
