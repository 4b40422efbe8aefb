"""What the bundled worlds share: how a turn's action is read, and an episode that counts its turns and ends.

A world's state is plain data, `{"reward": 0.0, "turns": 3, "ended": ""}`: what it is worth so far, at most 1;
how many actions were answered; why it is over, "" while it goes on. `criteria.reached()` reads it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

from ...verifiers.extract import MAX_CHARS, after_thinking

MOST_ACTION = 200  # characters of an action; a longer one is read as none


def read_said(said: str) -> str:
    """What a turn says after any think block; "" for one that says nothing, or too much to be read."""
    return (after_thinking(said) or "").strip() if len(said) <= MAX_CHARS else ""


def hold_reward(paid: float) -> float:
    """What a world pays, from -1 to 1; what is no number stays none, so that the rubric abstains."""
    return paid if math.isnan(paid) else max(-1.0, min(1.0, paid))


def read_action(said: str) -> str:
    """The action of a turn: what stands in the last `<answer>` tag after any think block, else the last line
    that is not blank. "" where there is none, or where it is longer than `MOST_ACTION` characters.

    Linear in the length of `said`.

    >>> from palaestra.tasks.common.games import read_action
    >>> read_action("<think>The hole is below.</think>\\nI go right.\\nR")
    'R'
    >>> read_action("<answer> 42 </answer>!")
    '42'
    """
    tail = read_said(said)
    before, closed, _ = tail.rpartition("</answer>")
    _, opened, tagged = before.rpartition("<answer>")
    action = tagged.strip() if closed and opened else tail.rpartition("\n")[2].strip()
    return action if len(action) <= MOST_ACTION else ""


class Game(ABC):
    """An episode whose every turn is one action, and which ends by itself.

    turns: actions that are answered at most, 1 or more; with the last one the episode ends.
    """

    def __init__(self, turns: int) -> None:
        self.turns = turns
        self.state: dict[str, Any] = {"reward": 0.0, "turns": 0, "ended": ""}

    @abstractmethod
    def answer(self, said: str) -> str:
        """What the world says to one turn. It calls `end` where the episode is over."""

    def reply(self, said: str) -> str | None:
        """The answer, or None once the episode is over. A turn in no known form takes its turn all the same,
        so that nothing goes on for ever."""
        if self.state["ended"]:
            return None
        self.state["turns"] += 1
        answer = self.answer(said)
        if not self.state["ended"] and self.state["turns"] >= self.turns:
            self.end("The turns are used up.")
        return None if self.state["ended"] else answer

    def end(self, why: str, reward: float = 0.0) -> str:
        """The episode is over. reward: at most 1, which is all that there is to win."""
        self.state |= {"reward": float(reward), "ended": why}
        return why

    @property
    def left(self) -> str:
        """How many turns are left, in words."""
        left = self.turns - self.state["turns"]
        return "1 turn is left." if left == 1 else f"{left} turns are left."
