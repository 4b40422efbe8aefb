"""Which columns hold what: those that are named, and the others by the names that data sets give them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..core.errors import DataError
from .spec import DataSpec

PROMPTS = (
    "prompt", "question", "problem", "instruction", "query", "input", "text", "task", "messages",
    "conversations", "conversation",
)  # fmt: skip
ANSWERS = (
    "answer", "final_answer", "ground_truth", "reward_model.ground_truth", "gold", "gold_answer", "target",
    "answerkey", "answer_key", "correct", "correct_answer", "correct_option", "label", "expected",
    "expected_answer", "reference", "solution", "output", "completion", "response",
)  # fmt: skip
TESTS = ("test_list", "tests", "test_cases", "test")
CHOICES = ("options", "choices", "endings", "answer_choices", "candidates")
SOLUTIONS = (
    "solution",
    "rationale",
    "worked_solution",
    "reasoning",
    "explanation",
    "cot",
    "chain_of_thought",
)
PROGRAMS = ("canonical_solution", "code", "solution", "solutions")
_LETTERED = r"(?:option|choice|answer|opt|op)?[_ ]?([a-h])"


@dataclass(frozen=True)
class Columns:
    """The columns of a table by what they hold; "" for none. guessed: those that nobody named.

    choices: one column with a list, or several with an option each.
    """

    prompt: str
    answer: str = ""
    choices: tuple[str, ...] = ()
    solution: str = ""
    guessed: tuple[str, ...] = ()

    def describe(self) -> str:
        """In one line, each guess marked."""
        named = {"prompt": self.prompt, "answer": self.answer, "choices": ", ".join(self.choices)}
        named["solution"] = self.solution
        said = [
            f"{what} {name!r}{' (guessed)' if what in self.guessed else ''}"
            for what, name in named.items()
            if name
        ]
        return f"Columns: {', '.join(said)}." + (" Others: --prompt, --answer." if self.guessed else "")


def find_value(row: Mapping[str, Any], column: str) -> Any:
    """What a row has in a column, or under a path of names with dots. Raises KeyError where there is none."""
    if column in row:
        return row[column]
    head, dot, rest = column.partition(".")
    inner = row.get(head) if dot else None
    if isinstance(inner, str) and inner.lstrip().startswith("{"):  # a table as JSON text, as some files have
        import json

        try:
            inner = json.loads(inner)
        except ValueError:
            inner = None
    if not isinstance(inner, Mapping):
        raise KeyError(column)
    return find_value(inner, rest)


def list_fields(prompt: str) -> list[str]:
    """The columns that a template such as "{Body} {Question}" names; [] for a column's own name."""
    return re.findall(r"\{([^{}]+)\}", prompt)


def list_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns of these rows, and those of the tables in them, in their order."""
    names: dict[str, None] = {}
    for row in rows:
        for name, value in row.items():
            names[str(name)] = None
            if isinstance(value, Mapping):
                names.update({f"{name}.{inner}": None for inner in value})
    return list(names)


def find_columns(spec: DataSpec, rows: Sequence[Mapping[str, Any]], label: str, *, tests: bool) -> Columns:
    """The columns of a table. rows: its first ones. label: the data, for sentences. tests: whether programs
    are judged, by tests in the place of an answer.

    Raises DataError for a named column that is not there, with the nearest name, and where none is
    known for a prompt's.
    """
    names = list_names(rows)
    asked = tuple(name.strip() for name in spec.choices.split(",") if name.strip())
    fields = list_fields(spec.prompt) or [spec.prompt]
    named = [*(("prompt", name) for name in fields), ("answer", spec.answer)]
    named += [*(("choices", name) for name in asked), ("solution", spec.solution)]
    _refuse_missing(
        [(flag, name) for flag, name in named if not _is_there(name, names)], names, label, len(rows)
    )
    choices = asked or _guess_choices(names, rows)
    prompt = spec.prompt or _guess(PROMPTS, names, ())
    if not prompt:
        raise DataError(
            f"{label}: no column is known to hold the prompt; it has {_list(names)}. Say which: "
            f"--prompt {_example(names, spec.answer)}."
        )
    taken = (prompt, *list_fields(prompt), *choices, spec.solution)
    if spec.answer and spec.answer in taken[:-1]:
        raise DataError(
            f"{label}: {spec.answer!r} is what is asked and what is answered: a model could copy it. Name "
            "another column with --prompt or --answer."
        )
    answer = spec.answer or _guess((*TESTS, *ANSWERS) if tests else ANSWERS, names, taken)
    solution = spec.solution or _guess(PROGRAMS if tests else SOLUTIONS, names, (*taken, answer))
    found = Columns(prompt, answer, choices, solution)
    guessed = [
        what for what in ("prompt", "answer", "choices", "solution")
        if getattr(found, what) and not getattr(spec, what)
    ]  # fmt: skip
    return replace(found, guessed=tuple(guessed))


def _refuse_missing(missing: Sequence[tuple[str, str]], names: Sequence[str], label: str, count: int) -> None:
    """Raise DataError for named columns that are not there, each with its flag and the nearest name."""
    if not missing:
        return
    lower = {other.lower(): other for other in reversed(names)}
    near = {name: difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6) for _flag, name in missing}
    said = ", ".join(f"{name!r} (--{flag})" for flag, name in missing)
    meant = " and ".join(lower[found[0]] for found in near.values() if found)
    hint = f"Did you mean {meant}?" if meant else "Name one of those."
    word = "column" if len(missing) == 1 else "columns"
    single = " It holds one row: write rows as a list (array) of objects, or an object to a line."
    form = single if count == 1 and str(label).endswith(".json") else ""
    raise DataError(f"{label} has no {word} {said}; it has {_list(names)}. {hint}{form}")


def _is_there(name: str, names: Sequence[str]) -> bool:
    parts = name.split(".")
    paths = [".".join(parts[:end]) for end in range(1, len(parts))]
    # What is in a table of a table, or in one that is written as a text, is seen when a row is read.
    inside = any(path in names and not any(n.startswith(f"{path}.") for n in names) for path in paths)
    return not name or name in names or inside


def _guess(known: Sequence[str], names: Sequence[str], taken: Sequence[str]) -> str:
    by_lower = {name.lower(): name for name in reversed(names)}
    found = (by_lower[name] for name in known if name in by_lower)
    return next((name for name in found if name not in taken), "")


def _guess_choices(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """A column with a list of options, or one column for each letter."""
    name = _guess(CHOICES, names, ())
    if name and any(isinstance(row.get(name), list | tuple | Mapping) for row in rows):
        return (name,)
    lettered = {
        match[1]: name
        for name in names
        if (match := re.fullmatch(_LETTERED, name.lower())) and name.lower() not in ANSWERS
    }
    letters = sorted(lettered)
    if len(letters) >= 2 and letters == list("abcdefgh"[: len(letters)]):
        return tuple(lettered[letter] for letter in letters)
    return ()


def _list(names: Sequence[str]) -> str:
    return f"{', '.join(names[:20])}{', ...' if len(names) > 20 else ''}" if names else "no column"


def _example(names: Sequence[str], answer: str) -> str:
    return next((name for name in names if name != answer and "." not in name), "COLUMN")
