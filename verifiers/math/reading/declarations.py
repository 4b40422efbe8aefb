"""What is said of parameters behind an answer, in whatever brackets and words, as clauses of one spelling.

`(k \\in \\mathbb Z)`, `where k \\in Z` and `k = 0, \\pm 1, \\pm 2, \\ldots` all become
`, k \\in \\mathbb{Z}`. Patterns look at a bounded tail of the text.
"""

from __future__ import annotations

import re
from itertools import pairwise

_TAIL = 140  # characters at the end in which a clause is searched for
_MAX_CLAUSES = 3
_LETTER = r"(?:[A-Za-z]|\\(?:alpha|beta|lambda|mu|theta))(?: ?_ ?\{? ?\d ?\}?)?"
_DOTS = r"\\?(?:[lc]?dots[cbo]?|\.\.\.)"
_INTEGER = r"(?:\\pm ?|- ?)?\d{1,4}"
_KIND = (
    r"(?:(?P<kind>integers?|reals?|constants?|natural) )?(?:(?:numbers?|constants?|values?(?: of)?"
    r"|parameters?|scalars?) )?"
)
_QUANTITY = r"(?:(?:all|any|every|each|some|an|a|the|arbitrary|fixed|real) ){0,3}"
_SET = (
    r"(?:\\mathbb ?)?\{? ?(?P<set>[ZRNQC]) ?\}?"
    r"(?P<part> ?[\^_] ?\{? ?(?:[+*0]|\\(?:geq?|ast) ?[01]?|> ?0|>= ?[01]) ?\}?){0,2}"
)
_BOUND = (
    r"(?P<sign>\\(?:geq?|leq?|geqslant|leqslant|neq?|gt|lt)(?![a-z])|[<>]=?) ?(?P<bound>-? ?\d{1,6})"
    r"(?P<after> (?:is |are )?(?:an )?integers?)?"
)
_PLACE = rf"(?:{_INTEGER}|{_DOTS})"
_LIST = rf"= ?(?:\\\{{ ?)?(?P<list>{_PLACE}(?: ?(?:, ?|,? ?\b(?:and|or)\b ?){_PLACE}){{1,30}})(?: ?\\\}})?"
_DOMAIN = rf"(?:(?:\\in(?![a-z])|\bin\b) ?{_SET}|{_BOUND}|{_LIST})(?: ?(?P<close>[)\]]))?$"
# few texts have even this much
_HINT = re.compile(rf"(?<![A-Za-z\\])(?:[A-Za-z]|\\[a-z]+)(?: ?_ ?\{{? ?\d ?\}}?)? ?{_DOMAIN}")
_CLAUSE = re.compile(
    r"(?P<comma> ?[,;:])? ?(?P<open>[(\[] ?)?"
    + rf"(?P<lead>(?:where|for|with|and|here|when|such that|as)\b ?|\\forall ?)?{_QUANTITY}{_KIND}"
    + rf"(?<![A-Za-z\\])(?P<names>{_LETTER}(?: ?(?:,|\band\b) ?{_LETTER}){{0,3}}) ?{_DOMAIN}"
)
_SIGNED = (
    r"(?P<{0}>positive|non-?negative|non-?zero|negative|natural) (?:(?P<{0}_kind>integer|real"
    r"|number)s? ?(?:numbers? ?)?)"
)
_WORDS = re.compile(
    r"[,;]? ?[(]?(?:\b(?:where|for|with|and|when)\b ?)?(?:(?:all|any|every|each|some|an|a|arbitrary|fixed"
    r"|constant) ){0,3}"
    + rf"(?:{_SIGNED.format('ahead')}(?P<name>[A-Za-z])"
    + r"|(?<![A-Za-z\\])(?P<first>[A-Za-z]) (?:is |being )?(?:(?:all|any|an?|some|arbitrary|fixed) )?"
    + rf"{_SIGNED.format('behind')})"
    + r" ?[)]?$"
)
_NAMES = rf"{_LETTER}(?: ?(?:, ?and\b|,|\band\b) ?{_LETTER}){{0,3}}"
_PLURAL = re.compile(
    r"[,;]? ?[(]?(?:\b(?:where|for|with)\b ?)(?:"
    + rf"(?P<names>{_NAMES}) (?:is|are|being) (?:(?:both|all|any|arbitrary|an?|real|some) ){{0,3}}"
    + r"(?P<kind>constant|real|integer)s?"
    + r"|(?:(?:all|any|some|arbitrary|real) ){1,3}(?P<first_kind>constant|number|real|integer)s? "
    + rf"(?P<first>{_NAMES}))(?: (?:numbers?|constants?))? ?[)]?$"
)
_BOUNDS = {
    "positive": " > 0",
    "nonnegative": " \\ge 0",
    "negative": " < 0",
    "nonzero": " \\ne 0",
    "natural": "",
}
# a name of its own
_RELATED = re.compile(rf"{_LETTER} ?(?:[=<>]|\\(?:in|geq?|leq?|neq?|equiv|approx|gt|lt)(?![a-z]))")
_LEADS = ("for", "where", "with", "when", "[")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_ENDS = ("Z", "R", "N", "Q", "C", "}", ")", "]", "*", "+", ".", "dots", "integer", "integers")
_OPEN_ENDED = frozenset("+-*/^=<>({[,|&")
_SIGNS = {"geqslant": "ge", "geq": "ge", "leqslant": "le", "leq": "le", "neq": "ne", "gt": ">", "lt": "<"}


def declare(text: str) -> str:
    """The text with what it says of parameters at its end as memberships and bounds behind commas."""
    if not (text[-1:].isdigit() or text.endswith(_ENDS)) or not _HINT.search(text, max(1, len(text) - _TAIL)):
        return text
    answer, said = text, ""
    for _ in range(_MAX_CLAUSES):
        match = _CLAUSE.search(answer[-_TAIL:])
        if match is None:
            break
        start = max(0, len(answer) - _TAIL)
        before, names, comma = answer[: start + match.start()], match["names"], match["comma"]
        # `\\pi t, t \\in Z`: the first is no part
        if not (match["comma"] or match["open"] or match["lead"]) and "," in names:
            kept, comma, names = names.partition(",")
            before = answer[: start + match.start("names")] + kept
        before = before.rstrip()
        clause = _rewrite(match, names, bool(comma), before)
        if clause is None:
            break
        answer, said = before, clause + said
    return answer + said


def declare_words(text: str) -> str:
    """`for any positive integer n` as memberships and bounds behind commas;
    the text where it says nothing like it."""
    if not (text[-1:].isalpha() or text.endswith(")")):
        return text
    tail = text[-_TAIL:]
    match = _WORDS.search(tail) if "ve " in tail or "zero" in tail or "natural" in tail else None
    if match is None:
        return _declare_several(text) if any(map(tail.count, _LEADS)) else text
    answer = text[: max(0, len(text) - _TAIL) + match.start()].rstrip()
    name, sign = match["name"] or match["first"], match["ahead"] or match["behind"]
    kind = match["ahead_kind"] or match["behind_kind"]
    left, equals, _ = answer.partition("=")
    if equals and re.search(rf"[(_] ?\{{? ?{name}\b", left):  # of a sequence or a function
        return text
    if not answer or answer[-1] in _OPEN_ENDED or name not in _COMMAND.sub(" ", _RELATED.sub(" ", answer)):
        return text
    letter = "N" if sign == "natural" else "Z" if kind == "integer" else "R"
    bound = _BOUNDS[sign.replace("-", "")]
    return f"{answer}, {name} \\in \\mathbb{{{letter}}}" + (f", {name}{bound}" if bound else "")


def _declare_several(text: str) -> str:
    """`where c_1 and c_2 are constants` as memberships behind commas. One letter alone is left to others."""
    match = _PLURAL.search(text[-_TAIL:])
    if match is None:
        return text
    names = [
        name.replace(" ", "")
        for name in re.findall(_LETTER, re.sub(r"\band\b", ",", match["names"] or match["first"]))
    ]
    answer = text[: max(0, len(text) - _TAIL) + match.start()].rstrip()
    used = answer.replace(" ", "").replace("{", "").replace("}", "")
    if not answer or len(names[0]) * len(names) == 1 or not all(name.strip("{}") in used for name in names):
        return text
    letter = "Z" if "integer" in (match["kind"], match["first_kind"]) else "R"
    return answer + "".join(f", {name} \\in \\mathbb{{{letter}}}" for name in names)


def _rewrite(match: re.Match[str], said_of: str, comma: bool, answer: str) -> str | None:
    """The clause in its one spelling; None where it says nothing of what stands before it."""
    names = [name.replace(" ", "") for name in re.findall(_LETTER, said_of)]
    if not answer or answer[-1] in _OPEN_ENDED or bool(match["open"]) != bool(match["close"]):
        return None
    used = _RELATED.sub(" ", answer)
    letters = _COMMAND.sub(" ", used)
    if not all(name in (used if name[0] == "\\" else letters) for name in names):
        return None
    lead = (match["lead"] or "").strip()
    if lead == "and" and not comma:
        return None
    said = bool(match["after"] or lead not in ("", "and") or match["open"] or match["kind"])
    if match["set"]:
        return "".join(_membership(name, match["set"], match["part"] or "") for name in names)
    integer = bool(match["after"]) or (match["kind"] or "").startswith(("integer", "natural"))
    if match["sign"]:
        if not said:
            return f", {names[0]} {match['sign']} {match['bound']}" if comma and len(names) == 1 else None
        sign = match["sign"].removeprefix("\\")
        sign = _SIGNS.get(sign, sign)
        sign = f"\\{sign}" if sign.isalpha() else sign
        extra = [f", {name} \\in \\mathbb{{Z}}" if integer else "" for name in names]
        return "".join(
            f", {name} {sign} {match['bound']}{more}" for name, more in zip(names, extra, strict=True)
        )
    if len(names) > 1 or not (said or comma) or (not said and names[0] in "xyz"):
        return None
    return _read_list(names[0], match["list"])


def _membership(name: str, letter: str, part: str) -> str:
    """`\\mathbb{Z}^+` and its like as the set and a bound."""
    clause = f", {name} \\in \\mathbb{{{letter}}}"
    mark = re.sub(r"[\s^_{}\\]", "", part).replace("geq", "g").replace("ge", "g").replace(">=", "g")
    if not mark:
        return clause
    if letter == "N":
        return f", {name} \\in \\mathbb{{Z}}, {name} \\ge {int(mark in ('+', '*', 'ast', '>0', 'g1', '1'))}"
    if mark in ("g0", "0"):
        return f"{clause}, {name} \\ge 0"
    if mark in ("+", ">0"):
        return f"{clause}, {name} > 0"
    if mark in ("*", "ast"):
        return f"{clause}, {name} \\ne 0"
    return clause if mark != "g1" else f"{clause}, {name} \\ge 1"


def _read_list(name: str, text: str) -> str | None:
    """`0, 1, 2` as a set; `0, 1, 2, \\ldots` as integers with a bound;
    `0, \\pm 1, \\ldots` as all of them; else None."""
    parts = [part.replace(" ", "") for part in re.findall(rf"{_INTEGER}|{_DOTS}", text)]
    dots = [index for index, part in enumerate(parts) if "." in part or "dots" in part]
    whole = f", {name} \\in \\mathbb{{Z}}"
    if not dots:
        return f", {name} \\in \\{{{', '.join(parts)}\\}}"
    if dots[0] == 0 or len(dots) > 1:
        inner = [part for index, part in enumerate(parts) if index not in dots]
        return whole if dots == [0, len(parts) - 1] and _are_consecutive(inner) and len(inner) > 2 else None
    start = parts[: dots[0]]
    if start[0] == "0" and start[1:] == [f"\\pm{n}" for n in range(1, len(start))] and len(start) > 1:
        end = parts[dots[0] + 1 :]
        if not end:
            return whole
        return (
            f", -{end[0][3:]} \\le {name} \\le {end[0][3:]}{whole}"
            if end[0].startswith("\\pm") and len(end) == 1
            else None
        )
    if not _are_consecutive(start):
        return None
    if dots[0] == len(parts) - 1:
        return f", {name} \\ge {start[0]}{whole}" if len(start) > 1 else None
    if dots[0] == len(parts) - 2 and "\\" not in parts[-1]:
        return f", {start[0]} \\le {name} \\le {parts[-1]}{whole}"
    return None


def _are_consecutive(parts: list[str]) -> bool:
    return all("\\" not in part for part in parts) and all(int(b) - int(a) == 1 for a, b in pairwise(parts))


__all__ = ["declare", "declare_words"]
