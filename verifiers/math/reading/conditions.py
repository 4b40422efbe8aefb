"""Conditions that an answer may name or leave out: the range of an index,
the place where a value is attained.

Only what does not depend on them loses them: a formula in the index, a sequence or function by its index, a
number. Which arguments a formula in x is for changes what it says, and stays.
All patterns look at a bounded tail of the text.
"""

from __future__ import annotations

import re

_TAIL = 120  # characters at the end in which a condition is searched for
_COUNTING = (  # N, N^*, Z^+, Z_{>0}
    r"(?:\\mathbb ?)?\{? ?[NZ] ?\}?(?: ?[\^_] ?(?:\{ ?)?(?:\*|\+|0|1|\\ast|\\star|\\geq? ?[01]|(?:>"
    r"|>=) ?[01])(?: ?\})?){0,2}"
    r"|\\\{ ?[01] ?, ?(?:\d ?, ?){0,4}(?:\\ldots|\\dots|\\cdots|\.\.\.) ?\\\}"
)
_REALS = r"(?:\\mathbb ?)?\{? ?R ?\}?"
_WORDS = r"(?:(?:is |are )?(?:an? |any |all )?(?:positive |non-?negative |natural )?(?:integers?|numbers?))"
_DOTS = r"(?:\\ldots|\\dots|\\cdots|\.\.\.)"
_INDEX = re.compile(
    r"(?P<lead>[,;:]? ?\(?(?:\b(?:where|for|with)\b ?)?(?:(?:all|any|every|each|(?:positive )?integers?) "
    r"|\\forall ?){0,2})"
    r"(?<![A-Za-z\\])(?P<name>[A-Za-z]) ?"
    r"(?:(?P<bound>(?:\\geq?(?:slant)?|>=?) ?[0-3](?!\d|[.]))"
    rf"|(?P<listed>= ?\d(?: ?, ?\d){{0,4}} ?, ?{_DOTS}(?: ?, ?[A-Za-z\d])?)"
    rf"|\\in ?(?P<counting>(?:{_COUNTING}))|\\in ?(?P<reals>{_REALS})|(?P<words>{_WORDS})) ?\)?$"
)
_POSITIVE = re.compile(
    r"(?P<lead>[,;:]? ?\(?for (?:all|any|every|each)) (?:positive |natural |non-?negative )"
    r"(?:integers?|numbers?) (?P<name>[A-Za-z]) ?\)?$"
)
# of a formula without a name; others, and what stands behind a comma, are parameters of a family
_INDEX_LETTER = "n"
_ATTAINED = re.compile(
    r"[,;]? ?\(? ?(?:(?:which|this|it)? ?(?:is |are )?(?:attained|achieved|reached|obtained|realized|occurs"
    r"|occurring) )?"
    r"(?P<equality>(?:with )?equality (?:holds |occurs |is attained |attained )?)?"
    r"\b(?P<word>when|at|iff|if and only if|if|for)\b ?(?P<place>[^;<>]{1,80}?) ?\)?$"
)
_PLACE = re.compile(r"(?:[^A-Za-z]|\\[A-Za-z]+|(?<![A-Za-z])[A-Za-z](?![A-Za-z])|\band\b)*")
_LETTER = re.compile(r"(?<![A-Za-z\\])[A-Za-z]")
_NAMED = re.compile(r"(?<![A-Za-z\\])[A-Za-z](?=[^A-Za-z]|$)")


def without_condition(text: str) -> str | None:
    """The answer without the condition behind it; None where there is none, or where it says something."""
    head, tail = text[:-_TAIL], text[-_TAIL:]
    for signs, pattern, stands in _KINDS:
        match = pattern.search(tail) if any(sign in tail for sign in signs) else None
        answer = (head + tail[: match.start()]).strip() if match else ""
        if match and answer and stands(match, answer):
            return answer.rstrip(" ,;")
    return None


def _holds_for_index(match: re.Match[str], answer: str) -> bool:
    """Whether an answer is a sequence by this index, a function by this
    argument, or a formula in an index."""
    if not match["lead"].strip() or answer.count("(") < answer.count(")"):
        return False
    name, said = match["name"], match.groupdict()
    clauses = re.split(r",| and ", answer) if answer.count("=") > 1 else [answer]
    if "=" in answer:
        named = re.compile(rf"(?:[(,] ?|_ ?\{{? ?){name}(?![A-Za-z])")
        left = [clause.partition("=")[0] for clause in clauses]
        stated = not re.search(r"[<>]|\\(?:leq?|geq?|neq?|in)(?![a-z])", answer)
        return stated and all("=" in clause for clause in clauses) and all(map(named.search, left))
    if said.get("counting") or said.get("reals") or said.get("words") or name != _INDEX_LETTER:
        return False  # a family of numbers
    if "for" not in match["lead"] and "where" not in match["lead"]:
        return False  # a family of numbers
    alone = not re.search(r"[,;<>{]\\|[;<>]|\\(?:leq?|geq?|neq?|in)(?![a-z])|[A-Za-z]{3,} [A-Za-z]", answer)
    return alone and "," not in answer and set(_NAMED.findall(answer)) == {name}


def _is_attained(match: re.Match[str], answer: str) -> bool:
    """Whether a number, or an inequality with its case of equality, stands before the place."""
    place, equality = match["place"], match["equality"]
    place += ")" * (place.count("(") - place.count(")"))
    if not _PLACE.fullmatch(place) or (match["word"] == "if" and not equality):
        return False
    parts = re.split(r", ?| and ", re.sub(r"\([^()]*\)", "()", place))
    if not all("=" in part or (match["word"] == "at" and part.strip() == "()") for part in parts):
        return False  # "5 at x = 1, 6"
    if equality and re.search(r"[<>]|\\[lg]eq?(?![a-z])", answer):
        return not re.search(r"\b(?:if|when|or|not)\b", answer)
    return not _LETTER.search(answer) and "," not in answer and any(map(str.isdigit, answer))


_KINDS = (  # one of the signs stands in each
    ((r"\in", r"\ge", ">", "dots", "...", "integer", "number"), _INDEX, _holds_for_index),
    (("integer", "number"), _POSITIVE, _holds_for_index),
    (("when ", "at ", "if ", "iff ", "for "), _ATTAINED, _is_attained),
)
__all__ = ["without_condition"]
