"""Comparisons of answers, read from files: pairs, rankings, chats, and transcripts in the form `\\n\\nHuman:
...`. Imports no torch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...tasks.core.chats import chat
from ...tasks.core.errors import DataError, UserError
from ...tasks.core.problem import Messages
from ...tasks.core.rowfiles import Row, read_rows
from ...tasks.core.seeds import digest
from ..config.reward_model import ComparisonConfig

_TURN = re.compile(r"\n\n(Human|Assistant):")
_LAST = "\n\nAssistant:"
_ROLES = {"Human": "user", "Assistant": "assistant"}
ANSWERS = ("answers", "completions", "responses")


@dataclass(frozen=True)
class Comparison:
    """One prompt with K answers. scores_K: what a person made of them, higher is better;
    equal ones are not compared.

    margin: by how much the reward of a better answer should exceed that of a worse one, in nats.
    """

    prompt: str | Messages
    answers_K: Sequence[str]
    scores_K: Sequence[float]
    margin: float = 0.0

    @property
    def ranks_K(self) -> list[int]:
        """0 for the best; equal scores share a rank."""
        order = sorted(set(self.scores_K), reverse=True)
        return [order.index(score) for score in self.scores_K]


@dataclass
class Comparisons:
    """The comparisons of files. left_out: why rows were left out -> how many."""

    kept: list[Comparison] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class ComparisonSplit:
    """Comparisons to learn from, and others that are held out."""

    train: Sequence[Comparison]
    held_out: Sequence[Comparison]


def read_comparisons(paths: Sequence[str | Path]) -> Comparisons:
    """The comparisons in files (JSONL, JSON, Parquet, the first two also gzipped),
    identical and empty answers left out.

    Columns: `prompt`, `chosen`, `rejected` (texts or chats; without `prompt` two chats or transcripts that
    share their beginning), optionally `margin`; or `prompt` with `answers`, best first, or with `scores`
    beside them. Raises DataError, which names file and line.
    """
    result = Comparisons()
    for path in paths:
        for row in read_rows(Path(path)):
            parsed = parse_comparison(row)
            reason = parsed if isinstance(parsed, str) else find_flaw(parsed)
            if isinstance(parsed, str) or reason:
                result.left_out[str(reason)] += 1
            else:
                result.kept.append(parsed)
    if not result.kept:
        why = (
            ", ".join(f"{count} {reason}" for reason, count in result.left_out.items())
            or "the files are empty"
        )
        raise DataError(f"{', '.join(map(str, paths))}: there is no comparison to learn from ({why}).")
    return result


def find_flaw(comparison: Comparison) -> str:
    """Why a comparison teaches nothing; "" when it does."""
    if any(not answer.strip() for answer in comparison.answers_K):
        return "with an empty answer"
    if len(set(comparison.answers_K)) < len(comparison.answers_K):
        return "with identical answers"
    return "" if len(set(comparison.scores_K)) > 1 else "without a better answer"


def parse_comparison(row: Row) -> Comparison | str:
    """One row as a comparison, or why it is left out. Raises DataError on a row of another form."""
    values = row.values
    margin = values.get("margin") or 0.0
    if not isinstance(margin, (int, float)):
        raise DataError(f"{row.where}: margin is {margin!r}, not a number.")
    named = next((name for name in ANSWERS if name in values), None)
    if named is not None:
        return _parse_ranking(row, values, named, float(margin))
    if "chosen" not in values or "rejected" not in values:
        raise DataError(
            f"{row.where}: give the columns chosen and rejected, or prompt and answers; the row has "
            f"{', '.join(values)}."
        )
    chosen, rejected = values["chosen"], values["rejected"]
    if isinstance(chosen, list) and isinstance(rejected, list):
        return _parse_chats(row, values.get("prompt"), chosen, rejected, float(margin))
    if not isinstance(chosen, str) or not isinstance(rejected, str):
        raise DataError(f"{row.where}: chosen and rejected are both texts or both lists of messages.")
    prompt = values.get("prompt")
    if prompt is None:
        return _parse_transcripts(row, chosen, rejected, float(margin))
    return Comparison(_parse_prompt(row, prompt), (chosen, rejected), (1.0, 0.0), float(margin))


def _parse_ranking(row: Row, values: Mapping[str, Any], named: str, margin: float) -> Comparison:
    answers = values[named]
    if (
        "prompt" not in values
        or not isinstance(answers, list)
        or not all(isinstance(a, str) for a in answers)
    ):
        raise DataError(f"{row.where}: a ranking has a prompt and a list of texts in {named}.")
    scores = values.get("scores", list(range(len(answers), 0, -1)))
    if not isinstance(scores, list) or len(scores) != len(answers):
        raise DataError(
            f"{row.where}: scores is a list with one number for each of the {len(answers)} answers."
        )
    if not all(isinstance(score, (int, float)) for score in scores):
        raise DataError(f"{row.where}: scores holds something that is no number.")
    return Comparison(_parse_prompt(row, values["prompt"]), tuple(answers), tuple(map(float, scores)), margin)


def _parse_chats(
    row: Row, prompt: Any, chosen: list[Any], rejected: list[Any], margin: float
) -> Comparison | str:
    first, second = chat(row, chosen), chat(row, rejected)
    if prompt is None:
        if first[:-1] != second[:-1] or not first[:-1]:
            return "without a shared prompt"
        prompt = first[:-1]
    else:
        prompt = _parse_prompt(row, prompt)
        before = (
            [dict(m) for m in prompt]
            if not isinstance(prompt, str)
            else [{"role": "user", "content": prompt}]
        )
        # Some data sets repeat the prompt inside the chats.
        first, second = (
            [*chat[len(before) :]] if chat[: len(before)] == before else chat for chat in (first, second)
        )
        if len(first) != 1 or len(second) != 1:
            return "with several turns after the prompt"
    if first[-1]["role"] != "assistant" or second[-1]["role"] != "assistant":
        raise DataError(f"{row.where}: the last message of chosen and rejected is the assistant's.")
    return Comparison(prompt, (first[-1]["content"], second[-1]["content"]), (1.0, 0.0), margin)


def _parse_transcripts(row: Row, chosen: str, rejected: str, margin: float) -> Comparison | str:
    for transcript in (chosen, rejected):
        if not transcript.startswith("\n\nHuman:") or _LAST not in transcript:
            raise DataError(
                f"{row.where}: without a prompt, chosen and rejected are transcripts '\\n\\nHuman: "
                "...\\n\\nAssistant: ...'."
            )
    (chosen_before, _, first), (rejected_before, _, second) = (
        chosen.rpartition(_LAST),
        rejected.rpartition(_LAST),
    )
    if chosen_before != rejected_before or "\n\nHuman:" in first + second:
        return "without a shared prompt"
    return Comparison(tuple(split_turns(chosen_before)), (first.strip(), second.strip()), (1.0, 0.0), margin)


def split_turns(transcript: str) -> list[dict[str, str]]:
    """The messages of a transcript `\\n\\nHuman: ...\\n\\nAssistant: ...`.

    Two turns of one speaker become one message, for chat templates refuse them.
    """
    pieces = _TURN.split(transcript)
    messages: list[dict[str, str]] = []
    for role, content in zip(pieces[1::2], pieces[2::2], strict=True):
        text = content.strip()
        if messages and messages[-1]["role"] == _ROLES[role]:
            messages[-1]["content"] += f"\n\n{text}"
        else:
            messages.append({"role": _ROLES[role], "content": text})
    return messages


def _parse_prompt(row: Row, prompt: Any) -> str | Messages:
    return prompt if isinstance(prompt, str) else chat(row, prompt)


def split_comparisons(
    comparisons: Sequence[Comparison], share: float
) -> tuple[list[Comparison], list[Comparison]]:
    """(train, held-out) by a hash of the prompt, so that no prompt is in both."""
    train, rest = [], []
    for item in comparisons:
        key = digest(
            "comparison", item.prompt if isinstance(item.prompt, str) else [dict(m) for m in item.prompt]
        )
        (rest if key % 10_000 < share * 10_000 else train).append(item)
    return train, rest


def read_split(config: ComparisonConfig, say: Callable[[str], None] = lambda _line: None) -> ComparisonSplit:
    """The comparisons of the files that the settings name. Raises UserError when there are too few."""
    if not config.files:
        raise UserError(
            "Say what to learn from: --data COMPARISONS.jsonl (columns prompt, chosen, rejected)."
        )
    reading = read_comparisons([Path(path) for path in config.files])
    for reason, count in reading.left_out.items():
        say(f"Left out {count} comparisons {reason}.")
    if config.eval_data:
        return ComparisonSplit(reading.kept, read_comparisons([Path(path) for path in config.eval_data]).kept)
    train, test = split_comparisons(reading.kept, config.eval_share)
    if not train or not test:
        raise UserError(
            f"{len(reading.kept)} comparisons can't be split by prompt into {1 - config.eval_share:.0%} and "
            f"{config.eval_share:.0%}. Give --eval-data with comparisons to hold out."
        )
    return ComparisonSplit(train, test)
