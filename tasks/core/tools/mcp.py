"""Tools of an MCP server (Model Context Protocol) over stdio: a process that this machine starts.

Each episode that calls one has a server of its own, so that nothing is carried from one rollout to the next,
and a rollout can be played again. `mcp_guard` stands between: no server outlives the process that asks it.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import weakref
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

from ....verifiers.types import Unavailable
from ..errors import TaskError, shorten, tell_failure
from ..packaged import import_extra
from .schema import BadArguments, Tool, ToolBroke
from .telling import write_tools

GUARD = Path(__file__).with_name("mcp_guard.py")
START_S = 30.0  # for a server to start and to list its tools
PING_S = 2.0
MOST_LINE = 4 << 20  # bytes of one answer
MOST_PAGES, MOST_TOLD = 20, 100_000  # of the list of tools: pages, and characters in all
_NAME = re.compile(r"[A-Za-z_][\w-]{0,63}", re.ASCII)


def connect_mcp(
    command: Sequence[str],
    *,
    only: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] = ".",
    seconds: float = 4.0,
    shared: bool = False,
) -> tuple[Tool, ...]:
    """The tools of an MCP server, for a task's `tools`. The server is started once here, to list them.

        @pal.task("sums", rubric=..., tools=pal.tools.connect_mcp(["python", "server.py"]))

    command: that starts the server, which speaks over stdin and stdout.  only: the names to take (default
    all).  env: variables beside PATH, HOME and their like.  cwd: where it runs.  seconds: for one call, above
    0 (default 4): keep it below half of `EpisodeLimits.reply_seconds`.  shared: one server for all episodes
    of a process, where calls leave nothing behind (default: one for each episode that calls).

    Raises TaskError where the package mcp is not installed, the server does not start or list within 30 s, or
    a tool is not there or has a name that models can't call.
    """
    import_mcp()
    if isinstance(command, str) or not command or not seconds > 0:
        raise TaskError("connect_mcp takes a command as a list of words, and seconds above 0.")
    place = str(Path(cwd).resolve())
    server = Server(tuple(map(str, command)), tuple(sorted((env or {}).items())), place, seconds, shared)
    try:
        listed = server.list_tools()
    except Unavailable as failure:
        raise TaskError(f"{failure} Run it by hand: {' '.join(server.command)}") from failure
    tools = {each["name"]: server.make_tool(each) for each in listed}
    if missing := [name for name in only if name not in tools]:
        raise TaskError(f"{server} has no tool {missing[0]!r}. It has {', '.join(tools) or 'none'}.")
    chosen = tuple(tools[name] for name in only or tools)
    if strange := [tool.name for tool in chosen if not _NAME.fullmatch(tool.name)]:
        raise TaskError(
            f"The tool {shorten(strange[0], 80)!r} of {server} can't be called by models: a name has letters,"
            " digits, _ and -, 64 at most. Leave it out with only=[...]."
        )
    return tuple(replace(tool, start=server.start) if tool is chosen[0] else tool for tool in chosen)


@cache
def import_mcp() -> Any:
    """The package. Raises TaskError where it is not installed."""
    return import_extra("mcp", "A tool of an MCP server")


@dataclass(frozen=True)
class Server:
    """How a server is started. A call of it gives a connection, the shared one where it is shared."""

    command: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = "."
    seconds: float = 4.0
    shared: bool = False

    def __str__(self) -> str:
        return f"The MCP server {shorten(' '.join(self.command), 80)}"

    def __call__(self) -> Connection:
        if not self.shared:
            return Connection(self)
        if self not in _shared or not _shared[self].open:
            _shared[self] = Connection(self)
        return _shared[self]

    def list_tools(self) -> list[dict[str, Any]]:
        """What it says of its tools, asked of a fresh process. Raises Unavailable."""
        connection = Connection(self)
        try:
            return connection.list_tools()
        finally:
            connection.close()

    def start(self) -> dict[str, Any]:
        """What belongs in the record of a run. Raises Unavailable where the server does not start."""
        connection = Connection(self)
        connection.close()
        return {f"mcp_server {' '.join(self.command)}": connection.told}

    def make_tool(self, told: Mapping[str, Any]) -> Tool:
        """One of its tools, from what it says of it. Raises TaskError for a schema that can't be read."""
        schema, name = told["inputSchema"], told["name"]
        parameters = {
            **{key: schema[key] for key in ("$defs", "definitions") if key in schema},
            **{"type": "object", "properties": schema.get("properties", {})},
            "required": schema.get("required", []),
        }
        described = " ".join(str(told.get("description") or name).split())
        tool = Tool(name, described, parameters, partial(_call, name=name), session=self)
        try:
            write_tools([tool.schema])
            for value in (None, "", [0], {"a": 0}):
                with suppress(BadArguments):
                    tool.check(dict.fromkeys(parameters["properties"], value))
        except Exception as failure:
            raise TaskError(
                f"{self} gives the tool {shorten(name, 80)!r} a schema that can't be read:"
                f" {tell_failure(failure)}."
            ) from failure
        return tool


_shared: dict[Server, Connection] = {}  # of this process


def _call(connection: Connection, arguments: dict[str, Any], *, name: str) -> str:
    return connection.call(name, arguments)


class Connection:
    """A running server, which ends with this object. told: its name and version, as it says. Raises
    Unavailable where none can be started."""

    def __init__(self, server: Server) -> None:
        self.server = server
        stack = ExitStack()
        with tempfile.TemporaryFile("w+") as errors:
            try:
                portal = stack.enter_context(import_module("anyio.from_thread").start_blocking_portal())
                session = portal.wrap_async_context_manager(_start(server, errors))
                self.portal, self.session = portal, stack.enter_context(session)
                self.told = self._ask(self.session.initialize, START_S)["serverInfo"]
            except Exception as failure:
                _close(stack)
                errors.seek(0)
                said = errors.read().strip().split("\n")[-1] or tell_failure(failure)
                raise Unavailable(f"{server} does not start: {shorten(said, 300)}.") from failure
        self._close = weakref.finalize(self, _close, stack)

    @property
    def open(self) -> bool:
        return self._close.alive

    def close(self) -> None:
        """End the server."""
        self._close()

    def list_tools(self) -> list[dict[str, Any]]:
        """What the server says of its tools. Raises Unavailable."""
        found: list[dict[str, Any]] = []
        page: dict[str, Any] = {}
        try:
            for _ in range(MOST_PAGES):
                asked = import_mcp().types.PaginatedRequestParams(**page)
                answer = self._ask(self.session.list_tools, START_S, params=asked)
                found += answer["tools"]
                if not answer.get("nextCursor"):
                    break
                page = {"cursor": answer["nextCursor"]}
        except Exception as failure:
            raise Unavailable(f"{self.server} does not list its tools: {tell_failure(failure)}.") from failure
        if len(json.dumps(found)) > MOST_TOLD:
            raise Unavailable(f"{self.server} says over {MOST_TOLD:,} characters of its tools.")
        return found

    def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """What a tool returned, as a text. Raises ValueError with what the server says is wrong with the
        call, or with a result that its tool's own schema forbids; ToolBroke where it ended or hung at this
        call and a fresh one would list its tools; Unavailable where that one does not, or where the answer is
        none of the protocol's."""
        errors = import_mcp()
        refused = getattr(errors, "MCPError", None) or errors.McpError
        try:
            answer = self._ask(self.session.call_tool, self.server.seconds, name, dict(arguments))
        except (refused, RuntimeError) as failure:  # of the package's look at the tool's own schema
            if self._answers_ping():
                raise ValueError(str(failure)) from failure
            raise self._blame(f"ended at a call of {name}") from failure
        except TimeoutError as failure:
            raise self._blame(f"took over {self.server.seconds:g} s for a call of {name}") from failure
        except Exception as failure:
            self.close()
            raise Unavailable(
                f"{self.server} answered {name} with no result of the protocol: {tell_failure(failure)}."
            ) from failure
        text = "\n".join(_read_block(block) for block in answer["content"])
        if answer.get("isError"):
            raise ValueError(text)
        return text

    def _ask(self, request: Any, seconds: float, *args: Any, **named: Any) -> dict[str, Any]:
        async def ask() -> Any:
            with import_module("anyio").fail_after(seconds):
                return await request(*args, **named)

        return self.portal.call(ask).model_dump(mode="json", by_alias=True, exclude_none=True)

    def _answers_ping(self) -> bool:
        try:
            self._ask(self.session.send_ping, PING_S)
        except Exception:  # noqa: BLE001 - whatever it is, the server did not answer
            return False
        return True

    def _blame(self, what: str) -> Exception:
        """What it means that the server no longer answers: a fresh one tells whether servers work at all."""
        self.close()
        self.server.list_tools()
        return ToolBroke(f"{self.server} {what}.")


@asynccontextmanager
async def _start(server: Server, errors: Any) -> AsyncIterator[Any]:
    """A session with a fresh server."""
    mcp = import_mcp()
    words = ["-I", "-S", str(GUARD), str(os.getpid()), str(MOST_LINE), *server.command]
    started = mcp.StdioServerParameters(
        command=sys.executable, args=words, env=dict(server.env), cwd=server.cwd
    )
    async with (
        mcp.stdio_client(started, errlog=errors) as (heard, said),
        mcp.ClientSession(heard, said) as it,
    ):
        yield it


def _close(stack: ExitStack) -> None:
    with suppress(Exception):  # of a server that is gone already
        stack.close()


def _read_block(block: Mapping[str, Any]) -> str:
    """A part of a result; of what is no text its kind alone."""
    resource = block.get("resource") or {}
    text = block.get("text", resource.get("text"))
    return str(text) if text is not None else f"[{block.get('type')}]"
