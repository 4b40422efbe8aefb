"""The rows of a run's files for who looks at them: metrics.jsonl, rollouts.jsonl, completions.jsonl.

A last line that a crash cut is left out. Imports no torch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...verifiers import Completion, Status, Turn
from ...verifiers.types import Usage
from .records import complain_of_line, read_objects

RENDERED = "rendered_prompt"  # the prompt as the model saw it, on one line of each group of completions
STATUSES = frozenset(map(str, Status))
TEXTS = ("id", "completion", "finish_reason")
COUNTS = ("tokens", "prompt_tokens", "step", "sample")
TRUTHS = ("passed", "abstained")
MAY_LACK = ("prompt_tokens", "step", "sample")


def read_completions(path: Path, step: int | None = None) -> list[dict[str, Any]]:
    """The lines of rollouts.jsonl or completions.jsonl, each with the prompt as the model saw it.

    step: only those of this step.
    Raises UserError, with the line's number, for a line that is no record.
    """
    rows = [line.values for line in read_objects(path)] if path.is_file() else []
    rendered = {_name(row): row[RENDERED] for row in rows if RENDERED in row}
    for row in rows:
        if _name(row) in rendered:
            row[RENDERED] = rendered[_name(row)]
    return rows if step is None else [row for row in rows if row.get("step") == step]


def read_scored(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of each line, from 1, and the scored completion in it; a last line that was cut is left out.

    Raises UserError, with the line's number, for a line that is none.
    """
    for number, line in enumerate(read_objects(path), 1):
        if wrong := find_fault(line.values):
            raise complain_of_line(path, number, wrong)
        yield number, line.values


def find_fault(row: Mapping[str, Any]) -> str:
    """What keeps a JSON object from being the row of a scored completion, in a few words; "" for nothing.

    Its types, its ranges, the words of its verdicts; not whether the verdicts make up the reward.
    """
    for name in (*TEXTS, *COUNTS, *TRUTHS, "reward", "verdicts"):
        if name not in row and name not in MAY_LACK:
            return f"it has no {name!r}"
    for name in TEXTS:
        if not isinstance(row[name], str):
            return f"its {name!r} is no text"
    for name in COUNTS:
        if not is_count(row.get(name, 0)):
            return f"its {name!r} is no whole number from 0"
    for name in TRUTHS:
        if not isinstance(row[name], bool):
            return f"its {name!r} is neither true nor false"
    if not is_number(row["reward"]):
        return "its 'reward' is no finite number"
    for name in ("advantage", "shadow_reward"):
        if row.get(name) is not None and not is_number(row[name]):
            return f"its {name!r} is no finite number"
    if wrong := _find_wrong_counts(row.get("tokens_by_turn", [])) or find_wrong_turn(row.get("turns", [])):
        return wrong
    learned = row.get("learned", {})
    if not isinstance(learned, dict) or not all(map(is_number, learned.values())):
        return "its 'learned' holds no finite numbers"
    return _find_wrong_verdict(row["verdicts"])


@dataclass(frozen=True)
class Once:
    """An evaluation's file, whose completions are there once each; those of a run have a step, and it may
    draw a problem twice in one. lines: of each completion that was seen, by its problem's id and its sample.
    """

    lines: dict[tuple[str, int], int] = field(default_factory=dict)

    def find_repeat(self, problem: str, row: Mapping[str, Any], line: int) -> str:
        """What is wrong with a row whose completion is in an earlier line, in a few words; "" for nothing."""
        if "step" in row or "sample" not in row:
            return ""
        earlier = self.lines.setdefault((problem, row["sample"]), line)
        return f"its completion is in line {earlier} already" if earlier != line else ""


def _find_wrong_counts(counts: Any) -> str:
    if isinstance(counts, list) and all(map(is_count, counts)):
        return ""
    return "its 'tokens_by_turn' is no list of whole numbers from 0"


def find_wrong_turn(turns: Any) -> str:
    """What keeps a value from being the turns of an episode, in a few words; "" for nothing."""
    if not isinstance(turns, list):
        return "its 'turns' are no list"
    for turn in turns:
        role, text = (turn.get(name) if isinstance(turn, dict) else None for name in ("role", "text"))
        if role not in ("policy", "world") or not isinstance(text, str):
            return "its 'turns' hold what is no turn of the policy or of the world"
        if not is_number(turn.get("reward", 0)):
            return "its 'turns' hold a reward that is no finite number"
    return ""


def write_episode(completion: Completion) -> dict[str, Any]:
    """What a row holds of an episode, by name: its turns, where it stood at its end, why its world gave no
    reply. {} for a single turn."""
    turns = [
        {
            **{"role": turn.role, "text": turn.text},
            **({"voice": turn.voice} if turn.voice != "user" else {}),
            **({"reward": turn.reward} if turn.reward is not None else {}),
        }
        for turn in completion.turns
    ]
    return {
        **({"turns": turns} if turns else {}),
        **({"state": completion.state} if completion.state is not None else {}),
        **({"fault": completion.fault} if completion.fault else {}),
    }


def read_turns(row: Mapping[str, Any]) -> tuple[Turn, ...]:
    """The turns of a row; () for a single one."""
    return tuple(
        Turn(turn["role"], turn["text"], str(turn.get("voice", "user")), turn.get("reward"))
        for turn in row.get("turns", ())
    )


def read_completion(row: Mapping[str, Any]) -> Completion:
    """The completion of a row, but for token ids; `find_fault` finds nothing wrong with the row."""
    return Completion(
        row["completion"],
        finish_reason=row["finish_reason"],
        usage=Usage(row["tokens"], row.get("prompt_tokens", 0)),
        reasoning=str(row.get("reasoning", "")),
        turns=read_turns(row),
        state=row.get("state"),
        fault=str(row.get("fault", "")),
    )


def _find_wrong_verdict(verdicts: Any) -> str:
    if not isinstance(verdicts, dict):
        return "its 'verdicts' are no table"
    for name, verdict in verdicts.items():
        status = verdict.get("status") if isinstance(verdict, dict) else None
        if not isinstance(status, str) or status not in STATUSES:
            return f"its verdict {name!r} has no status that a verifier gives"
        if not is_number(verdict.get("value")) or not is_number(verdict.get("seconds", 0)):
            return f"its verdict {name!r} has no finite value"
        if not isinstance(verdict.get("answer", ""), str | None) or not isinstance(
            verdict.get("reason", ""), str
        ):
            return f"its verdict {name!r} has an answer or a reason that is no text"
        by_turn = verdict.get("by_turn", [])
        if not isinstance(by_turn, list) or not all(map(is_number, by_turn)):
            return f"its verdict {name!r} says of turns what is no list of finite numbers"
    return ""


def is_number(value: Any) -> bool:
    """A finite one; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def is_count(value: Any) -> bool:
    """A whole number from 0 that a file may hold; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _name(row: dict[str, Any]) -> tuple[Any, Any]:
    """The group that a row belongs to: its step, None in an evaluation, and its problem."""
    return row.get("step"), row.get("id")
