"""Sources that a completion cites: that they are there, and that they are the right ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..criterion import Criterion
from ..extract import after_thinking
from ..types import Completion, ProblemLike, Verdict, correct, no_answer, partial, wrong

_MARK = re.compile(r"\[([^\[\]\n]{1,80})\](?!\()")  # [1], [2, 5], [smith2020]; no link of Markdown
_LABEL = re.compile(r"[\w.:@-]{1,60}")
_RANGE = re.compile(r"(\d{1,4}) ?[-\u2013] ?(\d{1,4})", re.ASCII)  # 2-4


def citations(
    column: str = "sources",
    name: str = "citations",
    weight: float = 0.1,
    *,
    wanted: str = "",
    least: int = 1,
    gate: bool = False,
) -> Criterion:
    """The answer cites sources of its problem, `[2]`, `[1, 3]` or `[2-4]`, and none that is not there.

    It is looked for in what follows the last think block. A completion of marks alone says nothing. Words in
    brackets are no citation, unless a digit stands in what would be the label (`[smith2021]`).

    column: of the row, with the sources: a list, cited by place from 1, or a mapping, cited by its keys.
    wanted: column with those that bear the answer out, as they are cited; the value is then the F1 of what is
        cited, so that citing everything is no way to be right. "": any source will do.
    least: different sources to cite, 0 or more.
    Raises ValueError for a number below 0. A row without the column, or whose wanted sources are not among
    its sources, is an error of the row: the criterion abstains.
    """
    if least < 0:
        raise ValueError(f"least={least!r}: give the number of sources to cite, 0 or more.")

    def check(completion: Completion, problem: ProblemLike) -> Verdict:
        there = _list_labels(problem.metadata, column)
        right = _list_wanted(problem.metadata, wanted, there) if wanted else None
        text = after_thinking(completion.text)
        if text is None:
            return no_answer("The think block never ends.")
        if re.search(r"\w", _MARK.sub("", text)) is None:
            return no_answer("Nothing is said beside the marks.")
        cited, invented = _read_marks(text, there)
        if invented:
            return wrong(reason=f"It cites {invented!r}, which is none of the {len(there)} sources.")
        if len(cited) < least:
            return wrong(reason=f"It cites {len(cited)} sources, {least} or more are asked for.")
        if right is None or cited == right:
            return correct()
        f1 = 2 * len(cited & right) / (len(cited) + len(right))
        reason = f"It cites {', '.join(sorted(cited)) or 'none'}, not {', '.join(sorted(right)) or 'none'}."
        return partial(f1, reason=reason) if f1 else wrong(reason=reason)

    return Criterion(name, check, weight, gate, form=not wanted)


def _list_labels(row: Mapping[str, Any], column: str) -> frozenset[str]:
    sources = row.get(column)
    if isinstance(sources, Mapping):
        return frozenset(str(key).casefold() for key in sources)
    if isinstance(sources, Sequence) and not isinstance(sources, str):
        return frozenset(str(place) for place in range(1, len(sources) + 1))
    raise ValueError(f"The row has no list or mapping of sources in a column {column!r}.")


def _list_wanted(row: Mapping[str, Any], column: str, there: frozenset[str]) -> frozenset[str]:
    named = row.get(column)
    if not isinstance(named, Sequence) or isinstance(named, str):
        raise ValueError(f"The row has no list of sources in a column {column!r}.")
    right = frozenset(str(each).casefold() for each in named)
    if not right <= there:
        raise ValueError(f"Of the row's {column!r} {sorted(right - there)} are not among its sources.")
    return right


def _read_marks(text: str, there: frozenset[str]) -> tuple[frozenset[str], str]:
    """What is cited, and the first mark that looks like a citation and is none ("" where there is none)."""
    cited: set[str] = set()
    for mark in _MARK.finditer(text):
        labels = _split_labels(mark[1].casefold().strip(), there)
        if not all(label in there or _LABEL.fullmatch(label) for label in labels):
            continue  # words in brackets
        cited.update(label for label in labels if label in there)
        unknown = [label for label in labels if label not in there and re.search(r"\d", label)]
        if unknown:
            return frozenset(cited), unknown[0]
    return frozenset(cited), ""


def _split_labels(mark: str, there: frozenset[str]) -> list[str]:
    """What stands in a mark: the whole of it where that is a label; else its parts, a range of places as all
    of them, where its ends are places."""
    if mark in there:
        return [mark]
    labels: list[str] = []
    for part in re.split(r"[,;]", mark):
        label = part.strip()
        ends = None if label in there else _RANGE.fullmatch(label)
        if ends is None or not {ends[1], ends[2]} <= there:
            labels.append(label)
        else:
            labels.extend(str(place) for place in range(int(ends[1]), int(ends[2]) + 1))
    return labels
