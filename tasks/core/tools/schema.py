"""A plain typed function as a tool: its JSON schema from signature and docstring, arguments held to it."""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..callables import is_deferred
from ..episode import MOST_NESTED, is_nested_deeper
from ..errors import TaskError, shorten

Schema = Mapping[str, Any]
DEEPEST = MOST_NESTED // 2  # lists and objects in each other, in a call: an episode's state holds it
_KINDS = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object"}
_WORDS = {
    **{"string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false"},
    **{"array": "a list", "object": "an object", "null": "null"},
}
_SECTION = re.compile(
    r"\s*(?:args|arguments|parameters|params|returns|raises|yields|examples?)\s*:?\s*", re.I
)
TAKEN = "int, float, str, bool, list, dict, Literal, Optional"


class BadArguments(ValueError):
    """What a call gives is not what its tool takes. The message says what is wrong, to the policy."""


class CallFailed(Exception):
    """A tool ran and could not do what the call asks: what it raises says why, and is the call's answer as it
    stands."""


class ToolBroke(Exception):
    """What runs a tool ended or hung at a call, though it works at others: no answer can be given, and the
    episode can't go on."""


@dataclass(frozen=True)
class Tool:
    """A function that a policy may call.

    name, description: as the policy reads them.  parameters: a JSON schema of its arguments, an object.
    function: takes the arguments by name.  start: makes sure that it can run here, before a run begins, and
    returns what belongs in the run's record; None: nothing to make sure of.  session: opens what the calls of
    one episode share (a server of its own), and tools with an equal one share it; `function` then takes that
    and the arguments as a mapping. None: nothing is shared.

    >>> def double(number: int) -> int:
    ...     '''Twice a number.
    ...
    ...     number: to be doubled.
    ...     '''
    ...     return 2 * number
    >>> Tool.of(double).parameters["properties"]
    {'number': {'type': 'integer', 'description': 'to be doubled.'}}
    """

    name: str
    description: str
    parameters: Schema
    function: Callable[..., Any]
    start: Callable[[], Mapping[str, Any]] | None = None
    session: Callable[[], Any] | None = None

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Tool:
        """The tool that a function is. Its docstring's first paragraph is said to the policy, and a line
        `name: text` (of a `:param name:`, too) of each parameter.

        Raises TaskError for a parameter of a type that no schema is made of, for a missing docstring, and for
        a function that does not return (a coroutine, a generator).
        """
        name = getattr(function, "__name__", "")
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            raise TaskError(
                f"A tool is a function with a name of its own, not {shorten(repr(function), 80)}."
            )
        if is_deferred(function):
            raise TaskError(
                f"The tool {name} waits or yields: write a plain function that returns its answer."
            )
        doc = inspect.getdoc(function) or ""
        if not doc.strip():
            raise TaskError(f"The tool {name} has no docstring: say in it what the tool does.")
        parameters = _read_parameters(function, name, doc)
        described = _find_summary(doc, parameters["properties"])
        return cls(name, described, parameters, function, getattr(function, "start", None))

    @property
    def schema(self) -> dict[str, Any]:
        """As chat templates and endpoints take it."""
        told = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": told}

    def check(self, arguments: Any) -> dict[str, Any]:
        """The arguments where they are what the tool takes. Raises BadArguments."""
        if not isinstance(arguments, dict):
            raise BadArguments(f"The arguments of {self.name} are an object of names and values.")
        known = self.parameters["properties"]
        for name in arguments:
            if name not in known:
                near = get_close_matches(str(name), known, 1)
                raise BadArguments(
                    f"{self.name} has no argument {shorten(str(name), 40)!r}"
                    + (
                        f"; did you mean {near[0]!r}?"
                        if near
                        else f": it takes {', '.join(known) or 'none'}."
                    )
                )
        for name in self.parameters["required"]:
            if name not in arguments:
                raise BadArguments(f"{self.name} needs the argument {name!r}.")
        for name, value in arguments.items():
            if fault := _find_fault(known[name], value):
                raise BadArguments(f"The argument {name!r} of {self.name} must be {fault}.")
        return arguments

    def read(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Arguments that came as texts: those of type string as they are, others as JSON."""
        known = self.parameters["properties"]
        return {
            name: text if name not in known or _takes_text(known[name]) else _read_json(text)
            for name, text in texts.items()
        }


def make_tools(functions: Sequence[Callable[..., Any] | Tool]) -> tuple[Tool, ...]:
    """The tools that functions are. Raises TaskError, also where two have one name."""
    if isinstance(functions, str) or not isinstance(functions, Sequence):
        raise TaskError(f"Tools are a list of functions, not {shorten(repr(functions), 80)}.")
    tools = tuple(each if isinstance(each, Tool) else Tool.of(each) for each in functions)
    names = [tool.name for tool in tools]
    if len({*names}) < len(names):
        raise TaskError(f"Two tools have one name: {', '.join(names)}. Give each a name of its own.")
    return tools


def _read_parameters(function: Callable[..., Any], name: str, doc: str) -> dict[str, Any]:
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError) as failure:
        raise TaskError(f"The types of the tool {name} can't be read: {failure}.") from failure
    properties: dict[str, Any] = {}
    required = []
    for each in inspect.signature(function).parameters.values():
        if each.kind not in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
            raise TaskError(f"The tool {name} takes {each}: give each of its parameters a name of its own.")
        if each.name not in hints:
            raise TaskError(f"The tool {name}'s parameter {each.name} has no type: give it one of {TAKEN}.")
        schema = _read_type(hints[each.name], f"The tool {name}'s parameter {each.name}")
        if said := _find_description(doc, each.name):
            schema["description"] = said
        properties[each.name] = schema
        if each.default is each.empty:
            required.append(each.name)
    return {"type": "object", "properties": properties, "required": required}


def _find_summary(doc: str, names: Collection[str]) -> str:
    """What a docstring says of the tool: its first paragraph, up to where it tells of the parameters."""
    lines = []
    for line in doc.strip().split("\n"):
        if (
            not line.strip()
            or _SECTION.fullmatch(line)
            or any(_find_description(line, name) for name in names)
        ):
            break
        lines.append(line.strip())
    return " ".join(lines) or " ".join(doc.split("\n\n")[0].split())


def _find_description(doc: str, name: str) -> str:
    """What a docstring says of a parameter: in a line `name: text`, `name (type): text` or `:param name:
    text`, or below a line `name : type` of NumPy's form."""
    told = re.search(rf"(?m)^\s*(?::param (?:\w+ )?)?{name}(?: ?\([^)\n]*\))?: *(\S.*)$", doc)
    below = re.search(rf"(?m)^( *){name} :.*\n\1 +(\S.*)$", doc)
    return told[1].strip() if told else below[2].strip() if below else ""


def _read_type(hint: Any, where: str) -> dict[str, Any]:
    """The schema of a type. Raises TaskError for one that has none."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint in _KINDS:
        return {"type": _KINDS[hint]}
    if origin is Literal and all(isinstance(value, str | int | bool) for value in inner):
        kinds = {_KINDS[type(value)] for value in inner}
        return {**({"type": kinds.pop()} if len(kinds) == 1 else {}), "enum": list(inner)}
    if origin is list and len(inner) == 1:
        return {"type": "array", "items": _read_type(inner[0], where)}
    if origin is dict and inner[0] is str:
        return {"type": "object", "additionalProperties": _read_type(inner[1], where)}
    if origin in (Union, types.UnionType):
        told = [{"type": "null"} if each is types.NoneType else _read_type(each, where) for each in inner]
        return {"anyOf": told}
    raise TaskError(
        f"{where} is a {getattr(hint, '__name__', hint)}, of which no schema is made: take {TAKEN}."
    )


def _find_fault(schema: Schema, value: Any) -> str:
    """What a value should have been; "" where it is that."""
    if "anyOf" in schema:
        faults = [_find_fault(each, value) for each in schema["anyOf"]]
        return "" if "" in faults else " or ".join(dict.fromkeys(faults))
    if "enum" in schema:
        same = any(type(each) is type(value) and each == value for each in schema["enum"])
        return "" if same else f"one of {', '.join(map(repr, schema['enum']))}"
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _WORDS:
        return ""  # a server's own schema says it in other words, and the server judges
    fits = {
        "string": isinstance(value, str),
        "integer": type(value) is int,
        "number": type(value) in (int, float),
        "boolean": isinstance(value, bool),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
        "null": value is None,
    }
    if not fits[kind]:
        return _WORDS[kind]
    inner = schema.get("items") or schema.get("additionalProperties")
    named = "properties" in schema  # then the rest of its names alone are as `inner`
    parts = value.values() if kind == "object" and not named else value if kind == "array" else ()
    held = isinstance(inner, dict)  # True and False say whether there may be others
    found = next((fault for part in parts if held and (fault := _find_fault(inner, part))), "")
    return found and f"{_WORDS[kind]}, each of which is {found}"


def _takes_text(schema: Schema) -> bool:
    options = schema.get("anyOf", [schema])
    return any(each.get("type") == "string" for each in options)


def _read_json(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return text  # which the check will not take


def parse_json(text: str) -> Any:
    """Plain data. Raises ValueError, also for NaN, for numbers of too many digits, and for what is nested too
    deeply."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no number")

    try:
        data = json.loads(text, parse_constant=refuse)
    except RecursionError as failure:
        raise ValueError("it is nested too deeply") from failure
    if is_nested_deeper(data, DEEPEST):
        raise ValueError("it is nested too deeply")
    return data
