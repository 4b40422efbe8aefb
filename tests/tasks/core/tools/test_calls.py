"""Calls in what a policy said: each form that models write, and whatever is wrong with one."""

import json

import pytest
from cpu_time import cpu_seconds
from palaestra.tasks.core.tools.builtin import calculator, python
from palaestra.tasks.core.tools.calls import MAX_CALLS, find_calls
from palaestra.tasks.core.tools.schema import Tool


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


TOOLS = {tool.name: tool for tool in map(Tool.of, (calculator, python, add))}
SUM = ("add", {"a": 2, "b": 3})


@pytest.mark.parametrize(
    "said",
    [
        '<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n</tool_call>',
        'I will add.\n<tool_call>{"arguments": {"b": 3, "a": 2}, "name": "add"}</tool_call> and wait',
        "<think>maybe <tool_call> this</think><tool_call>"
        '{"name": "add", "parameters": {"a": 2, "b": 3}}</tool_call>',
        "<tool_call>\n<function=add>\n<parameter=a>\n2\n</parameter>\n<parameter=b>\n3\n</parameter>\n"
        "</function>\n</tool_call>",
        "<tool_call>add\n<arg_key>a</arg_key>\n<arg_value>2</arg_value>\n<arg_key>b</arg_key>\n"
        "<arg_value>3</arg_value>\n</tool_call>",
        '{"name": "add", "parameters": {"a": 2, "b": 3}}',
        '<|python_tag|>{"name": "add", "parameters": {"a": 2, "b": 3}}',
        '[TOOL_CALLS] [{"name": "add", "arguments": {"a": 2, "b": 3}}]',
        '[TOOL_CALLS]add[ARGS]{"a": 2, "b": 3}',
        "<|channel|>analysis<|message|>Add.<|end|><|start|>assistant<|channel|>commentary to=functions.add "
        '<|constrain|>json<|message|>{"a": 2, "b": 3}<|call|>',
        'So:\n```add\n{"a": 2, "b": 3}\n```',
    ],
)
def test_the_forms_that_models_write_are_read(said):
    calls = find_calls(said, TOOLS)
    assert [(call.name, call.arguments, call.fault) for call in calls] == [(*SUM, "")]


def test_a_fenced_block_is_the_one_text_of_a_tool():
    program = "for n in range(3):\n    print(n)"
    assert find_calls(f"```python\n{program}\n```\n", TOOLS)[0].arguments == {"code": program}
    body = f"<function=python>\n<parameter=code>\n{program}\n</parameter>\n</function>"
    assert find_calls(f"<tool_call>\n{body}\n</tool_call>", TOOLS)[0].arguments == {"code": program}


@pytest.mark.parametrize(
    "said",
    [
        "",
        "<answer>42</answer>",
        "<think><tool_call>{}</tool_call></think> It is 5.",
        "```\n2 + 3\n```",
        "```pythonic\nprint(1)\n```",
        '{"answer": 42}',
        "add(2, 3)",
        "<tool_response>5</tool_response>",
    ],
)
def test_other_texts_call_nothing(said):
    assert find_calls(said, TOOLS) == []


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ('<tool_call>{"name": "add", "arguments": {"a": 2}}', "never closed"),
        ("<tool_call>{'name': 'add'}</tool_call>", "no JSON"),
        ('<tool_call>{"name": "add", "arguments": {"a": NaN}}</tool_call>', "NaN is no number"),
        (f'<tool_call>{{"name": "add", "arguments": {{"a": {"9" * 5000}}}}}</tool_call>', "no JSON"),
        (f'<tool_call>{{"a": {"[" * 9000}</tool_call>', "no JSON"),
        (f'<tool_call>{{"a": {"[" * 600}{"]" * 600}}}</tool_call>', "nested too deeply"),
        (f'<tool_call>{{"name": "{"x" * 30_000}"}}</tool_call>', "at most 20000 characters"),
        ("<tool_call>[1]</tool_call>", "an object with name and arguments"),
        ('<tool_call>{"name": 3}</tool_call>', "an object with name and arguments"),
        (
            '<tool_call>{"name": "sub", "arguments": {}}</tool_call>',
            "There is no tool 'sub'. The tools are: calc",
        ),
        ('<tool_call>{"name": "add", "arguments": "{}"}</tool_call>', "an object of names and values"),
        ('<tool_call>{"name": "add", "arguments": {"a": "2"}}</tool_call>', "must be a whole number"),
        ("<tool_call><function=add></function></tool_call>", "needs the argument 'a'"),
        ("[TOOL_CALLS] nothing", "no JSON"),
        ("[TOOL_CALLS] []", "a list of calls"),
        ("[TOOL_CALLS]add[ARGS]{", "no JSON"),
        ("commentary to=functions.add", "after <|message|>"),
        ("<|tool_call_start|>[add(a=2)]<|tool_call_end|>", "are not read here. Write <tool_call>"),
        ("```add\n{}", "A block of add is never closed"),
        ("```add\n{'a': 1}\n```", "no JSON"),
    ],
)
def test_what_is_wrong_with_a_call_is_said(said, fault):
    calls = find_calls(said, TOOLS)
    assert len(calls) == 1
    assert fault in calls[0].fault


def test_a_message_makes_so_many_calls():
    call = f"<tool_call>{json.dumps({'name': SUM[0], 'arguments': SUM[1]})}</tool_call>"
    assert [found.fault for found in find_calls(call * MAX_CALLS, TOOLS)] == [""] * MAX_CALLS
    more = find_calls(call * (MAX_CALLS + 5), TOOLS)
    assert len(more) == MAX_CALLS + 1
    assert "at most 8 calls" in more[-1].fault


@pytest.mark.parametrize(
    "piece",
    ["<tool_call>", "<tool_call>{", "</tool_call>", "<parameter=a>", "<arg_key>", "[TOOL_CALLS]", "```add\n",
     "to=functions.", "<think>", "{", '{"name": ', "<tool_call><function=add>", "</think>", "```\n"],
)  # fmt: skip
def test_the_work_is_linear(piece):
    text = piece * (400_000 // len(piece))
    assert cpu_seconds(lambda: find_calls(text, TOOLS)) < 1.0
    assert cpu_seconds(lambda: find_calls("<tool_call>" + text + "</tool_call>", TOOLS)) < 1.0
