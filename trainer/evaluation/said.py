"""What a row of a file says of completions: a text, the messages of a chat, the turns of an episode.

Imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...tasks.adapters.rows import read_text
from ...tasks.core.errors import DataError, shorten
from ...tasks.core.rowfiles import Row
from ...verifiers import Completion, Turn
from ...verifiers.types import Unavailable
from ..storage.rows import find_wrong_turn, read_turns, write_episode

COLUMNS = ("completion", "completions")
FORM = (
    "A row has `completion` (a text, or the messages of a chat) or `completions` (a list of them), or the "
    "`turns` of an episode with its `state`, and `id` (of the task's problem) or `reference` (with `prompt` "
    "and `metadata` where the rubric reads them)"
)
TOOL_ROLES = ("tool", "function", "ipython")
LOST = {
    "state": "The row does not say in which state its episode ended: give `state`, as the world left it.",
    "turns": "The row has the text of an episode alone: give its `turns`, or the messages of its chat.",
}
UNPAID = "The row does not say what its turns earned: give the policy's `turns` their `reward`."


class UnpaidTurn(Turn):
    """A turn of which a file does not say what it earned: who reads that abstains."""

    def __getattribute__(self, name: str) -> Any:
        if name == "reward":
            raise Unavailable(UNPAID)
        return super().__getattribute__(name)

    def __repr__(self) -> str:
        return f"Turn(role={self.role!r}, text={self.text!r}, voice={self.voice!r})"


class Untold(Completion):
    """A completion of an episode of which a file lacks something. What a criterion reads of that raises
    Unavailable, so that it abstains: it is not known. lost: keys of `LOST`, or "rewards" of its turns."""

    def __init__(self, lost: Sequence[str], **said: Any) -> None:
        object.__setattr__(self, "lost", tuple(lost))
        if "rewards" in lost:
            said["turns"] = tuple(UnpaidTurn(turn.role, turn.text, turn.voice) for turn in said["turns"])
        super().__init__(**said)

    def __getattribute__(self, name: str) -> Any:
        if name in LOST and name in super().__getattribute__("lost"):
            raise Unavailable(LOST[name])
        return super().__getattribute__(name)


def write_said(completion: Completion) -> Any:
    """A completion as plain data that a worker reads: the text alone where there is no more."""
    lost = getattr(completion, "lost", ())
    whole = _list_known(completion, lost)
    if not lost and len(whole) == 1 and completion.finish_reason == "stop":
        return completion.text
    return {**whole, "finish_reason": completion.finish_reason, "lost": list(lost)}


def _list_known(completion: Completion, lost: Sequence[str]) -> dict[str, Any]:
    known = {name: getattr(completion, name) for name in LOST if name not in lost}
    if "rewards" in lost:
        known["turns"] = [Turn(turn.role, turn.text, turn.voice) for turn in completion.turns]
    return {"completion": completion.text, **write_episode(Completion("", fault=completion.fault, **known))}


def read_said(plain: Any) -> Completion:
    """What `write_said` wrote."""
    if isinstance(plain, str):
        return Completion(plain)
    said = {
        "text": plain["completion"],
        "turns": read_turns(plain),
        "state": plain.get("state"),
        "finish_reason": plain["finish_reason"],
        "fault": plain.get("fault", ""),
    }
    return Untold(plain["lost"], **said) if plain["lost"] else Completion(**said)


def read_completions_of(row: Row, column: str, *, episodes: bool) -> list[Completion]:
    """The row's completions. column: that holds them; auto takes `completion`, `completions` or `turns`.
    episodes: whether the task has any.

    A line that a run or an evaluation wrote (it has `verdicts`) says all that there was. Of any other one
    without a `state`, what reads it abstains. Raises DataError for a row that has none.
    """
    values = row.values
    if values.get("turns") is not None:
        return [_read_turns(row, column)]
    wanted = COLUMNS if column == "auto" else (column,)
    found = [name for name in wanted if values.get(name) is not None]
    if len(found) != 1:
        has = f"it has {', '.join(map(str, values)) or 'nothing'}"
        other = ", or name another column with --column" if column == "auto" else ""
        what = f"both {' and '.join(found)}" if found else f"no {' and no '.join(wanted)}"
        raise DataError(f"{row.where}: {what}; {has}. {FORM}{other}.")
    value = values[found[0]]
    single = _read_one(value, row, episodes)
    if single is not None:
        return [single]
    read = [_read_one(each, row, episodes) for each in value] if isinstance(value, list) else []
    known = [each for each in read if each is not None]
    if not known or len(known) < len(read):
        raise DataError(f"{row.where}: {found[0]} is {shorten(repr(value), 60)}, which is no text. {FORM}.")
    return known


def _read_turns(row: Row, column: str) -> Completion:
    """The episode of a row that has turns."""
    values = _drop_nulls(row.values)
    if isinstance(values["turns"], list):
        values["turns"] = [_drop_nulls(turn) for turn in values["turns"]]
    if wrong := find_wrong_turn(values["turns"]):
        raise DataError(
            f"{row.where}: {wrong}. Give a list of objects with `role`, policy or world, and `text`."
        )
    turns = read_turns(values)
    text = "\n".join(turn.text for turn in turns if turn.role == "policy")
    beside = values.get(COLUMNS[0] if column == "auto" else column)
    if beside is not None and beside != text:
        raise DataError(
            f"{row.where}: its completion is not what its turns say. Leave out one of the two; of an "
            "episode the completion is the policy's turns, one to a line."
        )
    finish_reason, fault = values.get("finish_reason", "stop"), values.get("fault", "")
    if not isinstance(finish_reason, str) or not isinstance(fault, str):
        raise DataError(f"{row.where}: its finish_reason or its fault is no text.")
    return _make(row, text, turns, finish_reason, fault)


def _drop_nulls(values: Any) -> Any:
    """Without what says nothing: Parquet has each name in every row that one of them has."""
    if not isinstance(values, Mapping):
        return values
    return {name: value for name, value in values.items() if value is not None}


def _make(
    row: Row, text: str, turns: tuple[Turn, ...], finish_reason: str = "stop", fault: str = ""
) -> Completion:
    """An episode; without a state of its own, or rewards of its turns, it is only known of a line that a run
    wrote that it had none."""
    said: dict[str, Any] = {"text": text, "turns": turns, "finish_reason": finish_reason, "fault": fault}
    state = row.values.get("state")
    try:
        json.dumps(state, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as failure:
        reason = shorten(str(failure), 80)
        raise DataError(
            f"{row.where}: its state is no plain data ({reason}). Give what JSON can write."
        ) from failure
    if "verdicts" in row.values:
        return Completion(**said, state=state)
    lost = ["state"] if state is None else []
    if not turns:
        lost.append("turns")
    elif all(turn.reward is None for turn in turns):
        lost.append("rewards")
    return Untold(lost, **said, state=state) if lost else Completion(**said, state=state)


def _read_one(value: Any, row: Row, episodes: bool) -> Completion | None:
    """A completion that is a text, or messages of a chat; None for what is neither."""
    messages: list[Mapping[str, Any]] = []
    if isinstance(value, list) and value and all(isinstance(m, dict) and "role" in m for m in value):
        messages, text = value, read_text(value)
    elif isinstance(value, str):
        text = value
    else:
        return None
    if not episodes:
        return Completion(text)
    turns = _list_turns(messages)
    if any(turn.role == "world" for turn in turns):
        text = "\n".join(turn.text for turn in turns if turn.role == "policy")
        return _make(row, text, turns)
    return _make(row, text, ())


def _list_turns(messages: Sequence[Mapping[str, Any]]) -> tuple[Turn, ...]:
    """From the first message of the assistant's on: what stands before it is the prompt."""
    turns: list[Turn] = []
    for message in messages:
        content = message.get("content")
        text = content if isinstance(content, str) else ""
        if message["role"] == "assistant":
            turns.append(Turn("policy", text))
        elif turns:
            turns.append(Turn("world", text, "tool" if message["role"] in TOOL_ROLES else "user"))
    return tuple(turns)
