"""How an exception of the program crosses into the tests, which run in another process.

It is raised there as the builtin exception that it is, or derives from, with its name, text and plain
arguments: a test that expects a ValueError gets one, and what no `except Exception` takes in Python, none
takes here. A program must not steer the tests by it, though. Two kinds are raised as a RemoteError unless the
test names them where it expects them: those that end a loop (`map(f, xs)` would take a StopIteration of `f`
for the end of its input), and AssertionError.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
from typing import Any

from .. import wire

_MAX_TEXT = 500
_BUILTIN = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, BaseException)
}
_ENDS_LOOPS = (StopIteration, StopAsyncIteration)
_ONLY_NAMED = (*_ENDS_LOOPS, AssertionError)
_OWN_LOOP = (ast.For, ast.AsyncFor, ast.While, ast.comprehension)


class RemoteError(Exception):
    """What came from the program is no exception or value that the tests can be given as it is."""


class RemoteBaseError(BaseException):
    """What a group of the program holds that is no group of exceptions alone: no `except* Exception`, and no
    `suppress(Exception)` of Python 3.12 and later, takes it."""


def describe(failure: BaseException) -> dict[str, Any]:
    """The claim about an exception, whose own methods are not to be trusted.

    name: of its class.  bases: the builtin exceptions that it is or derives from, the nearest of each line.
    text: what str() gives, shortened.
    args: trees of its arguments, where all are small plain values.
    """
    claim: dict[str, Any] = {"name": "Exception", "bases": ["Exception"], "text": "", "args": []}
    with contextlib.suppress(BaseException):  # whatever a hostile class does
        known = [kind for kind in type.mro(type(failure)) if kind in _BUILTIN.values()]
        nearest = [kind for kind in known if sum(issubclass(each, kind) for each in known) == 1]
        claim["bases"] = [kind.__name__ for kind in nearest]
        claim["name"] = str(type.__dict__["__name__"].__get__(type(failure)))[:100]
    with contextlib.suppress(BaseException):
        claim["text"] = str.__getitem__(str(failure), slice(_MAX_TEXT))
        claim["args"] = [wire.encode(argument) for argument in failure.args if _is_small(argument)]
        if len(claim["args"]) != len(failure.args):
            claim["args"] = [claim["text"]]
    return claim


def _is_small(argument: object) -> bool:
    if type(argument) is str:
        return len(argument) <= _MAX_TEXT
    if type(argument) is int:
        return argument.bit_length() <= 64
    return argument is None or type(argument) in (bool, float)


def rebuild(claim: dict[str, Any], tests: str) -> BaseException:
    """The exception for the tests, whose source is `tests`."""
    name, text = claim["name"], claim["text"]
    kinds = tuple(_BUILTIN.get(base, Exception) for base in claim["bases"])
    only_named = [kind.__name__ for kind in kinds if issubclass(kind, _ONLY_NAMED)]
    if not kinds or not all(_expects(each, tests) for each in only_named):
        return RemoteError(f"{name}: {text}")
    with contextlib.suppress(Exception):  # the claim may be forged
        arguments = [wire.decode(argument) for argument in claim["args"]]
        if issubclass(kinds[0], BaseExceptionGroup):
            leaf = RemoteError if issubclass(kinds[0], ExceptionGroup) else RemoteBaseError
            arguments = [text, [leaf(text)]]
        return _make_instance(name if name.isidentifier() else kinds[0].__name__, kinds, text, arguments)
    return RemoteError(f"{name}: {text}")


def _make_instance(
    name: str, kinds: tuple[type[BaseException], ...], text: str, arguments: list[Any]
) -> BaseException:
    """Of the builtin class itself where that shows the same, else of one of its own.

    Such a class is made as its bases are made, or with the arguments alone, where they take others.
    """
    if [kind.__name__ for kind in kinds] == [name]:
        with contextlib.suppress(Exception):
            instance = kinds[0](*arguments)
            if str(instance) == text and type(instance) is kinds[0]:
                return instance
    shows = {"__str__": lambda _: text}
    with contextlib.suppress(Exception):
        return type(name, kinds, shows)(*arguments)
    bare = type(name, kinds, {**shows, "__init__": lambda *_: None})(*arguments)
    bare.args = tuple(arguments)
    return bare


def _expects(name: str, tests: str) -> bool:
    """Whether a test expects an exception: hands its class to a call (`assertRaises`), or handles it.

    To handle what ends loops, around a loop or a `next` of its own, is to wait for the end of that.
    """
    for node in ast.walk(ast.parse(tests)):
        if isinstance(node, ast.Call) and any(_names(name, argument) for argument in node.args):
            return True
        if isinstance(node, ast.Try) and any(
            handler.type and _names(name, handler.type) for handler in node.handlers
        ):
            within = [inner for statement in node.body for inner in ast.walk(statement)]
            own = any(isinstance(inner, _OWN_LOOP) or _names("next", inner) for inner in within)
            if name == "AssertionError" or not own:
                return True
    return False


def _names(name: str, node: ast.AST) -> bool:
    nodes = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(isinstance(each, ast.Name) and each.id == name for each in nodes)
