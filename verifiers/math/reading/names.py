"""Names: letters with subscripts, primes and accents, unknown functions with their arguments, derivatives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction

from ..values import Apply, Call, Const, Expr, Relation, Sym, Unreadable, Value
from .applications import Application, after_primes, applications
from .lexer import Token
from .operands import expression_of
from .vocabulary import DAGGERS, FRACTIONS, GREEK

MAX_DEPTH = 40
_DOTLESS = {"imath": "i", "jmath": "j"}
_DIFFERENTIALS = ("d", "partial")
_AFTER_NAME = frozenset(("_", "'", '"', "prime", "^"))
_MAX_PARTS = 24  # tokens of a derivative's numerator and denominator, at most
_ORDERS = frozenset("1234")  # of derivatives that primes are written for
_DOTS = {1: "dot", 2: "ddot", 3: "dddot"}


def letter_of(name: str) -> Expr:
    return Const(name) if name in ("e", "i") else Sym(name)


_AHEAD = 8  # no rule looks further beyond the last token


def signs_of(tokens: list[Token]) -> list[str]:
    """The texts of marks and commands, "" for other tokens and beyond the
    end: what a parser asks for most."""
    return [token.text if token.kind in ("mark", "command") else "" for token in tokens] + [""] * _AHEAD


class NameParser(ABC):
    """One method per level of precedence; each leaves `position` after what it has read."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.signs = signs_of(tokens)
        self.position = 0
        self.depth = 0
        self.bars = 0  # open absolute values, or one where a bar parts two things
        self.read: dict[int, tuple[Value, int]] = {}  # structures by where they begin, with where they end
        self.applications: dict[int, Application] = applications(tokens)

    # -- tokens ----------------------------------------------------------------------------------------------

    def peek(self, ahead: int = 0) -> Token | None:
        index = self.position + ahead
        return self.tokens[index] if index < len(self.tokens) else None

    def at(self, *texts: str, ahead: int = 0) -> bool:
        return self.signs[self.position + ahead] in texts

    def take(self) -> Token:
        token = self.peek()
        if token is None:
            raise Unreadable("it ends too early")
        self.position += 1
        return token

    def accept(self, *texts: str) -> bool:
        if self.signs[self.position] in texts:
            self.position += 1
            return True
        return False

    def expect(self, *texts: str) -> str:
        token = self.take()
        if token.text not in texts or token.kind not in ("mark", "command"):
            raise Unreadable(f"{token.text!r} stands where {texts[0]!r} is expected")
        return token.text

    def word(self) -> str | None:
        if self.position >= len(self.tokens):
            return None
        token = self.tokens[self.position]
        return token.text if token.kind == "word" else None

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable(f"it nests deeper than {MAX_DEPTH} levels")

    # -- what the levels above add ---------------------------------------------------------------------------

    @abstractmethod
    def sum(self) -> Expr:
        """Terms joined by + and -."""

    @abstractmethod
    def power(self) -> Expr:
        """A base with its exponent."""

    @abstractmethod
    def relation(self) -> Value:
        """Operands joined by relation signs."""

    @abstractmethod
    def _exponent(self) -> Expr:
        """What stands behind ^."""

    @abstractmethod
    def _begins_factor(self, before: Value) -> bool:
        """Whether what comes next is a factor of a product without a sign."""

    @abstractmethod
    def _bracket(self, token: Token) -> Expr:
        """What an opening bracket, already taken, encloses."""

    @abstractmethod
    def _list(self, *closings: str) -> list[Value]:
        """Values up to one of the closings."""

    @abstractmethod
    def _structure(self) -> Value | None:
        """A matrix, a set or another structure; None where none begins."""

    # -- names -----------------------------------------------------------------------------------------------

    def _symbol(self, name: str) -> Expr:
        """A letter with its subscript, primes and arguments. `\\varphi` is `\\phi` in another hand."""
        application = self.applications.get(self.position - 1)
        name = name.removeprefix("var") if name in GREEK else name
        following = self.peek()
        if following is None or following.text not in _AFTER_NAME:
            return letter_of(name) if application is None else Apply(name, self.arguments(application.given))
        subscript, primes = self._subscript(), self._primes()
        if not subscript:
            self._exponent_last()
            subscript = self._subscript()
        name += subscript + "'" * primes
        if application is None:
            return letter_of(name + self._dagger())
        begin = self.position
        above = "".join(token.text for token in self.tokens[begin : application.opening])
        self.position = max(begin, application.opening)
        order = above[3:-2] if above.startswith("^{(") else ""
        name += "'" * int(order) if order in _ORDERS else above  # f^{(2)}(x) is f''(x); f^{-1}(x)
        return Apply(name, self.arguments(application.given))

    def _subscript(self) -> str:
        if not self.accept("_"):
            return ""
        if self.accept("{"):
            parts, depth = [], 1
            while depth:
                token = self.take()
                depth += (token.text == "{") - (token.text == "}")
                if token.text not in ("{", "}"):
                    parts.append(token.text)
            return "_" + "".join(parts)
        token = self.take()
        if len(token.text) > 1 and token.kind in ("number", "word"):
            self.position -= 1
            self._cut_first(token)
            return "_" + token.text[0]
        return "_" + token.text

    def _cut_first(self, token: Token) -> None:
        """The token at the position without its first character, which was read alone."""
        rest = token.text[1:]
        if token.kind == "number" and not rest.isdigit():
            raise Unreadable("one digit of a number that is no integer")
        value = Fraction(int(rest)) if token.kind == "number" else None
        self.tokens[self.position] = Token(token.kind, rest, False, value)

    def _exponent_last(self) -> None:
        """`v^2_0` becomes `v_0^2`."""
        if not self.at("^"):
            return
        middle = self._after_group(self.position + 1)
        if middle + 1 >= len(self.tokens) or self.tokens[middle].text != "_":
            return
        end = self._after_group(middle + 1)
        if (
            end == middle + 2
            and len(self.tokens[end - 1].text) > 1
            and self.tokens[end - 1].kind != "command"
        ):
            return  # of x^2_12 the subscript is the 1 alone
        begin = self.position
        self.tokens[begin:end] = self.tokens[middle:end] + self.tokens[begin:middle]
        self.signs = signs_of(self.tokens)

    def _after_group(self, index: int) -> int:
        """The index after a braced group, or after the one token that stands there."""
        if index >= len(self.tokens) or self.tokens[index].text != "{":
            return index + 1
        depth = 0
        for at in range(index, len(self.tokens)):
            depth += (self.tokens[at].text == "{") - (self.tokens[at].text == "}")
            if not depth:
                return at + 1
        return len(self.tokens)

    def _primes(self) -> int:
        end = after_primes(self.tokens, self.position)
        count = sum(
            {"'": 1, "prime": 1, '"': 2}.get(token.text, 0) for token in self.tokens[self.position : end]
        )
        self.position = end
        return count

    def _dagger(self) -> str:
        """`x^*`, `a^{\\dagger}`: a mark above a name, where nothing follows that a sign could join it to."""
        braced = self.at("{", ahead=1)
        mark, after = self.peek(2 if braced else 1), self.peek(4 if braced else 2)
        if (
            not self.at("^")
            or mark is None
            or mark.text not in DAGGERS
            or (braced and not self.at("}", ahead=3))
        ):
            return ""
        if (
            not braced
            and mark.kind == "mark"
            and after is not None
            and (after.kind != "mark" or after.text in ("(", "{"))
        ):
            return ""
        self.position += 4 if braced else 2
        return "^" + DAGGERS[mark.text]

    def _accented(self) -> str:
        """What an accent stands over: a letter, or a braced name."""
        if not self.accept("{"):
            token = self.take()
            if token.kind == "word" and len(token.text) > 1:
                self.position -= 1
                self.tokens[self.position] = Token("word", token.text[1:], False)
            elif token.kind not in ("word", "command"):
                raise Unreadable("an accent over no letter")
            return _DOTLESS.get(token.text, token.text if token.kind == "command" else token.text[0])
        parts, depth = [], 1
        while depth:
            token = self.take()
            depth += (token.text == "{") - (token.text == "}")
            if token.text not in ("{", "}"):
                if token.kind not in ("word", "number", "command") and token.text not in ("_", "'"):
                    raise Unreadable("an accent over no name")
                parts.append(_DOTLESS.get(token.text, token.text))
        return "".join(parts)

    # -- unknown functions -----------------------------------------------------------------------------------

    def arguments(self, conditional: bool = False) -> tuple[Expr, ...]:
        """Arguments in round or square brackets. `given`: a bar parts an event from its condition."""
        self.deeper()
        closing = ")" if self.expect("(", "[") == "(" else "]"
        bars, self.bars = self.bars, int(conditional)
        items: list[Expr] = [_argument_of(self.relation())]
        if conditional and self.accept("|", "mid"):
            items = [Call("given", (items[0], _argument_of(self.relation())))]
        while self.accept(",", ";"):
            items.append(_argument_of(self.relation()))
        self.expect(closing)
        self.bars = bars
        self.depth -= 1
        return tuple(items)

    # -- derivatives -----------------------------------------------------------------------------------------

    def _derivative(self) -> Expr | None:
        """`\\frac{d^2x}{dt^2}` after the command, or `x` and the rest of `dx/dt` at
        its first word; None for anything else."""
        begin = self.position
        latex = self.tokens[begin - 1].text in FRACTIONS
        if latex:
            if not self.at("{"):
                return None
            above_end = self._after_group(begin)
            if not self.at("{", ahead=above_end - begin):
                return None
            below_end = self._after_group(above_end)
            above, below = (begin + 1, above_end - 1), (above_end + 1, below_end - 1)
        else:
            begin -= 1
            slash = next(
                (at for at in range(begin, min(begin + 9, len(self.tokens))) if self.tokens[at].text == "/"),
                None,
            )
            if slash is None:
                return None
            above, below = (begin, slash), (slash + 1, _differential_end(self.tokens, slash + 1))
            below_end = below[1]
        if above[1] - above[0] > _MAX_PARTS or below[1] - below[0] > _MAX_PARTS:
            return None
        return self._derivative_of(above, below, below_end, latex)

    def _derivative_of(
        self, above: tuple[int, int], below: tuple[int, int], end: int, latex: bool
    ) -> Expr | None:
        variable = _differential(self.tokens, *below)
        order = _order(self.tokens, above[0])
        if variable is None or order is None or order[0] != variable[1]:
            return None
        count, rest = order
        begin = rest if rest >= 0 else above[0]
        if rest < 0:  # the letter in one word with the d
            token = self.tokens[begin]
            self.tokens[begin] = Token(token.kind, token.text[1:], False)
        if begin < above[1]:
            self.position = begin
            inner = expression_of(self.sum() if latex else self.power())
            if self.position != above[1]:
                raise Unreadable("a derivative of what can't be read")
            self.position = end
        elif latex:
            self.position = end
            inner = expression_of(self.power())
        else:
            return None
        return derivative(inner, variable[0], count)


def derivative(inner: Expr, variable: str, order: int) -> Expr:
    """A derivative is a name of its own; by time it is the letter under dots."""
    if variable == "t" and isinstance(inner, Sym) and order in _DOTS:
        return Sym(f"{_DOTS[order]}({inner.name})")
    power = f"^{order}" if order > 1 else ""
    return Apply(f"d{power}/d{variable}{power}", (inner,))


def _letters_of(token: Token) -> str | None:
    """What follows the d in a word that begins with it; None for another token."""
    if token.text in _DIFFERENTIALS:
        return ""
    return token.text[1:] if token.kind == "word" and len(token.text) == 2 and token.text[0] == "d" else None


def _power_at(tokens: list[Token], index: int) -> tuple[int, int]:
    """An exponent of one digit (1 where there is none), and the index after it."""
    texts = [token.text for token in tokens[index : index + 4]]
    if texts[:1] != ["^"]:
        return 1, index
    if len(texts) > 1 and texts[1].isdigit():
        return int(texts[1][:2]), index + 2
    if len(texts) > 3 and texts[1] == "{" and texts[2].isdigit() and texts[3] == "}":
        return int(texts[2][:2]), index + 4
    return 0, index


def _order(tokens: list[Token], index: int) -> tuple[int, int] | None:
    """The order of a derivative whose numerator begins here, and where its
    function begins (-1: in the same word)."""
    rest = _letters_of(tokens[index]) if index < len(tokens) else None
    if rest is None:
        return None
    if rest:
        return 1, -1
    order, after = _power_at(tokens, index + 1)
    return (order, after) if order else None


def _differential(tokens: list[Token], begin: int, end: int) -> tuple[str, int] | None:
    """The variable and the order of `dt`, `d t^2`, `\\partial x`; None for anything else."""
    rest = _letters_of(tokens[begin]) if begin < end else None
    if rest is None:
        return None
    index = begin + 1
    if not rest:
        if (
            index >= end
            or tokens[index].kind not in ("word", "command")
            or (tokens[index].kind == "word" and len(tokens[index].text) > 1)
        ):
            return None
        rest = tokens[index].text
        index += 1
    order, index = _power_at(tokens, index)
    return (rest, order) if index == end and order else None


def _differential_end(tokens: list[Token], index: int) -> int:
    """Where a differential after a slash ends."""
    rest = _letters_of(tokens[index]) if index < len(tokens) else None
    if rest is None:
        return index
    return _power_at(tokens, min(index + (1 if rest else 2), len(tokens)))[1]


def _argument_of(value: Value) -> Expr:
    """An argument; a relation in it is an event (`P(X = 3)`)."""
    if isinstance(value, Relation):
        return Call(",".join(value.operators), tuple(map(expression_of, value.operands)))
    return expression_of(value)
