"""Texts to imitate, read from files or the hub: prompt with completion,
or chats whose assistant turns are imitated. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...tasks.core.chats import chat
from ...tasks.core.errors import DataError, UserError
from ...tasks.core.hub import load_hub_data
from ...tasks.core.rowfiles import Row, read_rows
from ...tasks.core.seeds import digest
from ..config.sft import ImitationConfig

ANSWERS = ("completion", "response", "output", "answer")
PROMPTS = ("prompt", "question", "instruction", "input")
COLUMNS = f"columns prompt ({', '.join(PROMPTS[1:])}) and completion ({', '.join(ANSWERS[1:])}), or messages,"
_STEPS = 10_000


@dataclass(frozen=True)
class Pair:
    """A prompt (text or chat messages) and the text to imitate."""

    prompt: Any
    completion: str

    @property
    def key(self) -> int:
        """What pairs with the same prompt share."""
        return digest("pair", self.prompt)


def read_pairs(sources: Sequence[str]) -> list[Pair]:
    """The pairs in files (JSONL, JSON, Parquet, gzipped too) or train splits of hub ids.

    Columns: `messages`, a chat; or prompt with completion (texts, or chats as well; also under the usual
    names question, instruction, response, answer). Raises DataError, which names file and line,
    or when there is no pair at all.
    """
    pairs = [pair for source in sources for row in _read_source(source) for pair in parse_pairs(row)]
    if not pairs:
        raise DataError(
            f"{', '.join(sources)}: there is nothing to imitate, for {COLUMNS} are empty or there is no row. "
            "Give rows with a text to imitate."
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
            f"{row.where}: the row has {', '.join(map(str, row.values)) or 'no column'}; {COLUMNS} are read. "
            "Rename them."
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
    """(train, held-out) by a hash of the prompt, so that no prompt is in both. Where a share above 0 leaves
    none to hold out, the prompt with the lowest hash is."""
    sides = {pair.key: pair.key % _STEPS < share * _STEPS for pair in pairs}
    if share > 0 and len(sides) > 1 and not any(sides.values()):
        sides[min(sides, key=lambda key: key % _STEPS)] = True
    return [pair for pair in pairs if not sides[pair.key]], [pair for pair in pairs if sides[pair.key]]


def read_split(config: ImitationConfig) -> tuple[list[Pair], list[Pair]]:
    """The pairs of the settings, (train, held-out).

    Raises DataError as `read_pairs` does, and UserError where one of them has no pair.
    """
    pairs = read_pairs(config.pairs)
    train, held_out = split_pairs(pairs, config.eval_share)
    if not train or not held_out:
        prompts = len({pair.key for pair in pairs})
        raise UserError(
            f"{', '.join(config.pairs)}: {len(pairs)} pairs with {prompts} different "
            f"{'prompt' if prompts == 1 else 'prompts'} can't be split into {1 - config.eval_share:.0%} to "
            f"imitate and {config.eval_share:.0%} to hold out. Give more rows, or another --eval-share; "
            f"{COLUMNS} are read."
        )
    return train, held_out


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
