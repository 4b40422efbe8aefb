"""The calls in what a policy said, in the forms in which models write them.

- Hermes, Qwen: `<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>`, each call in marks of its own;
  inside of them also `<function=f><parameter=x>1</parameter></function>` (Qwen3-Coder, Nemotron) and
  `f<arg_key>x</arg_key><arg_value>1</arg_value>` (GLM).
- Mistral: `[TOOL_CALLS] [{"name": "f", "arguments": {"x": 1}}]`, or `[TOOL_CALLS]f[ARGS]{"x": 1}`.
- gpt-oss: `<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"x": 1}<|call|>`.
- Llama 3: a message that is `{"name": "f", "parameters": {"x": 1}}` and nothing else.
- For small models, a fenced block with the tool's name: its text is the JSON of the arguments, or the one
  argument itself where the tool takes one text.

What is thought (up to the last `</think>`) calls nothing. Every search goes forward only: the work is linear
in the length of the text. A call that can't be read is one too: what is wrong with it is answered.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ....verifiers.regexes import compile_once
from ..errors import shorten
from .schema import BadArguments, Tool, parse_json

MAX_CALLS = 8  # in one message
MAX_CHARS = 20_000  # of one call
FORM = '<tool_call>{"name": ..., "arguments": {...}}</tool_call>'
_OTHER_MARKS = ("<|tool_call_start|>", "<|tool_call>", "<｜tool▁call▁begin｜>", "<tool_calls>")


@dataclass(frozen=True)
class ToolCall:
    """name: of the tool, as the policy wrote it.  arguments: checked, by name.  fault: why it can't be run,
    a sentence to the policy; "" where it can."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""


def find_calls(said: str, tools: Mapping[str, Tool]) -> list[ToolCall]:
    """The calls in a message, in their order; [] for a message that calls nothing. Raises nothing.

    >>> from palaestra.tasks.core.tools.builtin import calculator
    >>> tools = {"calculator": Tool.of(calculator)}
    >>> said = '<tool_call>{"name": "calculator", "arguments": {"expression": "6 * 7"}}</tool_call>'
    >>> find_calls(said, tools)
    [ToolCall(name='calculator', arguments={'expression': '6 * 7'}, fault='')]
    >>> find_calls('<tool_call>{"name": "calculator"}</tool_call>', tools)[0].fault
    "calculator needs the argument 'expression'."
    >>> find_calls("<answer>42</answer>", tools)
    []
    """
    text = said.rpartition("</think>")[2].strip()
    calls = []
    for found in _find_raw(text, tools):
        if len(calls) == MAX_CALLS:
            calls.append(
                ToolCall("", fault=f"A message makes at most {MAX_CALLS} calls: the rest was not run.")
            )
            break
        calls.append(_check(found, tools))
    return calls


def read_calls(said: str) -> list[ToolCall]:
    """The calls in a message as it writes them, of whatever tools, for a person who reads it: nothing is held
    to a schema, and a fenced block is text. At most `MAX_CALLS`. Raises nothing.

    >>> read_calls('<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>')
    [ToolCall(name='f', arguments={'x': 1}, fault='')]
    """
    text = said.rpartition("</think>")[2].strip()
    calls = []
    for raw in itertools.islice(_find_raw(text, {}), MAX_CALLS):
        arguments = raw.arguments if isinstance(raw.arguments, dict) else {"arguments": raw.arguments}
        calls.append(ToolCall(str(raw.name), {} if raw.arguments is None else arguments, raw.fault))
    return calls


@dataclass(frozen=True)
class _Raw:
    """A call as it is written. texts: whether the arguments are texts still.  fault: as of a call."""

    name: Any = ""
    arguments: Any = None
    texts: bool = False
    fault: str = ""


def _check(raw: _Raw, tools: Mapping[str, Tool]) -> ToolCall:
    """The call, its arguments held to the tool's schema."""
    name = shorten(str(raw.name), 60)
    if raw.fault:
        return ToolCall(name, fault=raw.fault)
    tool = tools.get(raw.name) if isinstance(raw.name, str) else None
    if tool is None:
        return ToolCall(name, fault=f"There is no tool {name!r}. The tools are: {', '.join(tools)}.")
    try:
        arguments = tool.read(raw.arguments) if raw.texts else raw.arguments
        return ToolCall(name, tool.check({} if arguments is None else arguments))
    except BadArguments as failure:
        return ToolCall(name, fault=str(failure))


def _find_raw(text: str, tools: Mapping[str, Tool]) -> Iterator[_Raw]:
    if "<tool_call>" in text:
        yield from _read_marked(text, tools)
    elif "[TOOL_CALLS]" in text:
        yield from _read_mistral(text.partition("[TOOL_CALLS]")[2])
    elif "to=functions." in text:
        yield from _read_channels(text)
    elif (found := _read_bare(text)) is not None:
        yield found
    elif other := next((mark for mark in _OTHER_MARKS if mark in text), ""):
        yield _Raw(fault=f"Calls in {other} are not read here. Write {FORM}.")
    else:
        yield from _read_fences(text, tools)


def _read_marked(text: str, tools: Mapping[str, Tool]) -> Iterator[_Raw]:
    at = text.find("<tool_call>")
    while at >= 0:
        begin = at + len("<tool_call>")
        end = text.find("</tool_call>", begin)
        if end < 0:
            yield _Raw(fault=f"A <tool_call> is never closed. Write {FORM}.")
            return
        yield _read_body(text[begin:end].strip(), tools)
        at = text.find("<tool_call>", end)


def _read_body(body: str, tools: Mapping[str, Tool]) -> _Raw:
    """What stands between the marks of a call."""
    if body.startswith("{") or len(body) > MAX_CHARS:
        return _read_object(body)
    if body.startswith("<function="):
        name, _, rest = body.removeprefix("<function=").partition(">")
        pairs = compile_once(r"<parameter=([^>\n]*)>\n?").split(rest)[1:]
        values = [value.partition("</parameter>")[0].removesuffix("\n") for value in pairs[1::2]]
        return _Raw(name.strip(), dict(zip(pairs[::2], values, strict=True)), texts=True)
    name, *pairs = body.split("<arg_key>")
    if pairs or name in tools:
        split = [pair.partition("</arg_key>") for pair in pairs]
        values = [rest.partition("<arg_value>")[2].partition("</arg_value>")[0] for _, _, rest in split]
        keys = [key.strip() for key, _, _ in split]
        return _Raw(name.strip(), dict(zip(keys, values, strict=True)), texts=True)
    return _Raw(fault=f"A call is an object with name and arguments. Write {FORM}.")


def _read_object(body: str) -> _Raw:
    """A call as JSON."""
    if len(body) > MAX_CHARS:
        return _Raw(fault=f"A call has at most {MAX_CHARS} characters.")
    try:
        return _read_call(parse_json(body))
    except ValueError as failure:
        return _Raw(fault=f"The call is no JSON ({shorten(str(failure), 80)}). Write {FORM}.")


def _read_call(call: Any) -> _Raw:
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return _Raw(fault=f"A call is an object with name and arguments. Write {FORM}.")
    return _Raw(call["name"], call.get("arguments", call.get("parameters")))


def _read_mistral(rest: str) -> Iterator[_Raw]:
    name, mark, arguments = rest.partition("[ARGS]")
    if mark:
        raw = _read_object(f'{{"name": "", "arguments": {arguments.strip().removesuffix("</s>")}}}')
        yield _Raw(name.strip(), raw.arguments, fault=raw.fault)
        return
    try:
        calls = parse_json(rest.strip().removesuffix("</s>")) if len(rest) <= MAX_CHARS else None
    except ValueError as failure:
        yield _Raw(fault=f"The calls are no JSON ({shorten(str(failure), 80)}). Write a list of calls.")
        return
    if not isinstance(calls, list) or not calls:
        yield _Raw(fault=f"After [TOOL_CALLS] comes a list of calls, of at most {MAX_CHARS} characters.")
        return
    yield from map(_read_call, calls)


def _read_channels(text: str) -> Iterator[_Raw]:
    for part in text.split("to=functions.")[1:]:
        header, mark, body = part.partition("<|message|>")
        name = header.split("<")[0].split()[:1]
        if not mark or not name:
            yield _Raw(fault="A call of functions.NAME has its arguments after <|message|>.")
            continue
        raw = _read_object(f'{{"name": "", "arguments": {body.partition("<|")[0].strip() or "{}"}}}')
        yield _Raw(name[0], raw.arguments, fault=raw.fault)


def _read_bare(text: str) -> _Raw | None:
    """A message that is a call in JSON and nothing else."""
    body = text.removeprefix("<|python_tag|>").strip()
    if not body.startswith("{") or '"name"' not in body[:MAX_CHARS]:
        return None
    return _read_object(body)


def _read_fences(text: str, tools: Mapping[str, Tool]) -> Iterator[_Raw]:
    opening = None
    lines: list[str] = []
    for line in text.split("\n"):
        if opening is None:
            name = line.strip().removeprefix("```")
            if line.startswith("```") and name in tools:
                opening, lines = name, []
        elif line.strip() == "```":
            yield _read_fenced("\n".join(lines), tools[opening])
            opening = None
        else:
            lines.append(line)
    if opening is not None:
        yield _Raw(opening, fault=f"A block of {opening} is never closed: end it with a line of ```.")


def _read_fenced(body: str, tool: Tool) -> _Raw:
    if len(body) > MAX_CHARS:
        return _Raw(tool.name, fault=f"A call has at most {MAX_CHARS} characters.")
    needed = tool.parameters["required"]
    if len(needed) == 1 and tool.parameters["properties"][needed[0]].get("type") == "string":
        return _Raw(tool.name, {needed[0]: body})
    raw = _read_object(f'{{"name": "", "arguments": {body.strip() or "{}"}}}')
    return _Raw(tool.name, raw.arguments, fault=raw.fault)
