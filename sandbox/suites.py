"""Tests that are plain assertions about calls with constants, read as such calls.

`assert f(1, [2]) == 3` needs no process of its own to be run in: the driver makes the call, as for `Call`,
and looks at the claimed value itself. Most published suites are of this form (HumanEval's `check(candidate)`
as well). Whatever is not, a loop or a helper function say, is left to the process of the tests: `read_suite`
gives None for the whole suite.

Nothing of a test is executed here. Constants are literals, and sums and products of them, bounded in size.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any, Literal

from . import plain
from .syntax import parse

Relation = Literal["==", "!=", "is", "is not", "true", "false", "<", "<="]
MAX_BITS = 4096  # of a number that arithmetic on constants gives
MAX_SOURCE = 1 << 16  # characters of tests that are looked at
_SLACK = 512  # nodes and characters: names of a namedtuple, digits of a decimal
CACHED = 512  # suites kept as they were read: all completions of a group ask for the same one
_RELATIONS: dict[type[ast.cmpop], Relation] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.Lt: "<",
    ast.LtE: "<=",
}
_SINGLE = (None, True, False)  # what `is` may be asked about
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_SIGNS: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
}


class NotPlain(Exception):
    """A test says more than that a call with constants gives a constant."""


@dataclass(frozen=True)
class Assertion:
    """One call, and what must hold of the value that it returns.

    test: number of the test it belongs to.
    near: for `<` and `<=`, the relation is between abs(value - near) and `constant`.
    """

    test: int
    entry: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    relation: Relation = "true"
    constant: Any = None
    near: Any = None

    def holds(self, claimed: Any) -> bool:
        """As Python's operators decide it of a checked tree. No method of the program's takes part.

        A claim is built only where it is not much larger than the constant, so that it costs what the
        tests' own text costs.
        """
        match self.relation:
            case "is" | "is not":
                return (claimed is self.constant) is (self.relation == "is")
            case "true" | "false":
                truth = _read_truth(claimed)
                return truth is not None and truth is (self.relation == "true")
        if plain.weigh(claimed, self.largest_claim) > self.largest_claim:
            return self.relation == "!="
        try:
            value = plain.decode(claimed)
            if self.relation in ("==", "!="):
                return bool(value == self.constant) is (self.relation == "==")
            return self._is_near(value)
        except (plain.Malformed, TypeError, ValueError, ArithmeticError):
            return False

    @cached_property
    def largest_claim(self) -> int:
        """Nodes and characters of the largest claim that can equal the constant.

        Kept with the suite, which is cached.
        """
        return 3 * plain.weigh(plain.encode(self.constant), plain.MAX_NODES) + _SLACK

    def _is_near(self, value: Any) -> bool:
        if not isinstance(value, int | float | complex | Fraction):
            return False
        distance = abs(value - self.near)
        return distance < self.constant if self.relation == "<" else distance <= self.constant


def _read_truth(tree: Any) -> bool | None:
    """The truth of a checked tree; None for an array of several elements, which has none."""
    if type(tree) is not list:
        return bool(tree)
    tag = tree[0]
    if tag == "N":
        return len(tree[1]) > 1
    if tag == "a":
        elements = tree[1]
        if type(elements) is not list or elements[0] not in plain.CONTAINERS:
            return _read_truth(elements)
        return _read_truth(elements[1]) if len(elements) == 2 else None
    if tag in plain.CONTAINERS or tag in "dKVT":
        return len(tree) > 1
    return tag == "I" or bool(plain.decode(tree))


def read_suite(entries: Sequence[str], tests: Sequence[str]) -> tuple[Assertion, ...] | None:
    """The suite as assertions in their order, each test with one at least.

    None when any test is of another form.
    """
    return _read_suite(tuple(entries), tuple(tests)) if sum(map(len, tests)) <= MAX_SOURCE else None


@lru_cache(maxsize=CACHED)
def _read_suite(entries: tuple[str, ...], tests: tuple[str, ...]) -> tuple[Assertion, ...] | None:
    assertions: list[Assertion] = []
    for number, test in enumerate(tests):
        try:
            mine = list(_read_test(parse(test).body, number, frozenset(entries)))
        except (NotPlain, SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        if not mine:
            return None
        assertions += mine
    return tuple(assertions)


def _read_test(body: Sequence[ast.stmt], number: int, entries: frozenset[str]) -> Iterator[Assertion]:
    """Assertions, or HumanEval's form: `def check(candidate)` that holds them, and `check(entry)`."""
    checks: dict[str, ast.FunctionDef] = {}
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name, args=parameters, decorator_list=[]) if (
                name not in entries and _takes_one(parameters)
            ):
                checks[name] = statement
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name not in entries | set(checks):
                read_constant(value)  # METADATA = {...}
            case ast.Expr(ast.Call(func=ast.Name(id=check), args=[ast.Name(id=entry)], keywords=[])) if (
                check in checks
            ):
                if entry not in entries:
                    raise NotPlain
                yield from _read_check(checks[check], number, entry, entries)
            case _:
                yield from _read_statement(statement, number, {name: name for name in entries})


def _takes_one(parameters: ast.arguments) -> bool:
    others = (
        parameters.posonlyargs,
        parameters.kwonlyargs,
        parameters.defaults,
        parameters.vararg,
        parameters.kwarg,
    )
    return len(parameters.args) == 1 and not any(others)


def _read_check(
    check: ast.FunctionDef, number: int, entry: str, entries: frozenset[str]
) -> Iterator[Assertion]:
    calls = {name: name for name in entries} | {check.args.args[0].arg: entry}
    for statement in check.body:
        yield from _read_statement(statement, number, calls)


def _read_statement(statement: ast.stmt, number: int, calls: Mapping[str, str]) -> Iterator[Assertion]:
    """calls: the names that stand for entry points, each with its entry point."""
    match statement:
        case ast.Pass() | ast.Expr(ast.Constant()):
            return
        case ast.Assert(test=ast.Constant(value=value)) if value:
            return  # `assert True, "message"`
        case ast.Assert(test=test):
            yield _read_assertion(test, number, calls)
        case _:
            raise NotPlain


def _read_assertion(test: ast.expr, number: int, calls: Mapping[str, str]) -> Assertion:
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=call):
            return _make_assertion(number, call, calls, "false")
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _RELATIONS:
            relation = _RELATIONS[type(op)]
            if relation in ("<", "<="):
                return _read_near(left, read_constant(right), number, calls, relation)
            call, other = (left, right) if isinstance(left, ast.Call) else (right, left)
            constant = read_constant(other)
            if relation in ("is", "is not") and not any(constant is single for single in _SINGLE):
                raise NotPlain
            return _make_assertion(number, call, calls, relation, constant)
    return _make_assertion(number, test, calls, "true")


def _read_near(
    left: ast.expr, bound: Any, number: int, calls: Mapping[str, str], relation: Relation
) -> Assertion:
    """abs(f(x) - 0.5) < 1e-6"""
    match left:
        case ast.Call(
            func=ast.Name(id="abs"), args=[ast.BinOp(left=a, op=ast.Sub(), right=b)], keywords=[]
        ) if "abs" not in calls:
            call, other = (a, b) if isinstance(a, ast.Call) else (b, a)
            near = read_constant(other)
            if all(isinstance(part, int | float) for part in (near, bound)):
                return _make_assertion(number, call, calls, relation, bound, near)
    raise NotPlain


def _make_assertion(
    number: int,
    call: ast.expr,
    calls: Mapping[str, str],
    relation: Relation,
    constant: Any = None,
    near: Any = None,
) -> Assertion:
    match call:
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if name in calls:
            named = {word.arg: read_constant(word.value) for word in keywords if word.arg is not None}
            if len(named) != len(keywords):
                raise NotPlain
            return Assertion(
                number, calls[name], tuple(map(read_constant, args)), named, relation, constant, near
            )
    raise NotPlain


def read_constant(node: ast.expr) -> Any:
    """The value of a literal, or of arithmetic on literals.

    Raises NotPlain for anything else, and for long numbers.
    """
    match node:
        case ast.Constant(value=value) if value is not ...:
            return value
        case ast.List(elts=items):
            return list(map(read_constant, items))
        case ast.Tuple(elts=items):
            return tuple(map(read_constant, items))
        case ast.Set(elts=items):
            return set(_check_hashable(map(read_constant, items)))
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return dict(
                zip(
                    _check_hashable(read_constant(key) for key in keys if key),
                    map(read_constant, values),
                    strict=True,
                )
            )
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _SIGNS:
            return _SIGNS[type(op)](_check_number(read_constant(operand)))
        case ast.BinOp(left=left, op=op, right=right):
            return _calculate(op, _check_number(read_constant(left)), _check_number(read_constant(right)))
    raise NotPlain


def _check_hashable(items: Iterable[Any]) -> list[Any]:
    values = list(items)
    try:
        for item in values:
            hash(item)
    except TypeError as failure:
        raise NotPlain from failure
    return values


def _check_number(value: Any) -> int | float | complex:
    if not isinstance(value, int | float | complex):
        raise NotPlain
    return value


def _calculate(op: ast.operator, a: Any, b: Any) -> Any:
    try:
        if isinstance(op, ast.Pow) and isinstance(a, int) and isinstance(b, int) and 0 <= b <= MAX_BITS:
            if max(a.bit_length(), 1) * b > MAX_BITS:
                raise NotPlain
            return a**b
        result = _ARITHMETIC[type(op)](a, b)
    except (KeyError, ArithmeticError, TypeError) as failure:
        raise NotPlain from failure
    if isinstance(result, float) and not math.isfinite(result):
        raise NotPlain
    if isinstance(result, int) and result.bit_length() > MAX_BITS:
        raise NotPlain
    return result
