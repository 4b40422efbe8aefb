"""What a policy is told of its tools where no chat template tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

SAMPLES = {"string": "...", "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
SLASH = r"<\/"  # in JSON the same as </


def write_tools(schemas: Sequence[Mapping[str, Any]]) -> str:
    """A system text that names the tools, and shows how one is called.

    schemas: as `Problem.tools` has them.

    >>> from palaestra.tasks.core.tools.builtin import calculator
    >>> from palaestra.tasks.core.tools.schema import Tool
    >>> print(write_tools([Tool.of(calculator).schema]))
    You may use a tool:
    - calculator(expression): The exact value of an arithmetic expression with + - * / and parentheses; a fraction as a/b.
      expression (string): for example 12 * (34 - 5).
    Call it like this, and end your message there:
    <tool_call>{"name": "calculator", "arguments": {"expression": "..."}}</tool_call>
    You are sent what it returns. A message without a call is your last one.
    """  # noqa: E501 - as it is printed
    several = len(schemas) > 1
    lines = ["You may use these tools:" if several else "You may use a tool:"]
    for schema in schemas:
        lines += _describe(schema["function"])
    lines.append(f"Call {'one' if several else 'it'} like this, and end your message there:")
    lines.append(_write_sample(schemas[0]["function"]))
    lines.append("You are sent what it returns. A message without a call is your last one.")
    return "\n".join(lines)


def _describe(function: Mapping[str, Any]) -> list[str]:
    arguments = function["parameters"]["properties"]
    lines = [f"- {function['name']}({', '.join(arguments)}): {function['description']}"]
    for name, schema in arguments.items():
        kind = schema.get("type") or json.dumps(schema.get("enum") or schema.get("anyOf") or "any")
        said = f": {schema['description']}" if "description" in schema else ""
        lines.append(f"  {name} ({kind}){said}")
    return lines


def _write_sample(function: Mapping[str, Any]) -> str:
    parameters = function["parameters"]
    shown = {
        name: SAMPLES.get(str(parameters["properties"][name].get("type")), "...")
        for name in parameters["required"]
    }
    return write_call(function["name"], shown)


def write_call(name: str, arguments: Any) -> str:
    """A call of a tool, in the form that `write_tools` asks for. Nothing in it closes the marks around it.

    >>> write_call("look_up", {"what": "</tool_call>"})
    '<tool_call>{"name": "look_up", "arguments": {"what": "<\\\\/tool_call>"}}</tool_call>'
    """
    said = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>{said.replace('</', SLASH)}</tool_call>"
