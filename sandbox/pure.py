"""Tests that leave nothing behind in the process that runs them, told by their text.

Such tests may use a process after others of the kind: they run in a namespace of their own, import nothing
but modules that hold no state (random's is set anew for each suite), assign no attribute, and name nothing by
which a module or the interpreter could be changed or a change be seen. All else is refused, also where it
would do no harm: it gets a fresh process.

The tests are trusted. This keeps one suite from disturbing the next by accident; it is no jail.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Sequence
from functools import lru_cache

from .suites import CACHED, MAX_SOURCE
from .syntax import parse

_MODULES = frozenset([
    "bisect", "cmath", "collections", "copy", "datetime", "fractions", "functools", "heapq", "itertools",
    "math", "numpy", "operator", "random", "re", "statistics", "string", "typing",
])  # fmt: skip
_BUILTINS = frozenset([
    "abs", "all", "any", "ascii", "bin", "bool", "bytearray", "bytes", "callable", "chr", "classmethod",
    "complex", "dict", "divmod", "enumerate", "filter", "float", "format", "frozenset", "hash", "hex", "int",
    "isinstance", "issubclass", "iter", "len", "list", "map", "max", "min", "next", "object", "oct", "ord",
    "pow", "print", "property", "range", "repr", "reversed", "round", "set", "slice", "sorted",
    "staticmethod", "str", "sum", "super", "tuple", "type", "zip", "None", "True", "False", "NotImplemented",
    "Ellipsis", "__name__", "AssertionError", "ArithmeticError", "AttributeError", "BaseException",
    "Exception", "FloatingPointError", "IndexError", "KeyError", "LookupError", "NameError",
    "NotImplementedError", "OverflowError", "RuntimeError", "StopIteration", "TypeError", "UnicodeError",
    "ValueError", "ZeroDivisionError",
])  # fmt: skip
_OTHER_BUILTINS = frozenset(vars(builtins)) - _BUILTINS
_NUMPY = frozenset([
    "all", "allclose", "any", "array", "array_equal", "asarray", "assert_allclose", "bool_", "complex128",
    "float16", "float32", "float64", "floating", "inf", "int32", "int64", "integer", "isclose", "isfinite",
    "isinf", "isnan", "nan", "ndarray", "ndenumerate", "number", "ones", "pi", "round", "testing", "zeros",
])  # fmt: skip
# Attributes that lead to another module, or change what a class or module is.
_LEADING = (sys.stdlib_module_names - {"copy", "random"}) | {
    "register",
    "cache_clear",
    "dispatch_table",
    "seterr",
    "seterrcall",
    "setbufsize",
}
_FRAMES = ("_", "f_", "tb_", "gi_", "cr_", "co_", "ag_")
_REFUSED = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)


@lru_cache(maxsize=CACHED)
def _leaves_nothing(sources: tuple[str, ...]) -> bool:
    try:
        return all(_is_harmless(node) for source in sources for node in ast.walk(parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def leaves_nothing(setup: str, tests: Sequence[str]) -> bool:
    """Whether a suite's tests, with their setup, can use a process after others, and others after them."""
    sources = (setup, *tests)
    return sum(map(len, sources)) <= MAX_SOURCE and _leaves_nothing(sources)


def _is_harmless(node: ast.AST) -> bool:
    match node:
        case ast.Import(names=names):
            return all(
                alias.name in _MODULES and (alias.name != "numpy" or alias.asname in (None, "np"))
                for alias in names
            )
        case ast.ImportFrom(module=module, names=names, level=0):
            allowed = _NUMPY if module == "numpy" else None
            return module in _MODULES and all(_is_public(alias.name, allowed) for alias in names)
        case ast.ImportFrom():
            return False
        case ast.Attribute(value=ast.Name(id="np" | "numpy"), attr=name):
            return isinstance(node.ctx, ast.Load) and name in _NUMPY
        case ast.Attribute(attr=name):
            return isinstance(node.ctx, ast.Load) and _is_public(name)
        case ast.Name(id=name):
            return name not in _OTHER_BUILTINS and not (name.startswith("__") and name != "__name__")
        case ast.FunctionDef(name=name):
            return name != "__del__"
    return not isinstance(node, _REFUSED)


def _is_public(name: str, allowed: frozenset[str] | None = None) -> bool:
    if allowed is not None:
        return name in allowed
    return name != "*" and name not in _LEADING and not name.startswith(_FRAMES)
