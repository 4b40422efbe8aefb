"""`mode="restricted"`: a small language inside Python, for tasks of small pure functions.

It is a rule about what a program may say, not the boundary that holds it: the program runs behind the same
isolation as any other. RestrictedPython compiles the source; here are the guards and the wide set of builtins
that it then sees. A module is a list of its public names; none leads to another module, to code, frames or
namespaces, or evaluates text.

Not in the language: names and attributes that begin with an underscore, `exec`, `eval`, `compile`, `open`,
`input`, `globals`, `vars`, `str.format` (it reads attributes), assignments such as `items[i] += 1` to an
element (write `items[i] = items[i] + 1`), annotated assignments, `async`, `yield from`, and imports of other
modules than IMPORTABLE.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import operator
import types
from typing import Any

from RestrictedPython import compile_restricted_exec, limited_builtins, safe_builtins
from RestrictedPython.Eval import default_guarded_getitem, default_guarded_getiter
from RestrictedPython.Guards import guarded_iter_unpack_sequence, guarded_unpack_sequence
from RestrictedPython.transformer import INSPECT_ATTRIBUTES

IMPORTABLE = frozenset(
    [
        "bisect",
        "cmath",
        "collections",
        "collections.abc",
        "copy",
        "datetime",
        "decimal",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "itertools",
        "math",
        "random",
        "re",
        "statistics",
        "string",
        "typing",
    ]
)
# Public names that read attributes by their names, evaluate annotations, or open files.
_LEFT_OUT = frozenset(
    [
        ("functools", "singledispatch"),
        ("functools", "singledispatchmethod"),
        ("functools", "update_wrapper"),
        ("hashlib", "file_digest"),
        ("string", "Formatter"),
        ("typing", "ForwardRef"),
        ("typing", "evaluate_forward_ref"),
        ("typing", "get_type_hints"),
    ]
)
_BUILTINS = [
    "all", "any", "ascii", "bin", "bytearray", "bytes", "classmethod", "dict", "divmod", "enumerate",
    "filter", "format", "frozenset", "hash", "iter", "list", "map", "max", "memoryview", "min", "next",
    "object", "print", "property", "reversed", "set", "sorted", "staticmethod", "sum", "super", "type",
    "StopAsyncIteration", "StopIteration",
]  # fmt: skip
_MUTABLE = (list, dict, set, bytearray)
_IN_PLACE = {
    "+=": operator.iadd, "-=": operator.isub, "*=": operator.imul, "/=": operator.itruediv,
    "%=": operator.imod, "**=": operator.ipow, "<<=": operator.ilshift, ">>=": operator.irshift,
    "|=": operator.ior, "^=": operator.ixor, "&=": operator.iand, "//=": operator.ifloordiv,
    "@=": operator.imatmul,
}  # fmt: skip


class _Printer:
    """What RestrictedPython turns `print` into; it prints."""

    def __init__(self, _getattr_: object = None) -> None:
        pass

    def _call_print(self, *values: object, **options: Any) -> None:
        options.pop("file", None)
        print(*values, **options)


def _wraps(wrapped: Any) -> Any:
    """functools.wraps without the choice of what is copied.

    That choice reads and writes attributes by their names.
    """
    return lambda wrapper: functools.update_wrapper(wrapper, wrapped)


@functools.cache
def make_module(name: str) -> types.ModuleType:
    """What a program gets for a module of IMPORTABLE: its public names that are no modules themselves."""
    real = importlib.import_module(name)
    module = types.ModuleType(
        f"restricted {name}"
    )  # by its own name, the interpreter would look for missing ones elsewhere
    for public in getattr(real, "__all__", None) or [each for each in vars(real) if not each.startswith("_")]:
        value = getattr(real, public)
        if not isinstance(value, types.ModuleType) and (name, public) not in _LEFT_OUT:
            vars(module)[public] = value
    if name == "functools":
        vars(module)["wraps"] = _wraps
    if name == "collections":
        vars(module)["abc"] = make_module("collections.abc")
    return module


def _import_module(
    name: str, _globals: object = None, _locals: object = None, wanted: Any = (), _level: int = 0
) -> Any:
    if name not in IMPORTABLE:
        raise ImportError(
            f"The restricted mode has no module {name}; it has {', '.join(sorted(IMPORTABLE))}."
        )
    return make_module(name if wanted else name.partition(".")[0])


def _is_own(function: Any) -> bool:
    code = getattr(function, "__code__", None)
    return isinstance(code, types.CodeType) and code.co_filename == "<program>"


def _get_attribute(target: Any, name: str, *default: Any) -> Any:
    """getattr for names without an underscore in front.

    None of them leads into frames and code, or to `str.format`.
    """
    if type(name) is not str:
        raise TypeError("The name of an attribute is a str.")
    if name.startswith("_") or name in INSPECT_ATTRIBUTES:
        raise AttributeError(f"The restricted mode has no attribute {name}.")
    value = getattr(target, name, *default)
    if name in ("format", "format_map") and callable(value) and not _is_own(value):
        raise AttributeError(
            "The restricted mode has no str.format, which reads attributes; write an f-string."
        )
    return value


def _change_in_place(symbol: str, target: Any, value: Any) -> Any:
    return _IN_PLACE[symbol](target, value)


def _check_writable(target: Any) -> Any:
    """Elements of builtin containers and attributes of the program's own instances may be assigned."""
    if (
        isinstance(target, _MUTABLE)
        or type(target).__module__ == "solution"
        or type(target).__module__ == "__main__"
    ):
        return target
    if type(target).__module__ == "collections":
        return target
    raise TypeError(f"The restricted mode does not write to a {type(target).__name__}.")


def _get_type(value: Any, *more: Any) -> type:
    if more or isinstance(value, type):
        raise TypeError("The restricted mode has type(value) only, for a value that is no type.")
    return type(value)


def _has_attribute(value: Any, name: str) -> bool:
    try:
        _get_attribute(value, name)
    except AttributeError:
        return False
    return True


def prepare(source: str) -> tuple[types.CodeType, dict[str, Any]]:
    """Code and namespace of a program in the restricted language.

    Raises SyntaxError for one that is not in it.
    """
    compiled = compile_restricted_exec(source, "<program>")
    if compiled.errors or compiled.code is None:
        raise SyntaxError("; ".join(compiled.errors))
    names = {name: getattr(builtins, name) for name in _BUILTINS}
    space = {
        "__builtins__": {
            **safe_builtins,
            **limited_builtins,
            **names,
            "__import__": _import_module,
            "type": _get_type,
            "hasattr": _has_attribute,
            "getattr": _get_attribute,
            "range": range,
            "list": list,
            "tuple": tuple,
        },
        "__metaclass__": type,
        "_getattr_": _get_attribute,
        "_getitem_": default_guarded_getitem,
        "_getiter_": default_guarded_getiter,
        "_iter_unpack_sequence_": guarded_iter_unpack_sequence,
        "_unpack_sequence_": guarded_unpack_sequence,
        "_inplacevar_": _change_in_place,
        "_write_": _check_writable,
        "_print_": _Printer,
    }
    return compiled.code, space
