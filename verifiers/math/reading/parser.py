"""Stage 5: a recursive-descent parser from tokens into typed values. Bounded by tokens and depth;
evaluates nothing."""

from __future__ import annotations

from fractions import Fraction

from ..traversal import fits, negative
from ..values import (
    EXPRESSIONS,
    INFINITY,
    Builder,
    Call,
    Congruence,
    Expr,
    Interval,
    Joined,
    Matrix,
    Num,
    Product,
    RealSet,
    Relation,
    Sequence,
    Sum,
    Sym,
    Unreadable,
    Value,
    Words,
)
from .applications import applications
from .expressions import ExpressionParser
from .lexer import Token
from .names import signs_of
from .operands import expression_of, unresolved
from .vocabulary import MATRICES, RELATIONS, SET_CALLS, SETS, SUM_ENDS, SYSTEMS

MAX_DETERMINANT = 400  # parts of its entries; each entry of four rows stands in six terms
REALS = RealSet((Interval(negative(INFINITY), INFINITY, False, False),))


def named_set(name: str) -> Value:
    """R, Z, N, Q or C as a set; any other letter as words."""
    kind = SETS.get(name)
    return REALS if kind == "reals" else Words(f"set of {kind or name}")


class Parser(ExpressionParser):
    """Clauses, relations, unions and structures."""

    def everything(self) -> Value:
        value = self.clauses()
        if self.position < len(self.tokens):
            raise Unreadable(f"{self.tokens[self.position].text!r} is out of place")
        return value

    # -- clauses, relations, unions --------------------------------------------------------------------------

    def clauses(self) -> Value:
        """Clauses that commas, `and`, `or` join."""
        items, words = [self.relation()], set()
        while (joint := self._joint()) is not None:
            words.add(joint)
            items.append(self.relation())
        if len(items) == 1:
            return items[0]
        if {"and", "or"} <= words and any(isinstance(item, Relation) for item in items):
            raise Unreadable("both 'and' and 'or'")
        word = "or" if "or" in words else "and" if "and" in words else ","
        return Joined(word, tuple(items))

    def _joint(self) -> str | None:
        joint = None
        while True:
            if self.accept(",", ";"):
                joint = joint or ","
                while self.accept(",", ";"):
                    pass
            elif self.word() in ("and", "or") or self.at("land", "lor", "wedge", "vee", "&"):
                text = self.take().text
                joint = "or" if text in ("or", "lor", "vee") else "and"
            else:
                break
        if joint is not None and self.peek() is None:
            raise Unreadable("a list ends with its separator")
        return joint

    def relation(self) -> Value:
        operands, operators = [self.union()], []
        while (token := self.peek()) is not None:
            if token.kind == "word" and token.text == "in":
                operator = "in"
            elif token.kind in ("mark", "command") and token.text in RELATIONS:
                operator = RELATIONS[token.text]
            else:
                break
            self.position += 1
            operands.append(self.union())
            operators.append(operator)
        value: Value = Relation(tuple(operands), tuple(operators)) if operators else operands[0]
        return self._modulus(value)

    def _modulus(self, value: Value) -> Value:
        """`value (mod m)`."""
        mark = self.position
        opened = (
            self.at("(") and (token := self.peek(1)) is not None and token.text in ("mod", "bmod", "pmod")
        )
        if opened:
            self.position += 1
        if self.at("pmod", "bmod", "mod") or self.word() == "mod":
            self.position += 1
            modulus = self.sum()
            if opened:
                self.expect(")")
            match value:
                case Relation((Sym(name), residue), ("=" | "==",)) if isinstance(residue, EXPRESSIONS):
                    return Congruence(residue, modulus, name)
            if not isinstance(value, EXPRESSIONS):
                raise Unreadable("a congruence of no expression")
            return Congruence(value, modulus)
        self.position = mark
        return value

    def union(self) -> Value:
        """Unions, intersections and differences of sets; a plain value otherwise."""
        value = self.value()
        while self.at("cup", "cap", "setminus", "backslash") or (
            self.word() == "U" and isinstance(value, Sequence | Interval | RealSet)
        ):
            operator = self.take().text
            value = Call(SET_CALLS[operator], (unresolved(value), unresolved(self.value())))
        return value

    def value(self) -> Value:
        """A structure, or a sum."""
        if self.at("\\{", "langle", "emptyset", "varnothing", "begin", "mathbb", "Reals"):
            before = self.position
            structure = self._structure()
            if structure is not None and self._ends():
                return structure
            if structure is not None:  # the first factor of a sum, which must not be read again
                self.read[before] = (structure, self.position)
            self.position = before
        if self.at("{") and self._opens_plain_set():
            self.position += 1
            return self._set("}")
        return self.sum()

    def _ends(self) -> bool:
        token = self.peek()
        if token is None or token.text in SUM_ENDS or token.text in RELATIONS or token.text in SET_CALLS:
            return True
        return (token.kind == "word" and token.text in ("and", "or", "in", "U")) or self.at(
            "land", "lor", "vee", "wedge"
        )

    def _structure(self) -> Value | None:
        if self.accept("emptyset", "varnothing"):
            return Sequence("set", ())
        if self.accept("mathbb"):
            self.expect("{")
            name = self.take().text
            self.expect("}")
            if self.accept("^"):
                return None
            return named_set(name)
        if self.accept("\\{"):
            return self._set("\\}")
        if self.accept("langle"):
            items = self._list("rangle")
            return Sequence("vector", tuple(items))
        if self.at("begin"):
            return self._matrix()
        return None

    def _set(self, closing: str) -> Value:
        self.deeper()
        if self.accept(closing):
            self.depth -= 1
            return Sequence("set", ())
        bars, self.bars = self.bars, self._bars_ahead() % 2
        self._lone_bar()
        first = self.relation()
        self.bars = bars
        if self.accept("mid", "|", ":"):  # {x in R | condition}
            condition = self.clauses()
            self.expect(closing)
            self.depth -= 1
            return Builder(first, condition)
        items = [first]
        while self.accept(",", ";"):
            items.append(self.relation())
        self.expect(closing)
        self.depth -= 1
        return Sequence("set", tuple(items))

    def _bars_ahead(self) -> int:
        """How many bars stand before the next closing brace: an odd one is
        a set-builder's, and opens nothing."""
        count = 0
        for index in range(self.position, len(self.tokens)):
            text = self.tokens[index].text
            if text in ("\\}", "}"):
                break
            count += text == "|"
        return count

    def _lone_bar(self) -> None:
        """A `\\lvert` without its partner before the next closing brace
        parts an element from its condition."""
        bars = []
        for index in range(self.position, len(self.tokens)):
            if self.tokens[index].text == "\\}":
                break
            if self.tokens[index].text in ("lvert", "rvert", "vert"):
                bars.append(index)
        if len(bars) % 2:
            self.tokens[bars[0]] = Token("command", "mid", self.tokens[bars[0]].spaced)
            self.signs[bars[0]] = "mid"

    def _opens_plain_set(self) -> bool:
        """Whether a brace without a backslash opens a set: `{x | x > 2}`, or `{3}` beside a union's sign."""
        if self.at("|", "mid", ":", ahead=2) or (self.at("in", ahead=2) and self.at("mathbb", ahead=3)):
            return True
        if self.position and self.tokens[self.position - 1].text in SET_CALLS:
            return True
        depth = 0
        for index in range(self.position, len(self.tokens)):
            depth += (self.tokens[index].text == "{") - (self.tokens[index].text == "}")
            if not depth:
                return index + 1 < len(self.tokens) and self.tokens[index + 1].text in SET_CALLS
        return False

    def _matrix(self) -> Value:
        self.deeper()
        self.expect("begin")
        name = self._environment()
        if name == "array" and self.accept("{"):
            while not self.accept("}"):
                self.position += 1
                if self.peek() is None:
                    raise Unreadable("an array that never begins")
        if name in SYSTEMS:
            return self._system_rows()
        if name not in MATRICES and name != "vmatrix":
            raise Unreadable(f"the environment {name}")
        rows: list[tuple[Value, ...]] = []
        row: list[Value] = []
        while not self.at("end"):
            row.append(self.relation())
            if self.accept("&"):
                continue
            if not self.accept("\\\\") and not self.at("end"):
                raise Unreadable("a matrix whose rows don't end")
            while self.accept("hline"):
                pass
            rows.append(tuple(row))
            row = []
        self.expect("end")
        self._environment()
        self.depth -= 1
        if not rows or row or len({len(each) for each in rows}) != 1:
            raise Unreadable("a matrix whose rows differ in length")
        if name == "vmatrix":
            return determinant(rows)
        if all(len(each) == 1 and isinstance(each[0], Relation) for each in rows):
            return Joined(",", tuple(each[0] for each in rows))
        return Matrix(tuple(rows))

    def _system_rows(self) -> Value:
        """The rows of `cases` or `aligned` as clauses. An `&` may only align:
        beside it a relation's sign stands."""
        rows: list[Value] = []
        end = next(
            (at for at in range(self.position, len(self.tokens)) if self.tokens[at].text == "end"),
            len(self.tokens),
        )
        kept = self.tokens[self.position : end]
        for index, token in enumerate(kept):
            if token.text == "&" and not any(
                each.text in RELATIONS for each in kept[max(0, index - 1) : index + 2]
            ):
                raise Unreadable("a system with columns")
        if any(token.text == "&" for token in kept):
            self.tokens[self.position : end] = [token for token in kept if token.text != "&"]
            self.signs = signs_of(self.tokens)
            self.applications = applications(self.tokens)
        while not self.at("end"):
            rows.append(self.relation())
            self.accept(",", ";", ".")
            if not self.accept("\\\\") and not self.at("end"):
                raise Unreadable("a system whose rows don't end")
        self.expect("end")
        self._environment()
        self.depth -= 1
        if not rows:
            raise Unreadable("a system without rows")
        return Joined(",", tuple(rows)) if len(rows) > 1 else rows[0]

    def _environment(self) -> str:
        self.expect("{")
        name = self.take().text
        self.accept("*")
        self.expect("}")
        return name


def determinant(rows: list[tuple[Value, ...]]) -> Expr:
    """By expansion along the first row; at most 4 by 4."""
    if len(rows) != len(rows[0]) or len(rows) > 4 or not fits(tuple(rows), MAX_DETERMINANT):
        raise Unreadable("a determinant that is not square, or too large")
    if len(rows) == 1:
        return expression_of(rows[0][0])
    terms = []
    for column, entry in enumerate(rows[0]):
        minor = determinant([row[:column] + row[column + 1 :] for row in rows[1:]])
        terms.append(Product((Num(Fraction((-1) ** column)), expression_of(entry), minor)))
    return Sum(tuple(terms))
