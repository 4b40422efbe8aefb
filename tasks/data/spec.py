"""What is said about data of one's own: the same words as flags, in a task file and from Python."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..core.errors import DataError

TEST_SHARE = 0.1
BAD_ROWS = ("refuse", "skip")


@dataclass(frozen=True)
class DataSpec:
    """Where data lie and how they are read. A column that is "" is guessed by its name; dots lead into a
    table (`reward_model.ground_truth`).

    data: a file, a folder with a file a split, a hub id (`org/name`, `org/name:config`), or rows in memory
        (a list of dicts, a `datasets.Dataset` or DatasetDict, a table of pandas).
    prompt: column of the question, a text or a chat; or a text with columns in braces, "{body} {question}".
    answer: column of the reference.
    verify: how an answer is judged, as `judges.make_judge` reads it; "" is guessed.
    choices: column of the options of a question of multiple choice.  solution: column of a worked solution.
    split: the split of the data that is trained on; "" takes the one that is called so, or the only one.
    test_share: share of the problems held out for the test split where the data have no split of their own
        for it, above 0, at most 1.
    bad_rows: `refuse` raises for rows that can't be used, `skip` leaves them out and counts them.
    """

    data: Any
    prompt: str = ""
    answer: str = ""
    verify: Any = ""
    choices: str = ""
    solution: str = ""
    split: str = ""
    test_share: float = TEST_SHARE
    bad_rows: str = "refuse"

    def __post_init__(self) -> None:
        if isinstance(self.data, str) and not self.data.strip():
            raise DataError("Say which data: a file, a folder, a hub id such as org/name, or a list of rows.")
        if not 0 < self.test_share <= 1:
            raise DataError(f"test_share {self.test_share!r}: give a share above 0, at most 1.")
        if self.bad_rows not in BAD_ROWS:
            raise DataError(f"bad_rows {self.bad_rows!r}: give {' or '.join(BAD_ROWS)}.")

    @property
    def label(self) -> str:
        """What sentences call the data: a path as it is seen from here."""
        return shorten_path(str(self.data)) if isinstance(self.data, str | Path) else "The rows"

    def list_said(self) -> list[str]:
        """The fields that are not as they are by default, `data` left out."""
        plain = DataSpec(self.data)
        return [name for name in OPTIONS[1:] if getattr(self, name) != getattr(plain, name)]

    def write_flags(self) -> str:
        """The flags that say the same to a command; "" for rows in memory."""
        if not isinstance(self.data, str | Path):
            return ""
        said = {"data": self.label, **{name: getattr(self, name) for name in _TEXTS}}
        words = [
            f"--{name} {_quote(value)}" for name, value in said.items() if isinstance(value, str) and value
        ]
        if self.test_share != TEST_SHARE:
            words.append(f"--test-share {self.test_share:g}")
        return " ".join(words + ["--bad-rows skip"] * (self.bad_rows == "skip"))


_TEXTS = ("prompt", "answer", "verify", "choices", "solution", "split")
OPTIONS = tuple(field.name for field in fields(DataSpec))


def shorten_path(path: str) -> str:
    """A path as it is seen from the current folder, where it lies in it; else as it is."""
    here = os.getcwd() + os.sep
    return path.removeprefix(here) if path != here else path


def _quote(text: str) -> str:
    import shlex  # only sentences quote

    return shlex.quote(text)
