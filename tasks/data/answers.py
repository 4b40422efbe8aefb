"""References out of answers as data sets have them: behind a mark, as numbers, as options."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from ...verifiers import extract, last_boxed
from ..core.errors import shorten

Mark = Literal["", "hash", "boxed", "tag"]
MARKS: dict[Mark, str] = {
    "hash": "what follows #### in the answer's column is the answer, what precedes it the worked solution",
    "boxed": "the last \\boxed{...} in the answer's column is the answer, all of it the worked solution",
    "tag": "the <answer> tag in the answer's column holds the answer, all of it is the worked solution",
}
_SEEN_IN: dict[Mark, str] = {"hash": "####", "boxed": "\\boxed{", "tag": "<answer>"}
_LETTER = re.compile(r"\(?([A-Za-z])[).:]?")
_CALCULATION = re.compile(r"<<[^<>]*>>")  # GSM8K's calculator marks


class UnusableError(Exception):
    """A row can't become a problem. The message says why, in words that are alike for rows of like fault."""


@dataclass(frozen=True)
class Answer:
    """final: the reference.  solution: how it is worked out, as a text to imitate; "" where there is none."""

    final: Any
    solution: str = ""


def is_missing(value: Any) -> bool:
    """None, NaN, an empty or blank text, an empty list."""
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, Sequence | Mapping) and not value)


def find_mark(values: Sequence[Any]) -> Mark:
    """The mark that most of these answers have before or around the final one; "" for none."""
    texts = [value for value in values if isinstance(value, str)]
    for mark, seen in _SEEN_IN.items():
        if texts and sum(seen in text for text in texts) * 2 > len(texts):
            return mark
    return ""


def read_answer(value: Any, mark: Mark) -> Answer:
    """A cell of the answer's column as a reference. Numbers become texts as a person writes them; a list of
    texts stays one. Raises UnusableError."""
    if is_missing(value):
        raise UnusableError("the answer is empty")
    if isinstance(value, list | tuple):
        texts = [write_plain(item) for item in value]
        return Answer(texts[0] if len(texts) == 1 else texts)
    text = write_plain(value)
    if not mark:
        return Answer(text)
    if _SEEN_IN[mark] not in text:
        raise UnusableError(f"the answer has no {_SEEN_IN[mark]}, as most others have")
    if mark == "hash":
        solution, _, final = text.rpartition("####")
    elif mark == "boxed":
        solution, final = text, last_boxed(text) or ""
    else:
        solution, final = text, extract(text, ("tag",)).answer or ""
    final = final.strip()
    if not final:
        raise UnusableError(f"nothing stands after or within {_SEEN_IN[mark]} in the answer")
    if mark == "hash" and re.fullmatch(r"[-+]?[\d,]+(\.\d+)?", final):
        final = final.replace(",", "")
    return Answer(final, _CALCULATION.sub("", solution).strip())


def write_plain(value: Any) -> str:
    """A cell as text: 51.0 as 51.0, 1e-07 as 0.0000001, True as True. Raises UnusableError for a table."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UnusableError("the answer is no finite number")
        return format(Decimal(repr(value)), "f")
    if isinstance(value, int | Decimal):
        return str(value)
    raise UnusableError(f"the answer is of type {type(value).__name__}, not a text or a number")


@dataclass(frozen=True)
class Options:
    """texts: the options without their letters.  labels: what the data call them; () where they don't."""

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()

    def render(self) -> str:
        """One to a line, each with its letter."""
        return "\n".join(f"{letter}) {text}" for letter, text in zip(LETTERS, self.texts, strict=False))


LETTERS = string.ascii_uppercase
ENOUGH = 5  # rows whose numbers are all texts of options, which they hardly are by chance
Base = Literal["none", "texts", "from 0", "from 1", "unclear"]
BASES: dict[Base, str] = {
    "texts": "numbers in the answer's column are the options' own texts",
    "from 0": "numbers in the answer's column are places of options, counted from 0",
    "from 1": "numbers in the answer's column are places of options, counted from 1",
}


def read_options(value: Any) -> Options:
    """The options of a question: a list of texts, `{"text": [...], "label": [...]}`, a list of such tables.

    Raises UnusableError for anything else, and for fewer than two.
    """
    labels: list[Any] = []
    if isinstance(value, Mapping):
        labels, value = list(value.get("label") or ()), value.get("text", value.get("texts"))
    if isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
        labels, value = [item.get("label") for item in value], [item.get("text") for item in value]
    if not isinstance(value, list | tuple) or not 2 <= len(value) <= len(LETTERS):
        raise UnusableError("the options are no list of 2 to 26 texts")
    if any(is_missing(item) for item in value):
        raise UnusableError("an option is empty")
    texts = [write_plain(item) for item in value]
    own = [
        re.match(rf"\(?{letter}[).:]\s*(?=\S)", text) for letter, text in zip(LETTERS, texts, strict=False)
    ]
    if all(own):
        texts = [text[match.end() :] for text, match in zip(texts, own, strict=True) if match]
    return Options(tuple(texts), tuple(map(str, labels)))


def find_base(values: Sequence[Any], options: Sequence[Options | None]) -> Base:
    """How numbers name options: `none` where there are no numbers; `texts` where each is the text of one of
    its options, or one is too large for a place; a place counted `from 0` where one is 0, `from 1` where one
    is as large as its number of options; `unclear` where nothing tells 0 from 1.

    Fewer than `ENOUGH` whole numbers tell little: they are places from 0, as data sets have them, unless one
    can't be.
    """
    numbered = [
        (number, each)
        for value, each in zip(values, options, strict=True)
        if each is not None and (number := _as_number(value)) is not None and str(number) not in each.labels
    ]
    if not numbered:
        return "none"
    counts_from = {0} if any(number == 0 for number, _ in numbered) else {0, 1}
    counts_from = {
        base for base in counts_from if all(0 <= number - base < len(each.texts) for number, each in numbered)
    }
    few = len(numbered) < ENOUGH and not any(isinstance(value, str) for value in values)
    if few and 0 in counts_from:
        return "from 0"
    if all([text.strip() for text in each.texts].count(str(number)) == 1 for number, each in numbered):
        return "texts"
    if len(counts_from) == 1:
        return "from 1" if 1 in counts_from else "from 0"
    return "unclear" if counts_from else "texts"


def find_letter(value: Any, options: Options | None, base: Base) -> str:
    """The letter of the right option, from its letter, label, number or text. Raises UnusableError."""
    if is_missing(value):
        raise UnusableError("the answer is empty")
    text = write_plain(value[0] if isinstance(value, list | tuple) and len(value) == 1 else value)
    if options is None:
        match = _LETTER.fullmatch(text)
        if match is None:
            raise UnusableError(
                f"the answer {shorten(repr(text), 40)} is no letter, and no column has options"
            )
        return match[1].upper()
    count = len(options.texts)
    if text in options.labels:
        return LETTERS[options.labels.index(text)]
    number = _as_number(value)
    if number is not None and base == "unclear":
        raise UnusableError(
            "the answers are numbers of options, and nothing tells whether they count from 0 or from 1 (none "
            "is 0, none is the number of options): give letters, or the options' texts"
        )
    counted = {"from 0": 0, "from 1": 1}.get(base)
    place = -1 if number is None or counted is None else number - counted
    if isinstance(value, int) and 0 <= place < count:
        return LETTERS[place]
    same = [n for n, option in enumerate(options.texts) if option.casefold() == text.casefold()]
    if len(same) == 1:
        return LETTERS[same[0]]
    if 0 <= place < count:
        return LETTERS[place]
    match = _LETTER.fullmatch(text)
    if match is not None and match[1].upper() in LETTERS[:count]:
        return match[1].upper()
    raise UnusableError("the answer is none of the options, by letter, number or text")


def _as_number(value: Any) -> int | None:
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
