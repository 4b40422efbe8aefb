"""What is said around an answer: the working before it, the definition of a letter behind it,
the marks of feet and inches."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from ..deciding.decide import decide
from ..traversal import fits, names_in, substitute
from ..values import EXPRESSIONS, Const, Num, Power, Product, Sym, Unreadable, Value

_CONCLUDES = re.compile(
    r"(?i) ?[,;.] ?(?:and )?(?:so|hence|thus|therefore|giving|which gives|we get|we have)\b,? ?"
)
_CONCLUDING = ("so", "So", "ence", "hus", "herefore", "giv", "we ")  # one of them stands in each
_EQUATION = re.compile(r"[^=<>,;]*[^=<>,;\s] ?(?:= ?[^=<>,;]+)+")
_ANSWER = re.compile(r"(?:the |our )?(?:final |correct )?answer (?:is|=):? ?(?P<value>[^=<>,;]+)")
_PROSE = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
_LETTERS = re.compile(r"(?<![\\A-Za-z])[A-Za-z]|(?<=[xyz])[xyz]")
_COORDINATES = frozenset("xyz")  # an equation in these is a curve, unless working says what they are
_JOINS = frozenset(str.split("and with since because where let then sin cos tan log exp sqrt gcd lcm"))
_DEFINED = re.compile(
    r",? ?\(?\b(?:where|with|for) (?P<name>\\[a-z]{2,10}"
    r"|[A-Za-z](?: ?_ ?\{? ?\w ?\}?)?) ?= ?(?P<value>[^=<>,;]{1,100}?)\)?$"
)
_WITHIN = 140  # characters at the end in which a definition is searched for
_FEET = re.compile(r"(?:(?P<feet>\d+(?:\.\d+)?) ?')? ?(?:(?P<inches>\d+(?:\.\d+)?) ?(?:\"|''))?")
_ONE_MARK = re.compile(
    r"(?P<value>[^A-Za-z'\"]*(?:\\(?:sqrt|frac|dfrac|pi|cdot)\b[^A-Za-z'\"]*)*[\d})]) ?(?P<mark>\"|''|')"
)
MAX_CHARS_OF_A_LENGTH = 60
MAX_PARTS = 2_000  # of an answer with a defined letter
MAX_MEANING = 100  # parts of what the letter stands for
REDUCED_PLANCK = Product((Sym("h"), Power(Product((Num(Fraction(2)), Const("pi"))), Num(Fraction(-1)))))


@dataclass(frozen=True, slots=True)
class Definition:
    """An answer's text, and what a letter in it stands for."""

    answer: str
    name: str
    value: str


def find_conclusion(text: str) -> str:
    """`a = 497, b = 7, so a + b = 504` says `a + b = 504`: equations alone are
    working, and the last one is another."""
    if "=" not in text or not any(word in text for word in _CONCLUDING):
        return text
    end = None
    for end in _CONCLUDES.finditer(text):  # noqa: B007 - the last one
        pass
    if end is None:
        return text
    working, clause = text[: end.start()], text[end.end() :]
    if (answer := _ANSWER.fullmatch(clause)) is not None and "=" in working and not _has_prose(working):
        return text if _has_prose(answer["value"]) else answer["value"].strip()
    if (
        "=" not in working
        or not _EQUATION.fullmatch(clause)
        or " and " in clause
        or _has_prose(working)
        or _has_prose(clause)
    ):
        return text
    asked = "".join(clause.partition("=")[0].split())
    stated = {"".join(side.split()) for side in re.split(r"[=,;.]| and ", working)}
    if sorted(asked) in map(sorted, stated):
        return text
    letters = set(_LETTERS.findall(asked))
    shown = clause.count("=") > 1 or (letters <= _COORDINATES and len(letters) > 1 and letters <= stated)
    return clause.partition("=")[2].strip() if shown else clause  # a + b = 497 + 7 = 504


def _has_prose(text: str) -> bool:
    return any(word.lower() not in _JOINS for word in _PROSE.findall(text))


def find_definition(text: str) -> Definition | None:
    """`\\varphi - 1, where \\varphi = 2`: the answer, the letter and its value; None without one."""
    if not text.endswith((")", "}", "]")) and not text[-1:].isalnum():
        return None
    head, tail = text[:-_WITHIN], text[-_WITHIN:]
    match = (
        _DEFINED.search(tail)
        if "=" in tail and any(word in tail for word in ("where ", "with ", "for "))
        else None
    )
    answer = (head + tail[: match.start()]).strip() if match else ""
    return Definition(answer, match["name"].strip(), match["value"].strip()) if match and answer else None


def apply_definition(value: Value, name: Value, meaning: Value) -> Value:
    """A value with the meaning of a letter in its place. Raises Unreadable
    where the letter does not occur in it."""
    named = names_in(name)
    if named == {"hbar"} and isinstance(meaning, EXPRESSIONS) and decide(meaning, REDUCED_PLANCK).equal:
        return value
    if (
        len(named) != 1
        or not isinstance(meaning, EXPRESSIONS)
        or not named <= names_in(value)
        or named <= names_in(meaning)
    ):
        raise Unreadable("a definition of what does not occur")
    if not fits(value, MAX_PARTS) or not fits(meaning, MAX_MEANING):
        raise Unreadable("a definition of what is too long")
    return substitute(value, dict.fromkeys(named, meaning))


def with_planck(a: Value, b: Value) -> Value:
    """a with h / 2 pi for each reduced Planck constant, where b has the plain
    one and no reduced one; else a as it is."""
    own, other = names_in(a), names_in(b)
    if "hbar" in own and "h" not in own and "h" in other and "hbar" not in other and fits(a, MAX_PARTS):
        return substitute(a, {"hbar": REDUCED_PLANCK})
    return a


def respell_lengths(text: str) -> str:
    """`5'10"` and `10\\sqrt5"` with the names of their units."""
    if text[-1:] not in "'\"" or len(text) > MAX_CHARS_OF_A_LENGTH:
        return text
    both = _FEET.fullmatch(text)
    if both is not None and both["feet"] and both["inches"]:
        return f"{both['feet']} feet {both['inches']} inches"
    one = _ONE_MARK.fullmatch(text)
    return f"{one['value']} {'feet' if one['mark'] == chr(39) else 'inches'}" if one is not None else text


__all__ = [
    "Definition",
    "apply_definition",
    "find_conclusion",
    "find_definition",
    "respell_lengths",
    "with_planck",
]
