"""Texts to imitate, read from files or the hub: prompt with completion,
or chats whose assistant turns are imitated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tasks import Problem
from ...tasks.core.chats import chat
from ...tasks.core.errors import DataError
from ...tasks.core.hub import load_hub_data
from ...tasks.core.rowfiles import Row, read_rows
from ...tasks.core.seeds import digest
from ..model.prompts import PromptFormat
from .fit import Demonstration

ANSWERS = ("completion", "response", "output", "answer")
PROMPTS = ("prompt", "question", "instruction", "input")


@dataclass(frozen=True)
class Pair:
    """A prompt (text or chat messages) and the text to imitate."""

    prompt: Any
    completion: str


def read_pairs(sources: Sequence[str]) -> list[Pair]:
    """The pairs in files (JSONL, JSON, Parquet, gzipped too) or train splits of hub ids.

    Columns: `messages`, a chat; or prompt with completion (texts, or chats as well; also under the usual
    names question, instruction, response, answer). Raises DataError, which names file and line,
    or when there is no pair at all.
    """
    pairs = [pair for source in sources for row in _read_source(source) for pair in parse_pairs(row)]
    if not pairs:
        raise DataError(
            f"{', '.join(sources)}: there is nothing to imitate; give rows with prompt and completion, or "
            "messages."
        )
    return pairs


def parse_pairs(row: Row) -> list[Pair]:
    """What one row shows: one pair, or one for each assistant turn of a chat."""
    if "messages" in row.values:
        messages = chat(row, row.values["messages"])
        turns = [place for place, message in enumerate(messages) if message["role"] == "assistant" and place]
        return [
            Pair(messages[:place], messages[place]["content"])
            for place in turns
            if messages[place]["content"].strip()
        ]
    prompt = next((row.values[name] for name in PROMPTS if name in row.values), None)
    completion = next((row.values[name] for name in ANSWERS if name in row.values), None)
    if prompt is None or completion is None:
        raise DataError(
            f"{row.where}: give the columns prompt and completion, or messages; the row has "
            f"{', '.join(row.values)}."
        )
    if isinstance(completion, list):
        messages = chat(row, completion)
        if len(messages) != 1 or messages[0]["role"] != "assistant":
            raise DataError(f"{row.where}: a completion that is a chat is one message of the assistant.")
        completion = messages[0]["content"]
    if not isinstance(completion, str):
        raise DataError(f"{row.where}: the completion is {type(completion).__name__}, not a text.")
    if not isinstance(prompt, str):
        prompt = chat(row, prompt)
    return [Pair(prompt, completion)] if completion.strip() else []


def split_pairs(pairs: Sequence[Pair], share: float) -> tuple[list[Pair], list[Pair]]:
    """(train, held-out) by a hash of the prompt, so that no prompt is in both."""
    train: list[Pair] = []
    held_out: list[Pair] = []
    for pair in pairs:
        (held_out if digest("pair", pair.prompt) % 10_000 < share * 10_000 else train).append(pair)
    return train, held_out


def encode_pairs(prompts: PromptFormat, pairs: Sequence[Pair], max_tokens: int) -> list[Demonstration]:
    """The pairs as token ids; those over `max_tokens` are left out."""
    demonstrations = []
    for pair in pairs:
        problem = Problem(prompt=pair.prompt)
        prompt = prompts.encode(problem)
        completion = prompts.encode_completion(pair.completion, problem.name)
        if len(prompt) + len(completion) <= max_tokens:
            demonstrations.append(Demonstration(prompt, completion))
    return demonstrations


def _read_source(source: str) -> Iterator[Row]:
    if (
        Path(source).exists()
        or source.count("/") != 1
        or source.endswith((".jsonl", ".json", ".gz", ".parquet"))
    ):
        if not Path(source).is_file():
            raise DataError(
                f"There is no file {source}. Give a file of pairs or chats, or a hub id such as user/name."
            )
        yield from read_rows(Path(source))
        return
    table = load_hub_data(source, None, "train", None, "Give a file of pairs or chats.")
    for index, values in enumerate(table):
        yield Row(dict(values), f"{source}, train row {index}")
