"""What a worker process does for reasoning-gym: let a generator's own scorer judge an answer.

Several scorers pass the model's answer to `eval` or to sympy's parser, which evaluates it. Here they get
readers in their place that run nothing: one of literals and of arithmetic on numbers (which the package
evaluates itself, in its own questions), and a parser that first holds the text to expressions over known
names.
"""

from __future__ import annotations

import ast
import operator
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import reasoning_gym  # noqa: F401 - here, so that the server has it before a worker's deadline begins
import sympy
from sympy.parsing import sympy_parser

from .reasoning_gym_entries import find_entry

MAX_TEXT = 1_000  # characters of an expression
_EXPRESSION = re.compile(r"[0-9A-Za-z_+\-*/^().,\s]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_ATTRIBUTE = re.compile(r"\.\s*[A-Za-z_]")
KNOWN = frozenset(
    [
        "pi",
        "E",
        "exp",
        "log",
        "ln",
        "sqrt",
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "asin",
        "acos",
        "atan",
        "sinh",
        "cosh",
        "tanh",
        "Abs",
        "Rational",
        "Integer",
        "C",
    ]
)


def score(request: Mapping[str, Any]) -> float:
    """What the scorer of a generator gives an answer, from 0 to 1."""
    entry = find_entry(request["generator"], request["options"], request["seed"])
    with disarmed():
        return float(entry.dataset.score_answer(request["answer"], entry.values))


@contextmanager
def disarmed() -> Iterator[None]:
    """Readers that run nothing in the place of those that would, in every module of the package and in
    sympy. The package's own questions are made without: they are its own text."""
    places = find_places(len(sys.modules))
    for place in places.readers:
        setattr(place.module, place.name, place.held)
    for module in places.modules:
        vars(module)["eval"] = evaluate  # a module's own name goes before the builtin
    try:
        yield
    finally:
        for place in places.readers:
            setattr(place.module, place.name, place.plain)
        for module in places.modules:
            del vars(module)["eval"]


@dataclass(frozen=True)
class Reader:
    """A name of a module that stands for one of sympy's readers. plain: that.  held: what takes its place."""

    module: ModuleType
    name: str
    plain: Callable[..., Any]
    held: Callable[..., Any]


@dataclass(frozen=True)
class Places:
    """modules: of the package.  readers: in them and in sympy."""

    modules: tuple[ModuleType, ...]
    readers: tuple[Reader, ...]


@lru_cache(maxsize=1)  # looking at every name of every module takes ten times as long as most scorers do
def find_places(loaded: int) -> Places:  # noqa: ARG001
    """Where text may be evaluated. loaded: how many modules there are, by which a new one is noticed."""
    plain_parse, plain_sympify = sympy_parser.parse_expr, sympy.sympify
    modules = tuple(
        module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "reasoning_gym" and isinstance(module, ModuleType)
    )
    held = {plain_parse: hold(plain_parse), plain_sympify: refuse_text(plain_sympify)}
    readers = tuple(
        Reader(module, name, plain, held[plain])
        for module in (*modules, sympy, sympy_parser)
        for name, plain in vars(module).items()
        if plain is plain_parse or plain is plain_sympify
    )
    return Places(modules, readers)


_OPERATORS: dict[type, Callable[..., Any]] = {
    **{ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv},
    **{ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow},
    **{ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor},
    **{ast.LShift: operator.lshift, ast.RShift: operator.rshift},
    **{ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert},
}


def evaluate(text: str, *_names: Any) -> Any:
    """The value of a text of literals, lists and tuples of them, and arithmetic on numbers. Raises
    ValueError for any other text: a name, a call, an attribute."""
    return _value_of(ast.parse(text.strip(), mode="eval").body)


def _value_of(node: ast.expr) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.List() | ast.Tuple():
            values = [_value_of(each) for each in node.elts]
            return values if isinstance(node, ast.List) else tuple(values)
        case ast.BinOp():
            left, right = _value_of(node.left), _value_of(node.right)
            if isinstance(left, int | float) and isinstance(right, int | float):
                return _OPERATORS[type(node.op)](left, right)
        case ast.UnaryOp() if type(node.op) in _OPERATORS:
            value = _value_of(node.operand)
            if isinstance(value, int | float):
                return _OPERATORS[type(node.op)](value)
    raise ValueError("This is no literal and no arithmetic.")


def refuse_text(plain: Callable[..., Any]) -> Callable[..., Any]:
    """sympy's `sympify` for anything but a text, which it would evaluate."""

    def sympify(value: Any, *args: Any, **named: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("A text is not evaluated here.")
        return plain(value, *args, **named)

    return sympify


def hold(plain: Callable[..., Any]) -> Callable[..., Any]:
    """sympy's `parse_expr`, which evaluates a text, for plain expressions alone: numbers, operators, known
    functions and names of one letter. It raises ValueError for any other text: attributes, quotes,
    brackets, other names."""

    def parse_expr(text: Any, *args: Any, **named: Any) -> Any:
        if not isinstance(text, str) or len(text) > MAX_TEXT:
            raise ValueError("An expression is a text of at most 1,000 characters.")
        known = {*KNOWN, *(named.get("local_dict") or {})}
        names = {name for name in _NAME.findall(text) if len(name) > 1 or name in "INOQS"}
        if not _EXPRESSION.fullmatch(text) or _ATTRIBUTE.search(text) or names - known or "__" in text:
            raise ValueError("This is no plain expression.")
        return plain(text, *args, **named)

    return parse_expr
