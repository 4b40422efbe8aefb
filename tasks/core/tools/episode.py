"""The episode of a task with tools: calls are run and answered, a message without one is the last."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ....verifiers.types import Unavailable
from ..episode import HARMLESS
from ..errors import tell_failure
from ..problem import Problem
from .calls import ToolCall, find_calls
from .schema import CallFailed, Tool, ToolBroke

KEPT_CHARS = 2_000  # of a result in the state; the policy reads it up to the limit of observations


class ToolEpisode:
    """What a policy's calls are answered, in role "tool".

    state: {"calls": [...]}, each with its name, its arguments, its result as a text, and `ok`, whether it ran
    to its end: what a criterion may ask about. Nothing that the policy writes gets into it but by a call.

    A call that can't be read, of a tool that is not there, with arguments that don't fit, or that raises, is
    answered with what is wrong. A tool that hangs is ended by the limit of a reply. What tools share is
    opened with the first call that needs it, and at harmless words that ask whether the world works.

    >>> import palaestra as pal
    >>> from palaestra.tasks.core.tools.builtin import calculator
    >>> episode = ToolEpisode(pal.Problem("6 * 7?"), tools=[Tool.of(calculator)])
    >>> episode.reply('<tool_call>{"name": "calculator", "arguments": {"expression": "6 * 7"}}</tool_call>')
    '42'
    >>> episode.reply("<answer>42</answer>") is None, episode.state["calls"][0]["result"]
    (True, '42')
    """

    role = "tool"

    def __init__(self, problem: Problem, tools: Sequence[Tool]) -> None:  # noqa: ARG002 - as of a factory
        self.tools = {tool.name: tool for tool in tools}
        self.sessions: dict[Any, Any] = {}
        self.state: dict[str, list[dict[str, Any]]] = {"calls": []}
        self.answers: list[str] = []  # of the calls in what was said last

    def reply(self, said: str) -> str | None:
        """The results of the calls in it, one to a line where there are several; None without a call.

        Raises Unavailable where a tool is not there, whatever the call, and ToolBroke where one broke at it.
        """
        calls = find_calls(said, self.tools)
        if not calls:
            if said in HARMLESS:  # perhaps to find out whether this works at all, servers that start included
                for tool in self.tools.values():
                    self._open(tool)
            return None
        self.answers = results = [self._run(call) for call in calls]
        return results[0] if len(results) == 1 else "\n".join(
            f"{call.name}: {result}" if call.name else result
            for call, result in zip(calls, results, strict=True)
        )  # fmt: skip

    def _run(self, call: ToolCall) -> str:
        ok, result = False, f"Error: {call.fault}"
        if not call.fault:
            try:
                result, ok = _write(self._use(self.tools[call.name], call.arguments)), True
            except (Unavailable, ToolBroke):
                raise
            except CallFailed as failure:
                result = str(failure)
            except (Exception, SystemExit) as failure:  # noqa: BLE001 - whatever a call provokes is its answer
                result = f"Error: {tell_failure(failure)}"
        kept = {"name": call.name, "arguments": dict(call.arguments), "result": result[:KEPT_CHARS], "ok": ok}
        self.state["calls"].append(kept)
        return result

    def _use(self, tool: Tool, arguments: Mapping[str, Any]) -> Any:
        session = self._open(tool)
        return tool.function(**arguments) if session is None else tool.function(session, dict(arguments))

    def _open(self, tool: Tool) -> Any:
        """What the calls of this tool share; None where that is nothing."""
        if tool.session is not None and tool.session not in self.sessions:
            self.sessions[tool.session] = tool.session()
        return self.sessions.get(tool.session)


def _write(value: Any) -> str:
    """What a tool returned, as the policy reads it: a text as it is, other data as JSON."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return str(value)
