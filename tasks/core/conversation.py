"""What a model and its world said, for a person at a terminal: policy and world apart, turn by turn, and how
it ended. Texts stand behind a bar of their own, so that none is taken for another's turn; nothing in them
acts; what is long is cut, and says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import category, east_asian_width

from ...verifiers import Completion, Turn
from ...verifiers.display import escape_controls, tell_ending
from .tools.calls import read_calls

MARK = "  | "  # in front of each line of a text, and of no other
COLUMNS = 100  # where the width of the terminal is not known
LEAST_COLUMNS = 20
TAB = 4  # columns
TOP_CHARS, BOTTOM_CHARS = 2_000, 1_000  # of a text that is cut: its beginning and its end
LINES = 40  # of a text, as it is broken
TURNS = 40  # of policy and world together
WORD_CHARS = 60  # of a name, a role, a reason


@dataclass(frozen=True)
class _Page:
    """What bounds a text. columns: of a line, its bar with it.  lines: of a text."""

    columns: int
    lines: int

    def list_lines(self, text: str, indent: str = "") -> list[str]:
        """A text's lines behind their bar; where it is too long, its beginning and its end."""
        left = len(text) - TOP_CHARS - BOTTOM_CHARS
        low = self.lines // 3
        high = self.lines - low
        room = max(4, self.columns - len(MARK) - len(indent))
        if left > 0:
            first, last = list(_break(text[:TOP_CHARS], room)), list(_break(text[-BOTTOM_CHARS:], room))
        else:
            broken = list(_break(text, room))
            first, last = broken[:high], broken[high:]
        hidden = max(0, len(first) - high) + max(0, len(last) - low)
        first, last = first[:high], last[max(0, len(last) - low) :]
        what = [f"{left:,} characters"] if left > 0 else []
        what += [f"{hidden:,} line{'' if hidden == 1 else 's'}"] if hidden else []
        note = [f"({' and '.join(what)} left out)"] if what else []
        shown = [MARK + indent + line for line in first], [MARK + indent + line for line in last]
        return [*shown[0], *note, *shown[1]]


def write_conversation(
    completion: Completion, *, columns: int | None = None, lines: int = LINES, turns: int = TURNS
) -> str:
    """A completion as text for a terminal: its turns, where the episode stood at its end, how it ended.

    columns: of a line, in cells; None: those of the terminal.  lines: of a turn, and turns: of the episode,
    that are shown at most, 1 or more.

    >>> import palaestra as pal
    >>> said = (pal.Turn("policy", "50"), pal.Turn("world", "lower"), pal.Turn("policy", "25"))
    >>> print(write_conversation(pal.Completion("50\\n25", turns=said, finish_reason="length")))
    policy, turn 1
      | 50
    world, turn 1
      | lower
    policy, turn 2
      | 25
    It ended (length): a turn was cut at its limit of tokens.
    """
    page = _open_page(columns, lines)
    if not completion.turns:
        shown = ["policy", *page.list_lines(completion.text)]
    else:
        shown = list(_list_turns(completion.turns, turns, page))
        if completion.state is not None:
            state = json.dumps(completion.state, ensure_ascii=False, default=str)
            shown += ["state at the end", *page.list_lines(state)]
    shown.append(tell_ending(completion.finish_reason, episode=bool(completion.turns)))
    if completion.fault:
        shown += page.list_lines(completion.fault)
    return "\n".join(shown)


def write_turn(turn: Turn, number: int, *, columns: int | None = None, lines: int = LINES) -> str:
    """One turn as text for a terminal. number: of the policy's turn that it is, or answers, from 1."""
    return "\n".join(_list_turn(turn, number, _open_page(columns, lines)))


def _open_page(columns: int | None, lines: int) -> _Page:
    width = columns or shutil.get_terminal_size((COLUMNS, LINES)).columns
    return _Page(max(width, LEAST_COLUMNS), lines)


def _list_turn(turn: Turn, number: int, page: _Page) -> Iterator[str]:
    voice = "" if turn.voice == "user" else f" ({_write_word(turn.voice)})"
    earned = "" if turn.reward is None else f", earned {turn.reward:g}"
    yield f"{turn.role}{voice}, turn {number}{earned}"
    yield from page.list_lines(turn.text)


def _list_turns(turns: Sequence[Turn], most: int, page: _Page) -> Iterator[str]:
    """The turns, but for those in the middle of a long episode."""
    with_tools = any(turn.voice == "tool" for turn in turns)
    first, last = (len(turns), len(turns)) if len(turns) <= most else (-(-most // 2), len(turns) - most // 2)
    number = 0
    for place, turn in enumerate(turns):
        number += turn.role == "policy"
        if first <= place < last:
            if place == first:
                yield f"({last - first:,} turns left out)"
            continue
        yield from _list_turn(turn, number, page)
        if with_tools and turn.role == "policy":
            yield from _list_calls(turn.text, page)


def _list_calls(said: str, page: _Page) -> Iterator[str]:
    """The calls in a turn, their arguments as text: a program on lines of its own."""
    for call in read_calls(said):
        yield f"calls {_write_word(call.name) or '?'}"
        if call.fault:
            yield from page.list_lines(call.fault)
        for name, value in list(call.arguments.items())[: page.lines]:
            text = value if isinstance(value, str) else _write_plain(value)
            if "\n" in text:
                yield f"{MARK}{_write_word(name)}:"
                yield from page.list_lines(text, "  ")
            else:
                yield from page.list_lines(f"{_write_word(name)}: {text}")


def _break(text: str, room: int) -> Iterator[str]:
    """The lines of a text, none of more than so many cells: what a terminal breaks has no bar in front."""
    for line in escape_controls(text.replace("\r\n", "\n")).split("\n"):
        line = line.expandtabs(TAB)
        if line.isascii():
            yield from (line[place : place + room] for place in range(0, max(1, len(line)), room))
            continue
        begin = cells = 0
        for place, letter in enumerate(line):
            width = 2 if east_asian_width(letter) in "WF" else 0 if category(letter).startswith("M") else 1
            if cells + width > room:
                yield line[begin:place]
                begin, cells = place, 0
            cells += width
        yield line[begin:]


def _write_word(text: Any) -> str:
    """A name of somebody's making, in a line of ours."""
    word = " ".join(str(text).split())
    return escape_controls(word[:WORD_CHARS]) + ("..." if len(word) > WORD_CHARS else "")


def _write_plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
