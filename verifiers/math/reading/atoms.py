"""Numbers, letters, words, commands and functions: the lowest level of the parser (see `parser`)."""

from __future__ import annotations

from fractions import Fraction

from ..values import EXPRESSIONS, Apply, Call, Const, Expr, Interval, Num, Power, Product, Unreadable, Value
from .lexer import Token
from .names import NameParser, letter_of
from .operands import expression_of, ungrouped, unresolved
from .vocabulary import (
    ACCENTS,
    BASE_WORDS,
    CONSTANTS,
    COUNTED_PARTS,
    FRACTIONS,
    FUNCTIONS,
    GREEK,
    INVERSE,
    MULTIPLIERS,
    NAMED_FUNCTIONS,
    NO_PRODUCTS,
    WORD_CONSTANTS,
)

_OF_SEVERAL = ("gcd", "lcm", "max", "min")
# 5 million, 2 thirds
_SCALES = MULTIPLIERS | {name: Fraction(1, size) for name, size in COUNTED_PARTS.items()}
_OPERATIONS = {
    "squared": lambda value: Power(value, Num(Fraction(2))),
    "cubed": lambda value: Power(value, Num(Fraction(3))),
    "factorial": lambda value: Call("factorial", (value,)),
}
_ACCENT_NAMES = {"widehat": "hat", "widetilde": "tilde", "overrightarrow": "vec", "bar": "overline"}


class AtomParser(NameParser):
    """One method per level of precedence; each leaves `position` after what it has read."""

    def atom(self, single: bool = False) -> Expr:
        if (again := self.read.get(self.position)) is not None:
            self.position = again[1]
            return unresolved(again[0])
        self.deeper()
        try:
            token = self.take()
            if token.kind == "number":
                return self._number(token)
            if token.kind == "word":
                return self._word(token, single)
            if token.kind == "command":
                return self._command(token)
            return self._bracket(token)
        finally:
            self.depth -= 1

    def _number(self, token: Token) -> Expr:
        assert token.value is not None
        if self.at("_"):
            return read_in_base(token.text, self._base())
        following = self.peek()
        whole = token.text.isdigit()
        if whole and following is not None:
            mixed = self._fraction_beside(following)
            if mixed is not None:
                return Num(token.value + mixed)
        if following is not None and following.kind == "word" and following.text in _SCALES:
            self.position += 1
            return Num(token.value * _SCALES[following.text])
        if following is not None and following.kind == "word" and following.text in _OPERATIONS:
            self.position += 1
            return _OPERATIONS[following.text](Num(token.value))
        return Num(token.value)

    def _fraction_beside(self, token: Token) -> Fraction | None:
        """The proper fraction right after an integer: `\\frac{1}{2}`, ` 1/2`; None when there is none."""
        if token.kind == "number" and token.spaced and token.text.isdigit() and self.at("/", ahead=1):
            below = self.peek(2)
            after = self.peek(3)
            if below is not None and below.kind == "number" and below.text.isdigit() and not below.spaced:
                assert token.value is not None
                assert below.value is not None
                if token.value < below.value and (after is None or after.text not in ("^", "/")):
                    self.position += 3
                    return token.value / below.value
        elif token.kind == "command" and token.text in FRACTIONS:
            return self._proper_fraction()
        return None

    def _proper_fraction(self) -> Fraction | None:
        """The value of a `\\frac` of two whole numbers below 1, read up to its
        end; None for any other, left unread."""
        index, parts = self.position + 1, []
        for _ in range(2):
            braced = self.at("{", ahead=index - self.position)
            token = self.peek(index - self.position + braced)
            if token is None or token.kind != "number" or not token.text.isdigit():
                return None
            if not braced and len(token.text) > 1:  # \\frac12
                if parts or len(token.text) != 2:
                    return None
                parts = [int(token.text[0]), int(token.text[1])]
                index += 1
                break
            if braced and not self.at("}", ahead=index - self.position + 2):
                return None
            parts.append(int(token.text))
            index += 3 if braced else 1
        after = self.tokens[index].text if index < len(self.tokens) else ""
        if after in ("^", "**") or not 0 < parts[0] < parts[1]:
            return None
        self.position = index
        return Fraction(parts[0], parts[1])

    def _base(self) -> int:
        self.expect("_")
        braced = self.accept("{")
        text = self.take().text
        if braced:
            self.expect("}")
        base = int(text) if text.isdigit() and len(text) <= 2 else BASE_WORDS.get(text.lower(), 0)
        if not 2 <= base <= 36:
            raise Unreadable(f"the base {text[:20]}")
        return base

    def _word(self, token: Token, single: bool) -> Expr:
        text = token.text
        if text in FUNCTIONS:
            return self._function(FUNCTIONS[text])
        if text in ("sqrt", "cbrt"):
            return _root(2 if text == "sqrt" else 3, self._argument())
        if text in WORD_CONSTANTS:
            return Const(WORD_CONSTANTS[text])
        if text in NAMED_FUNCTIONS and self.at("(", "["):
            return Apply(text, self.arguments(conditional=text == "Pr"))
        if text[0] == "d" and not single and (derivative := self._derivative()) is not None:
            return derivative
        if text in GREEK:
            return self._symbol(text)
        if single and len(text) > 1:  # x^ab is x^a b
            self.tokens[self.position - 1] = Token("word", text[1:], False)
            self.position -= 1
            return letter_of(text[0])
        if len(text) > 4 or text in NO_PRODUCTS:
            raise Unreadable(f"the word {text!r}")
        letters: list[Expr] = [letter_of(letter) for letter in text[:-1]]
        begin = self.position - 1
        last = self._symbol(text[-1])
        if not letters:
            return last
        if self.at("^", "!", "**"):  # the power belongs to the last letter alone
            self.position = begin
            self.tokens[begin] = Token("word", text[-1], False)
            return Product(tuple(letters)) if len(letters) > 1 else letters[0]
        return Product((*letters, last))

    def _command(self, token: Token) -> Expr:
        name = token.text
        if name in FRACTIONS:
            return self._fraction()
        if name == "sqrt":
            degree: Expr = Num(Fraction(2))
            if self.accept("["):
                degree = self.sum()
                self.expect("]")
            return _root(degree, self._argument())
        if name == "cbrt":
            return _root(3, self._argument())
        if name in ("binom", "dbinom", "tbinom"):
            above, below = self._argument(), self._argument()
            return Call("binomial", (above, below))
        if name in FUNCTIONS:
            return self._function(FUNCTIONS[name])
        if name in NAMED_FUNCTIONS:
            conditional = name == "Pr"
            return Apply(
                name, self.arguments(conditional) if self.at("(", "[") else (expression_of(self.power()),)
            )
        if name in CONSTANTS:
            return Const(CONSTANTS[name])
        if name in GREEK:
            return self._symbol(name)
        if name in ("lfloor", "lceil", "lvert", "vert"):
            return self._enclosed(name)
        if name in ACCENTS:
            return self._symbol(f"{_ACCENT_NAMES.get(name, name)}({self._accented()})")
        if name in ("begin", "emptyset", "varnothing", "langle", "mathbb"):
            self.position -= 1
            structure = self._structure()
            if structure is None:
                raise Unreadable(f"the command \\{name[:20]} in an expression")
            return unresolved(structure)
        raise Unreadable(f"the command \\{name[:20]}")

    def _fraction(self) -> Expr:
        """A derivative, or a numerator and a denominator."""
        if (derivative := self._derivative()) is not None:
            return derivative
        above, below = self._argument(), self._argument()
        return Product((above, Power(below, Num(Fraction(-1)))))

    def _enclosed(self, name: str) -> Expr:
        """What floor, ceiling or absolute value signs enclose."""
        inner = self.sum()
        if name in ("lvert", "vert"):
            self.expect("rvert", "vert")
            return Call("abs", (inner,))
        self.expect("rfloor" if name == "lfloor" else "rceil")
        return Call("floor" if name == "lfloor" else "ceil", (inner,))

    def _argument(self) -> Expr:
        """A LaTeX argument: a braced expression, or the next single digit, letter or command."""
        if self.accept("{"):
            self.deeper()
            inner = ungrouped(self.sum())
            self.depth -= 1
            self.expect("}")
            return inner
        token = self.peek()
        if token is None:
            raise Unreadable("an argument is missing")
        previous = self.tokens[self.position - 1]
        splits = previous.kind != "word" and not (previous.text in ("sqrt", "cbrt") and token.spaced)
        if token.kind == "number" and token.text.isdigit() and len(token.text) > 1 and splits:
            rest = token.text[1:]
            self.tokens[self.position] = Token("number", rest, False, Fraction(int(rest)))
            return Num(Fraction(int(token.text[0])))
        if (
            token.kind == "word"
            and len(token.text) > 1
            and token.text not in FUNCTIONS
            and token.text != "pi"
        ):
            self.tokens[self.position] = Token("word", token.text[1:], False)
            return letter_of(token.text[0])
        return expression_of(self.atom())

    def _function(self, name: str) -> Expr:
        """A function name was read; its power, base and argument follow."""
        base = self._base_in_name(name)
        power: Expr | None = None
        for _ in range(2):
            if self.accept("_"):
                base = self._argument()
            elif self.accept("^", "**"):
                power = self._exponent()
        if power == Num(Fraction(-1)) and name in INVERSE:
            name, power = INVERSE[name], None
        if self.at("(", "["):
            args = tuple(map(expression_of, self._list(")" if self.take().text == "(" else "]")))
        elif name in _OF_SEVERAL and self.accept("\\{"):
            args = tuple(map(expression_of, self._list("\\}")))
        elif self.at("{") and not isinstance(base, tuple):
            args = (self._argument(),)
        else:
            args = (self._bare_argument(),)
        if name == "lg":
            name, base = "log", Num(Fraction(10))
        if base is not None and name not in ("log", "ln"):
            raise Unreadable(f"{name} with a base")
        if len(args) != 1 and name not in (*_OF_SEVERAL, "log"):
            raise Unreadable(f"{name} of {len(args)} arguments")
        call = Call("log_base", (base, *args)) if base is not None else Call(name, args)
        return Power(call, power) if power is not None else call

    def _base_in_name(self, name: str) -> Expr | None:
        """The base of `log2(x)` and `log10(x)`, as programs write them."""
        token = self.peek()
        written = name == "log" and self.tokens[self.position - 1].kind == "word"
        if (
            not written
            or token is None
            or token.text not in ("2", "10")
            or token.spaced
            or not self.at("(", ahead=1)
        ):
            return None
        self.position += 1
        return Num(Fraction(int(token.text)))

    def _bare_argument(self) -> Expr:
        """The argument of a function without brackets: factors up to a sign, a function or a bracket."""
        self.deeper()
        factors = [expression_of(self.power())]
        while True:
            if self.at("/") and (token := self.peek(1)) is not None and token.kind == "number":
                self.position += 1
                factors.append(Power(expression_of(self.power()), Num(Fraction(-1))))
                continue
            token = self.peek()
            if token is None or not self._begins_factor(factors[-1]) or self.at("(", "["):
                break
            if token.text in FUNCTIONS:
                break
            factors.append(expression_of(self.power()))
        self.depth -= 1
        return factors[0] if len(factors) == 1 else Product(tuple(factors))


def _root(degree: Expr | int, radicand: Expr) -> Expr:
    order = degree if not isinstance(degree, int) else Num(Fraction(degree))
    return Call("root", (radicand, order))


def _interval(items: list[Value], low_closed: bool, high_closed: bool) -> Interval:
    if len(items) == 2:
        low, high = items
        if isinstance(low, EXPRESSIONS) and isinstance(high, EXPRESSIONS):
            return Interval(low, high, low_closed, high_closed)
    raise Unreadable("an interval without two ends")


def read_in_base(digits: str, base: int) -> Num:
    """The number that digits denote in a base. Raises Unreadable for a digit that the base doesn't have."""
    try:
        return Num(Fraction(int(digits, base)))
    except ValueError:
        raise Unreadable(f"a digit that base {base} doesn't have") from None
