"""Environments of the library `verifiers` as episodes: `verifiers:NAME`, by its `load_environment`.

The environment's own loop runs, with the policy in the place of its client; what it adds to the conversation
is the world's reply. Its rubric judges at the end, in the world's process. What it pays is divided by the sum
of its positive weights, so that 1 is all that there is to win, and held to -1 to 1.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import signal
import weakref
from collections.abc import Awaitable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from typing import Any

from ...verifiers import Rubric
from ...verifiers.criteria.reached import reached
from ...verifiers.types import Unavailable
from ..common.games import Game, hold_reward
from ..core.episode import HARMLESS, EpisodeLimits
from ..core.errors import TaskError, UnknownTask, shorten, tell_failure
from ..core.packaged import import_extra
from ..core.problem import Problem
from ..core.seeds import split_of
from ..core.sources import Rows
from ..core.task import Task
from ..core.tools.calls import ToolCall, find_calls
from ..core.tools.schema import Tool

PACKAGE = "verifiers"
STEPS = 50  # of an environment that sets no limit itself


def names() -> list[str]:
    """None: its environments are packages of their own, of which there is no list."""
    return []


def find(name: str) -> Task:
    """The task of an environment. Raises UnknownTask where it is not there, TaskError where the package
    is not installed or has none with rubrics, or for one that can't be served."""
    library = import_extra(PACKAGE, f"{PACKAGE}:{name}")
    if not hasattr(library, "load_environment"):
        raise TaskError(
            "This verifiers has no environments with rubrics. Install: pip install 'palaestra[verifiers]'"
        )
    loaded = load(name)
    if loaded.env.rubric.has_group_rewards or not isinstance(loaded.env, library.MultiTurnEnv):
        raise TaskError(
            f"The environment {name} judges completions of a group together, or has no turns: not served."
        )
    rows = loaded.read_rows()
    first = VerifiersWorld(next(iter(rows.values()))[0])
    first.close()
    turns = loaded.env.max_turns if loaded.env.max_turns > 0 else STEPS
    return Task(
        f"{PACKAGE}:{name}",
        Rows(f"{PACKAGE}:{name}", rows.__getitem__, tuple(rows)),
        Rubric(reached(low=-1.0)),
        summary=shorten(f"the environment {name} of verifiers"),
        origin=f"an environment of verifiers {version(PACKAGE)}",
        citation="Brown 2025, verifiers, https://github.com/PrimeIntellect-ai/verifiers",
        episode=VerifiersWorld,
        limits=EpisodeLimits(turns=turns + 1),  # the environment ends it
    )


class Loaded:
    """An environment in this process. faults: what its reward functions raised, which it takes for 0."""

    def __init__(self, name: str, env: Any) -> None:
        self.name, self.env = name, env
        self.faults = list[Exception]()
        env.timeout_seconds = None  # by the clock, which goes on while others are decoded
        total = sum(weight for weight in self._watch(env.rubric) if weight > 0)
        self.most = total or 1.0

    def _watch(self, rubric: Any) -> list[float]:
        """Have each reward function tell what it raises; their weights."""
        weights = list(rubric.weights[: len(rubric.funcs)])
        rubric.funcs = [self._tell_faults(function) for function in rubric.funcs]
        for inner in getattr(rubric, "rubrics", ()):
            weights += self._watch(inner)
        return weights

    def _tell_faults(self, function: Any) -> Any:
        @functools.wraps(function)
        async def watched(*args: Any, **named: Any) -> Any:
            try:
                found = function(*args, **named)
                return await found if inspect.isawaitable(found) else found
            except Exception as failure:
                self.faults.append(failure)
                raise

        return watched

    def read_rows(self) -> dict[str, list[Problem]]:
        """The problems by split. Without rows for evaluation one row in ten is held out, by its prompt."""
        env, found = self.env, dict[str, list[Problem]]()
        held = env.build_eval_dataset()
        given = [(None if held is None else "train", env.build_dataset()), ("test", held)]
        for split, rows in given:
            for number, row in enumerate(rows if rows is not None else ()):
                problem = self._make_problem(dict(row), f"{split or 'rows'} {number}")
                where = split or split_of(problem.id, problem.text)
                found.setdefault(where, []).append(problem)
        if not found:
            raise TaskError(f"The environment {self.name} has no rows.")
        return found

    def _make_problem(self, row: dict[str, Any], place: str) -> Problem:
        try:
            prompt = [_write_message(each) for each in row.pop("prompt")]
            row = json.loads(json.dumps(row))
        except (TypeError, ValueError, AttributeError) as failure:
            raise TaskError(
                f"The environment {self.name}, {place}: its row is no chat with plain data ({failure})."
            ) from failure
        schemas = [
            {"type": "function", "function": {key: getattr(tool, key) for key in _TOLD}}
            for tool in self.env.tool_defs or ()
        ]
        reference = {"environment": self.name, "row": row}
        return Problem(
            prompt, reference, id=f"{PACKAGE}:{self.name}/{place.replace(' ', '/')}", tools=schemas
        )


_TOLD = ("name", "description", "parameters")


@lru_cache(8)
def load(name: str) -> Loaded:
    """The environment of that name. Raises UnknownTask."""
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        return Loaded(name, import_module(PACKAGE).load_environment(name))
    except Exception as failure:  # whatever somebody's environment raises
        raise UnknownTask(
            f"verifiers can't load the environment {name!r}: {tell_failure(failure)}."
        ) from failure
    finally:  # an environment takes them, and would end this process in its own way
        for each, handler in handlers.items():
            if signal.getsignal(each) is not handler:
                signal.signal(each, handler)


class VerifiersWorld(Game):
    """A rollout of the environment. Raises TaskError for one that begins with another prompt than its row."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.loaded = problem, load(problem.reference["environment"])
        super().__init__(self.loaded.env.max_turns if self.loaded.env.max_turns > 0 else STEPS)
        self.role = "user"
        self.tools = {each["function"]["name"]: _make_tool(each["function"]) for each in problem.tools}
        self.loop = asyncio.new_event_loop()
        self.client = _make_client()(None)
        row = {**problem.reference["row"], "prompt": problem.prompt}
        self.rollout = self.loop.create_task(self.loaded.env.rollout(row, self.client, "policy", {}))
        self.close = weakref.finalize(self, _close, self.loop, self.rollout)
        self.heard = self._listen()
        if [_write_message(each) for each in self.heard] != list(problem.prompt):
            self.close()
            raise TaskError(f"The environment {self.loaded.name} changes the prompt of its row as it begins.")

    def answer(self, said: str) -> str:
        calls = find_calls(said, self.tools) if self.tools else []
        if faults := [call.fault for call in calls if call.fault]:
            return f"Error: {faults[0]}"
        before, self.heard = len(self.heard) + 1, self._go_on(said, calls)
        if self.rollout.done() or self.state["turns"] >= self.turns:
            return self.end(str(self.client.state.get("stop_condition") or "The turns are used up."))
        new = [_write_message(each) for each in self.heard[before:]]
        self.role = "tool" if new and all(each["role"] == "tool" for each in new) else "user"
        return "\n".join(each["content"] for each in new)

    def _go_on(self, said: str, calls: Sequence[ToolCall]) -> list[Any]:
        """The conversation once the environment has answered."""
        self.client.say(said, calls)
        return self._listen()

    def _listen(self) -> list[Any]:
        """Let the environment go on until it asks the policy again, or ends: the conversation so far."""
        self.client.asked = self.loop.create_future()
        waiting = asyncio.wait({self.rollout, self.client.asked}, return_when=asyncio.FIRST_COMPLETED)
        _run(self.loop, waiting)
        if self.client.asked.done():
            return self.client.asked.result()
        state = self.rollout.result()  # raises what the environment raised
        if state.get("error") is not None:
            raise state["error"]
        return self.heard

    def end(self, why: str, reward: float = 0.0) -> str:  # noqa: ARG002 - its rubric says what it is worth
        """Its rubric judges. Raises what a reward function raised, Unavailable where it raises as much of
        harmless words."""
        fault = self._judge()
        if fault is not None:
            if type(self._judge_harmless()) is type(fault):
                raise Unavailable(f"A reward function of {self.loaded.name} raised {tell_failure(fault)}.")
            raise fault
        state = self.client.state
        paid = float(state["reward"]) / self.loaded.most
        self.state["metrics"] = {key: float(value) for key, value in (state["metrics"] or {}).items()}
        return super().end(why, hold_reward(paid))

    def _judge(self) -> Exception | None:
        """Have the rubric judge what was said so far; what a reward function raised."""
        env, state = self.loaded.env, self.client.state
        self.loaded.faults.clear()
        if not self.rollout.done():
            _run(self.loop, env.render_completion(state))
        _run(self.loop, env.rubric.score_rollout(state))
        self.close()
        return next(iter(self.loaded.faults), None)

    def _judge_harmless(self) -> Exception | None:
        """The same of another rollout, in which nothing was said but harmless words."""
        other = VerifiersWorld(self.problem)
        other._go_on(HARMLESS[0], [])
        return other._judge()


def _run(loop: asyncio.AbstractEventLoop, awaitable: Awaitable[Any]) -> Any:
    """What it gives. Where this thread runs another loop (a notebook's, or that of a world in which one that
    is gone is collected), another thread waits for it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return loop.run_until_complete(awaitable)
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(loop.run_until_complete, awaitable).result()


def _close(loop: asyncio.AbstractEventLoop, rollout: asyncio.Task[Any]) -> None:
    """End a rollout that is cut, its cleaning up included."""
    rollout.cancel()
    _run(loop, asyncio.wait({rollout}))
    if not rollout.cancelled():
        rollout.exception()  # it was told already
    loop.close()


@functools.cache
def _make_client() -> Any:
    """The class of a client that is the policy. asked: the future of the next conversation that it is asked
    to go on with; state: of its rollout."""
    library, types = import_module(PACKAGE), import_module(f"{PACKAGE}.types")

    class Policy(library.Client):
        asked: asyncio.Future[Any]
        answered: asyncio.Future[Any]
        state: Any = None

        async def get_response(self, prompt: Any, *_: Any, state: Any, **__: Any) -> Any:
            self.answered, self.state = asyncio.get_running_loop().create_future(), state
            self.asked.set_result(list(prompt))
            return await self.answered

        def say(self, said: str, calls: Any) -> None:
            """calls: the tools' that were read in it."""
            written = [
                types.ToolCall(id=f"call_{at}", name=each.name, arguments=json.dumps(dict(each.arguments)))
                for at, each in enumerate(calls)
            ]
            message = types.ResponseMessage(
                content=said,
                tool_calls=written or None,
                finish_reason="tool_calls" if written else "stop",
                is_truncated=False,
            )
            self.answered.set_result(types.Response(id="", created=0, model="policy", message=message))

    Policy.__abstractmethods__ = frozenset()  # which talk to an endpoint
    return Policy


def _make_tool(told: Mapping[str, Any]) -> Tool:
    schema = {"properties": {}, "required": [], **told["parameters"]}
    return Tool(told["name"], told["description"], schema, len)


def _write_message(message: Any) -> dict[str, str]:
    """A message as plain data: its role and its text."""
    read = message.get if isinstance(message, Mapping) else functools.partial(_read_field, message)
    content = read("content")
    parts = [content] if isinstance(content, str | None) else content
    texts = [part if isinstance(part, str) else _read_part(part) for part in parts if part is not None]
    return {"role": str(read("role")), "content": "".join(texts)}


def _read_field(message: Any, name: str) -> Any:
    return getattr(message, name, None)


def _read_part(part: Any) -> str:
    read = part.get if isinstance(part, Mapping) else functools.partial(_read_field, part)
    text = read("text")
    return text if isinstance(text, str) else f"[{read('type')}]"
