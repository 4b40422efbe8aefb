"""Sums, products, powers, functions and brackets: the lower half of the parser (see `parser`)."""

from __future__ import annotations

from fractions import Fraction

from ..traversal import negative
from ..values import (
    EXPRESSIONS,
    Call,
    Const,
    Expr,
    Matrix,
    Num,
    Power,
    Product,
    Sequence,
    Sum,
    Sym,
    Unreadable,
    Value,
)
from .atoms import AtomParser, _interval
from .lexer import Token
from .names import MAX_DEPTH
from .operands import expression_of, ungrouped, unresolved
from .vocabulary import FACTOR_COMMANDS, FUNCTIONS, GREEK, RELATIONS, SET_CALLS

_CIRC = Sym("\\circ")


def _operand(value: Value) -> Expr:
    """A term or factor: an expression, or the matrix or vector of a linear
    combination, which `linear` works out."""
    value = ungrouped(value)
    return unresolved(value) if isinstance(value, Matrix | Sequence) else expression_of(value)


_BETWEEN_TERMS = frozenset(("+", "-", "pm", "mp"))
_POSTFIXES = frozenset(("!", "%", "\\%", "degree"))


class ExpressionParser(AtomParser):
    """Sums, products, powers and brackets."""

    # -- what the upper half adds ----------------------------------------------------------------------------

    def _set(self, closing: str) -> Value:
        raise NotImplementedError

    # -- expressions -----------------------------------------------------------------------------------------

    def sum(self) -> Expr:
        self.deeper()
        terms = [self._signed()]
        while (sign := self.signs[self.position]) in _BETWEEN_TERMS:
            self.position += 1
            term = self._signed()
            terms.append(term if sign == "+" else negative(term) if sign == "-" else Call(sign, (term,)))
        self.depth -= 1
        return terms[0] if len(terms) == 1 else Sum(tuple(map(_operand, terms)))

    def _signed(self) -> Expr:
        if self.signs[self.position] not in _BETWEEN_TERMS:
            return self.product()
        sign, both = 1, None
        for _ in range(MAX_DEPTH):
            if self.accept("+"):
                continue
            if self.accept("-"):
                sign = -sign
            elif both is None and self.at("pm", "mp"):
                both = self.take().text
            else:
                break
        term = self.product()
        if sign < 0:
            term = negative(ungrouped(term))
        return Call(both, (term,)) if both else term

    def product(self) -> Expr:
        factors = [self.power()]
        while self.position < len(self.tokens):
            if self.accept("*", "times", "cdot", "ast"):
                factors.append(self._factor())
            elif self.accept("/", "div") or self._word_over():
                factors.append(Power(self._quotient(), Num(Fraction(-1))))
            elif self.word() in ("x", "X") and self._times_sign():
                self.position += 1
            elif self._begins_factor(factors[-1]):
                factors.append(self.power())
            else:
                break
        if len(factors) == 1:
            return factors[0]
        return Product(tuple([ungrouped(factor) for factor in factors]))

    def _word_over(self) -> bool:
        if self.word() != "over":
            return False
        self.position += 1
        return True

    def _times_sign(self) -> bool:
        """The letter in `6.67 x 10^{-11}`, which stands for the sign."""
        ten = self.peek(1)
        return (
            self.tokens[self.position - 1].kind == "number"
            and ten is not None
            and ten.kind == "number"
            and ten.text == "10"
            and self.at("^", "**", ahead=2)
        )

    def _factor(self) -> Expr:
        """A factor after an explicit sign; it may be negative."""
        self.deeper()
        factor = (
            negative(self._factor())
            if self.accept("-")
            else self._factor()
            if self.accept("+")
            else self.power()
        )
        self.depth -= 1
        return _operand(factor)

    def _quotient(self) -> Expr:
        """What stands after `/`: one factor."""
        return expression_of(self._factor())

    def _begins_factor(self, before: Value) -> bool:
        """Whether another factor follows without a sign between."""
        token = self.peek()
        if token is None or not isinstance(ungrouped(before), EXPRESSIONS):
            return False
        if token.kind == "number":
            previous = self.tokens[self.position - 1]
            return previous.kind != "number" and not (previous.text == "}" and token.spaced)
        if token.kind == "word":
            return token.text not in ("and", "or", "in", "mod", "over", "choose", "to", "U")
        if token.kind == "command":
            return token.text in FACTOR_COMMANDS or token.text in GREEK or token.text in FUNCTIONS
        if token.text == "[":
            return self._groups()
        if token.text == "(":
            following = self.peek(1)
            return following is not None and following.text not in ("mod", "pmod", "bmod")
        return token.text == "{" or (token.text == "|" and self._bar_opens())

    def _groups(self) -> bool:
        """Whether the square bracket here only groups: it is closed by its like, and holds one expression."""
        depth = 0
        for index in range(self.position, len(self.tokens)):
            token = self.tokens[index]
            if token.kind in ("mark", "command"):
                depth += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
                if not depth:
                    return token.text == "]" and index > self.position + 1
                if depth == 1 and (
                    token.text in (",", ";") or token.text in RELATIONS or token.text in SET_CALLS
                ):
                    return False
        return False

    def _bar_opens(self) -> bool:
        return self.bars == 0

    def power(self) -> Expr:
        base = self.postfix()
        if self.position >= len(self.tokens):
            return base
        if (
            isinstance(base, Matrix | Sequence)
            and self.at("^")
            and (transposed := self._transpose(base)) is not None
        ):
            return transposed
        if self.accept("^", "**"):
            if self.accept("circ"):
                return self._more_powers(Product((expression_of(base), Const("degree"))))
            exponent = self._exponent()
            if exponent == _CIRC:
                return self._more_powers(Product((expression_of(base), Const("degree"))))
            return self._more_powers(Power(expression_of(base), exponent))
        return base

    def _transpose(self, base: Matrix | Sequence) -> Expr | None:
        """A matrix, or a row in brackets, with `^T`; None for any other power."""
        after = self.peek(2 if self.at("{", ahead=1) else 1)
        if after is None or after.text not in ("T", "top", "intercal", "prime"):
            return None
        self.position += 2
        if self.tokens[self.position - 1].text == "{":
            self.position += 1
            self.expect("}")
        rows = base.rows if isinstance(base, Matrix) else (base.items,)
        return unresolved(Matrix(tuple(zip(*rows, strict=True))))

    def _more_powers(self, base: Expr) -> Expr:
        return self._read_postfixes(base)

    def _exponent(self) -> Expr:
        self.deeper()
        if self.at("{") and self.at("circ", ahead=1):
            self.position += 2
            self.expect("}")
            self.depth -= 1
            return _CIRC
        if self.accept("{"):
            exponent = self.sum()
            self.expect("}")
        elif self.accept("-"):
            exponent = negative(self._exponent())
        elif self.accept("+"):
            exponent = self._exponent()
        else:
            exponent = expression_of(self.postfix(single=True))
            if self.accept("^", "**"):
                exponent = Power(exponent, self._exponent())
        self.depth -= 1
        return exponent

    def postfix(self, single: bool = False) -> Expr:
        return self._read_postfixes(self.atom(single))

    def _read_postfixes(self, value: Expr) -> Expr:
        """Factorials, percent and degree signs."""
        for _ in range(4):
            token = self.peek()
            if token is None or (token.kind != "word" and self.signs[self.position] not in _POSTFIXES):
                break
            if self.at("!") and not self.at("=", ahead=1):
                self.position += 1
                value = Call("factorial2" if self.accept("!") else "factorial", (expression_of(value),))
            elif self.accept("%", "\\%"):
                value = Product((expression_of(value), Num(Fraction(1, 100))))
            elif self.at("degree") or self.word() in ("degree", "degrees", "deg"):
                self.position += 1
                value = Product((expression_of(value), Const("degree")))
            elif (
                token.kind == "word"
                and token.text in ("percent", "percents", "pct", "per")
                and self._percent()
            ):
                value = Product((expression_of(value), Num(Fraction(1, 100))))
            else:
                break
        return value

    def _percent(self) -> bool:
        if self.word() in ("percent", "percents", "pct"):
            self.position += 1
            self.accept(".")
            return True
        following = self.peek(1)
        if following is not None and following.text == "cent":
            self.position += 2
            return True
        return False

    def _bracket(self, token: Token) -> Expr:
        match token.text:
            case "(":
                return self._parenthesis()
            case "[":
                return self._square(True)
            case "]":
                return self._square(False)
            case "{":
                return self._brace()
            case "|":
                self.bars += 1
                inner = self.sum()
                self.expect("|")
                self.bars -= 1
                return Call("abs", (inner,))
            case "\\{":
                return unresolved(self._set("\\}"))
        raise Unreadable(f"{token.text!r} is out of place")

    def _list(self, *closings: str) -> list[Value]:
        self.deeper()
        items = [self.relation()]
        while self.accept(",", ";"):
            items.append(self.relation())
        self.expect(*closings)
        self.depth -= 1
        return items

    def _parenthesis(self) -> Expr:
        bars, self.bars = self.bars, 0
        if self.accept(")"):
            raise Unreadable("empty brackets")
        items = [self.relation()]
        while self.accept(",", ";"):
            items.append(self.relation())
        closing = self.expect(")", "]", "[")
        self.bars = bars
        if closing == ")" and len(items) == 1:  # (x) is a product of one factor, so that f(x) is told from fx
            return Product((items[0],)) if isinstance(items[0], Sym) else unresolved(items[0])
        if closing == ")":
            return unresolved(Sequence("tuple", tuple(items)))
        return unresolved(_interval(items, False, closing == "]"))

    def _square(self, closed: bool) -> Expr:
        if closed and self.accept("]"):
            return unresolved(Sequence("list", ()))
        items = [self.relation()]
        while self.accept(",", ";"):
            items.append(self.relation())
        closing = self.expect("]", ")", "[")
        if closed and closing == "]":
            if len(items) == 1 and isinstance(items[0], Matrix):
                return unresolved(items[0])
            return unresolved(Sequence("list", tuple(items)))
        return unresolved(_interval(items, closed, closing == "]"))

    def _brace(self) -> Expr:
        if self.accept("}"):
            raise Unreadable("empty braces")
        first = self.relation()
        if self.accept("over"):
            below = self.sum()
            self.expect("}")
            return Product((expression_of(first), Power(below, Num(Fraction(-1)))))
        if self.accept("choose"):
            below = self.sum()
            self.expect("}")
            return Call("binomial", (expression_of(first), below))
        if self.at(",", ";"):
            items = [first]
            while self.accept(",", ";"):
                items.append(self.relation())
            self.expect("}")
            return unresolved(Sequence("set", tuple(items)))
        self.expect("}")
        return unresolved(first)
