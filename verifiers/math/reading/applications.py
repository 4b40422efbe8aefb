"""Which letters before brackets are functions: `I(0)`, `f(x+1)`, `P(X=3)`;
`n(n+1)` and `m(g+a)` stay products.

The rule looks at the tokens of one side alone, in one pass. A letter right before brackets is a function when

- it is f, or has primes, or an exponent that only functions have (`f^{-1}(x)`, `y^{(3)}(0)`);
- the brackets hold one number, one letter or another application,
  since such a product is written `2x` and `ab`;
- the brackets hold a letter of an argument, alone or with numbers (`g(x+1)`, `\\Phi(2x)`),
  and the name is a function's;
- the brackets hold several arguments, or an event after P, Pr or E;
- it is one of these elsewhere in the text.

Before anything but a number it stays a factor when it stands without brackets too (`n(n+1)`,
`t(t)+t`), primed names aside.
"""

from __future__ import annotations

from dataclasses import dataclass

from .lexer import Token
from .vocabulary import (
    ACCENTS,
    CONSTANTS,
    FUNCTIONS,
    GREEK,
    NAMED_FUNCTIONS,
    NO_PRODUCTS,
    RELATIONS,
    WORD_CONSTANTS,
)

_PAIRS = {"(": ")", "[": "]", "{": "}", "\\{": "\\}"}
_CLOSINGS = {closing: opening for opening, closing in _PAIRS.items()}
_ALWAYS = frozenset(("f",))
_FUNCTION_LETTERS = frozenset(
    str.split("f g h u y F G H P Q E phi varphi psi Phi Psi Gamma Lambda Theta delta zeta")
)
_SUPERSCRIBED = frozenset(str.split("f g h F G H phi varphi psi Phi Psi"))
_ARGUMENTS = frozenset(str.split("x n z t s X"))
# g(t + 1) and h(t) are gravity and a height before brackets more often than functions
_NO_TIMES = frozenset(("g", "h"))
_EVENTS = frozenset(str.split("P Pr p E F"))
_POINTS = frozenset("ABCDEMNOPQXYZ")
_FACTORS_OF_TUPLES = frozenset(str.split("a b c k m n p q r s t x lambda mu alpha beta"))
_CONSTANT_LETTERS = frozenset(("e", "i"))
_SIMPLE = 8  # tokens of an argument that is one letter with numbers, at most


@dataclass(frozen=True, slots=True)
class Application:
    """opening: the bracket's position. given: whether a bar in it parts an event from its condition."""

    opening: int
    given: bool = False


@dataclass(slots=True)
class _Brackets:
    """What stands in one pair of brackets, at its own depth."""

    closing: int
    several: bool = False
    related: bool = False
    bars: int = 0


@dataclass(frozen=True, slots=True)
class _Candidate:
    start: int
    opening: int
    name: str
    letter: str
    within_word: bool
    scope: int
    marked: bool  # by primes or by an exponent that only functions have


def applications(tokens: list[Token]) -> dict[int, Application]:
    """The applications by the position of the token that ends with the function's letter."""
    letters_before = False
    for token in tokens:
        if token.kind == "word" or token.kind == "command":
            letters_before = True
        elif letters_before and (token.text == "(" or token.text == "["):
            break
    else:
        return {}
    brackets, scopes = _match(tokens)
    candidates: list[_Candidate] = []
    alone: set[tuple[int, str]] = set()
    accented = -1  # up to where letters belong to an accent
    for index, token in enumerate(tokens):
        if token.kind == "command" and token.text in ACCENTS and index > accented:
            accented = _after_accent(tokens, index) - 1
            letters, last = [token.text + tokens[accented].text], accented
        elif index > accented and _is_letters(token):
            letters, last = (
                [token.text] if token.kind == "command" or token.text in GREEK else list(token.text),
                index,
            )
        else:
            continue
        alone.update((scopes[index], letter) for letter in letters[:-1])
        candidate = _candidate(tokens, last, letters[-1], len(letters) > 1, scopes[index], brackets)
        if candidate is None:
            alone.add((scopes[index], letters[-1] + _subscript(tokens, last + 1)[0]))
        else:
            candidates.append(candidate)
    return _choose(tokens, candidates, alone, brackets)


def _choose(
    tokens: list[Token],
    candidates: list[_Candidate],
    alone: set[tuple[int, str]],
    brackets: dict[int, _Brackets],
) -> dict[int, Application]:
    """From the last candidate to the first, so that what is applied inside
    brackets is known before their letter is."""
    chosen: dict[int, Application] = {}
    known: set[str] = set()
    undecided: list[_Candidate] = []
    for each in reversed(candidates):
        verdict = _judge(tokens, each, (each.scope, each.name) in alone, brackets[each.opening], chosen)
        if verdict:
            chosen[each.start] = Application(each.opening, _conditional(each, brackets[each.opening]))
            known.add(each.name)
        elif verdict is None:
            undecided.append(each)
    for each in undecided:
        if each.name in known and (each.scope, each.name) not in alone:
            chosen[each.start] = Application(each.opening)
    return chosen


def _judge(
    tokens: list[Token], each: _Candidate, alone: bool, held: _Brackets, chosen: dict[int, Application]
) -> bool | None:
    """Whether a candidate is an application; None where another application of its name would make it one."""
    inside = tokens[each.opening + 1 : min(held.closing, each.opening + 2 + _SIMPLE)]
    length = held.closing - each.opening - 1
    if not length:
        return False
    if each.letter in _CONSTANT_LETTERS and not each.marked:
        return length == 1 and inside[0].text in ("0", "t")
    if _conditional(each, held) or (held.related and each.letter in _EVENTS):
        return True
    if held.related:
        return False
    if held.several:
        return _of_several(tokens, each, held)
    number = length <= _SIMPLE and _is_number(inside)
    if each.marked or (each.letter in _ALWAYS and not alone):
        return True
    if alone and not number:
        return False
    if each.letter == "P" and held.closing + 1 < len(tokens) and tokens[held.closing + 1].text == "^":
        return False if alone else None  # P(1.05)^3 is what capital grows to
    single = number or (length <= _SIMPLE and _is_name(inside))
    if single or _is_application(tokens, each.opening + 1, held.closing, chosen):
        zero_or_time = length == 1 and inside[0].text in ("0", "t")
        return not each.within_word or zero_or_time or each.letter.isupper() or each.letter in "uy"
    if (
        each.letter in _FUNCTION_LETTERS
        and not each.within_word
        and length <= _SIMPLE
        and _is_simple(inside, each.letter)
    ):
        return True
    return None


def _conditional(each: _Candidate, held: _Brackets) -> bool:
    return held.bars % 2 == 1 and each.letter in _EVENTS


def _of_several(tokens: list[Token], each: _Candidate, held: _Brackets) -> bool:
    """`\\Phi(x, y)`; not the point `P(2, -1)` and not a number times a vector, `t(1, 2)`."""
    if tokens[each.opening].text != "(":
        return False
    if each.marked or each.letter in _SUPERSCRIBED or each.letter == "u":
        return True
    letters = any(_is_letters(token) for token in tokens[each.opening + 1 : held.closing])
    return letters and each.letter not in _POINTS | _FACTORS_OF_TUPLES


def _match(tokens: list[Token]) -> tuple[dict[int, _Brackets], list[int]]:
    """Round and square brackets by the position of the opening one, and for
    each token the clause that it stands in."""
    brackets: dict[int, _Brackets] = {}
    scopes: list[int] = []
    stack: list[tuple[str, int, _Brackets]] = []
    scope = 0
    for index, token in enumerate(tokens):
        text = token.text
        if token.kind in ("mark", "command"):
            if text in _PAIRS:
                stack.append((text, index, _Brackets(index)))
            elif text in _CLOSINGS:
                if stack and stack[-1][0] == _CLOSINGS[text]:
                    opening, begin, held = stack.pop()
                    held.closing = index
                    if opening in ("(", "["):
                        brackets[begin] = held
            elif stack:
                held = stack[-1][2]
                held.several = held.several or text in (",", ";")
                held.related = held.related or text in RELATIONS or text in ("cap", "cup", "mid")
                held.bars += text in ("|", "mid")
            elif text in RELATIONS or text in (",", ";", "&", "\\\\"):
                scope += 1
        scopes.append(scope)
    return brackets, scopes


def _is_letters(token: Token) -> bool:
    """Whether the parser reads a token as letters, each a name."""
    text = token.text
    if token.kind == "command":
        return text in GREEK
    if token.kind != "word" or text in FUNCTIONS or text in WORD_CONSTANTS or text in NAMED_FUNCTIONS:
        return False
    return text in GREEK or (
        len(text) <= 4 and text not in NO_PRODUCTS and text not in ("and", "or", "in", "mod", "to")
    )


def _after_accent(tokens: list[Token], index: int) -> int:
    """The index after an accent and the name below it (`\\dot{x}`, `\\vec v`)."""
    if index + 1 >= len(tokens) or tokens[index + 1].text != "{":
        return min(index + 2, len(tokens))
    closing = (at for at in range(index + 2, min(index + 12, len(tokens))) if tokens[at].text == "}")
    return next(closing, index) + 1


def _candidate(
    tokens: list[Token],
    start: int,
    letter: str,
    within_word: bool,
    scope: int,
    brackets: dict[int, _Brackets],
) -> _Candidate | None:
    subscript, index = _subscript(tokens, start + 1)
    begun = index
    index = after_primes(tokens, index)
    primes = index > begun
    if not subscript:
        subscript, index = _subscript(tokens, index)
    end = after_superscript(tokens, index, letter)
    marked = primes or end > index
    if end >= len(tokens) or tokens[end].text not in ("(", "[") or end not in brackets:
        return None
    if tokens[end].text == "[" and letter not in ("f", "g", "E"):
        return None
    return _Candidate(start, end, letter + subscript, letter, within_word, scope, marked)


def _subscript(tokens: list[Token], index: int) -> tuple[str, int]:
    if index + 1 >= len(tokens) or tokens[index].text != "_":
        return "", index
    if tokens[index + 1].text != "{":
        return "_" + tokens[index + 1].text, index + 2
    parts: list[str] = []
    for at in range(index + 2, min(index + 12, len(tokens))):
        if tokens[at].text == "}":
            return "_" + "".join(parts), at + 1
        parts.append(tokens[at].text)
    return "", index


def after_primes(tokens: list[Token], index: int) -> int:
    """Where the primes of a name end: `'`, `^{\\prime\\prime}`, `^\\prime`."""
    while index < len(tokens):
        if tokens[index].text in ("'", "prime", '"'):
            index += 1
            continue
        if tokens[index].text != "^" or index + 1 >= len(tokens):
            break
        at = index + 1
        braced = tokens[at].text == "{"
        at += braced
        begun = at
        while at < len(tokens) and at < begun + 4 and tokens[at].text in ("prime", "'", '"'):
            at += 1
        if at == begun or (braced and (at >= len(tokens) or tokens[at].text != "}")):
            break
        index = at + braced
    return index


def after_superscript(tokens: list[Token], index: int, letter: str) -> int:
    """Where `^{-1}`, `^{(3)}` or `^2` of a function's name ends, right before its bracket."""
    if index + 2 >= len(tokens) or tokens[index].text != "^":
        return index
    texts = [token.text for token in tokens[index + 1 : index + 8]]
    for shape, any_name in ((["{", "-", "1", "}"], False), (["{", "(", None, ")", "}"], True)):
        size = len(shape)
        fits = len(texts) > size and all(
            want is None or want == text for want, text in zip(shape, texts, strict=False)
        )
        if fits and texts[size] == "(" and (any_name or letter in _SUPERSCRIBED):
            return index + 1 + size
    if letter in _ALWAYS and texts[0].isdigit() and texts[1] == "(":
        return index + 2
    if (
        letter in _ALWAYS
        and texts[0] == "{"
        and len(texts) > 3
        and texts[1].isdigit()
        and texts[2:4] == ["}", "("]
    ):
        return index + 4
    return index


def _is_number(inside: list[Token]) -> bool:
    """`3`, `-2`, `1/2`, `\\frac{1}{2}`, `\\pi/2`, `2\\pi`, `0^+`, `\\infty`."""
    if any(token.kind == "word" and token.text not in WORD_CONSTANTS for token in inside):
        return False
    if any(
        token.kind == "command" and token.text not in CONSTANTS and token.text not in _FRACTIONS
        for token in inside
    ):
        return False
    signs = [token.text for token in inside[1:] if token.text in ("+", "-", "^", "(", "[", "|", "!")]
    held = any(
        token.kind == "number" or token.text in CONSTANTS or token.text in WORD_CONSTANTS for token in inside
    )
    return held and (not signs or (signs in (["^", "+"], ["^", "-"]) and inside[0].text == "0"))


_FRACTIONS = frozenset(("frac", "dfrac", "tfrac"))


def _is_name(inside: list[Token]) -> bool:
    """One letter, with a sign, a subscript or primes."""
    tokens = inside[1:] if inside[0].text in ("-", "+") else inside
    if not tokens or not _is_letters(tokens[0]) or (tokens[0].kind == "word" and len(tokens[0].text) > 1):
        return False
    return after_primes(tokens, _subscript(tokens, after_primes(tokens, 1))[1]) == len(tokens)


def _is_application(tokens: list[Token], begin: int, end: int, chosen: dict[int, Application]) -> bool:
    """Whether brackets hold one application and nothing else: `f(g(2))`."""
    inner = chosen.get(begin)
    if (
        inner is None
        or end - 1 <= inner.opening
        or (tokens[begin].kind == "word" and len(tokens[begin].text) > 1)
    ):
        return False
    depth = 0
    for index in range(inner.opening, min(end, inner.opening + 4 * _SIMPLE)):
        depth += (tokens[index].text in ("(", "[")) - (tokens[index].text in (")", "]"))
        if not depth:
            return index == end - 1
    return False


def _is_simple(inside: list[Token], letter: str) -> bool:
    """One letter of an argument with numbers: `x+1`, `2x`, `x^2`,
    `\\frac{x}{2}`; a sum begins with the letter."""
    if all(token.kind in ("number", "mark") for token in inside):  # g(1+1)
        return letter != "P"
    names = {token.text for token in inside if token.kind == "word"}
    commands = {token.text for token in inside if token.kind == "command"}
    if len(names) != 1 or not names <= _ARGUMENTS or not commands <= _FRACTIONS:
        return False
    if letter in _NO_TIMES and names & {"t", "s"}:
        return False
    summed = any(token.text in ("+", "-") for token in inside[1:])
    return not summed or inside[0].text in names


__all__ = ["Application", "after_primes", "after_superscript", "applications"]
