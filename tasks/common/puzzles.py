"""What puzzles share: one check that says what is wrong, and answers read in bounds.

A puzzle's reference says what has to hold, as plain data. Its check tests whether it holds of an answer,
so that every right one is accepted, not only the one that the generator knows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ...verifiers import Criterion, Verdict, answer_criterion
from ...verifiers.quotations import undress
from ...verifiers.regexes import compile_once
from ...verifiers.types import correct, malformed, wrong
from ..core.problem import Problem

MAX_CHARS = 4_000
_NUMBER = r"(?a)[-+]?[0-9]{1,18}"
_SEPARATORS = str.maketrans(",;()[]{}", "        ")
_PAIR = r"[ \t]{0,4}[:=][ \t]{0,4}"


class Unreadable(ValueError):
    """An answer is not in the form that the prompt asks for. The message says which form that is."""


def puzzle(
    name: str,
    find_fault: Callable[[Any, str], str],
    *,
    max_chars: int = MAX_CHARS,
    bare: bool = True,
    several: bool = False,
    rewrite: Callable[[str], Iterable[str]] | None = None,
) -> Criterion:
    """The answer tag holds what `find_fault(reference, answer)` finds no fault with.

    find_fault: gives "" for a right answer, else a sentence that says what is wrong; raises Unreadable for a
        text of another form. Its work is bounded by the reference and by `max_chars`.
    max_chars: characters of the longest answer that is read, 1 or more.
    bare: whether quotation marks and fences around the whole answer are taken off.
    several: whether a problem may have several right answers.
    rewrite: other texts of an answer that `find_fault` reads, for `palaestra task check`; where quotation
        marks are taken off, those with them are added.
    """

    def judge(reference: Any, answer: str) -> Verdict:
        if len(answer) > max_chars:
            return malformed(reason=f"The answer is longer than {max_chars:,} characters.")
        try:
            fault = find_fault(reference, undress(answer) if bare else answer)
        except Unreadable as failure:
            return malformed(answer[:80], str(failure))
        return wrong(answer[:80], fault) if fault else correct(answer)

    def render(reference: Any) -> str:
        return f"<answer>{reference['solution']}</answer>"

    def write_otherwise(answer: str) -> Iterator[str]:
        yield from rewrite(answer) if rewrite is not None else ()
        if bare:
            yield f'"{answer}"'
            yield f"`{answer}`"

    return answer_criterion(
        name, judge, sources=("tag",), render=render, several=several, rewrite=write_otherwise
    )


def rewrite_list(answer: str) -> Iterator[str]:
    """The words of a list with commas between them, in brackets, with arrows."""
    words = answer.split()
    yield f"[{', '.join(words)}]"
    if len(words) > 1:
        yield ", ".join(words)
        yield "\n".join(words)
        yield " -> ".join(words)


def rewrite_values(answer: str) -> Iterator[str]:
    """`A=1 B=2` with commas, in lines, with colons."""
    yield ", ".join(answer.split())
    yield "\n".join(answer.split())
    yield answer.replace("=", ": ")


def work_out(steps: Iterable[str], answer: str) -> str:
    """A completion to imitate: the steps in a think block, then the answer."""
    return f"<think>{'; '.join(steps)}</think><answer>{answer}</answer>"


def err_by_step(
    solve: Callable[[Problem], str], count_work: Callable[[Problem], int], every: float
) -> Callable[[Problem, random.Random], str]:
    """A solver that takes as many steps for a problem as `count_work` says, and errs in one of `every`, above
    1: after an error it gives up. So a problem that is longer to work out is harder."""

    def attempt(problem: Problem, rng: random.Random) -> str:
        return solve(problem) if rng.random() < (1 - 1 / every) ** count_work(problem) else "I am lost."

    return attempt


def split_words(answer: str) -> list[str]:
    """The words of a list: `A, B, C`, `A B C`, `[A, B, C]`, `A -> B -> C`."""
    return answer.replace("->", " ").replace("→", " ").translate(_SEPARATORS).split()


def read_numbers(answer: str) -> list[int]:
    """The whole numbers of a list, of 18 digits at most. Raises Unreadable."""
    words = split_words(answer)
    if not words or not all(compile_once(_NUMBER).fullmatch(word) for word in words):
        raise Unreadable("The answer is no list of whole numbers.")
    return [int(word) for word in words]


def read_bits(answer: str) -> str:
    """A row of the digits 0 and 1, apart or not. Raises Unreadable."""
    bits = "".join(answer.replace(",", " ").split())
    if not bits or not set(bits) <= {"0", "1"}:
        raise Unreadable("The answer is no row of 0 and 1.")
    return bits


def read_names(answer: str, names: Iterable[str]) -> list[str]:
    """A list of some of the names, as they are spelt among `names`, in capitals or not. Raises Unreadable."""
    spelling = {name.lower(): name for name in names}
    words = split_words(answer)
    if not words or not all(word.lower() in spelling for word in words):
        raise Unreadable(f"The answer is no list of {', '.join(spelling.values())}.")
    return [spelling[word.lower()] for word in words]


def read_values(answer: str, names: Iterable[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """`A=1, B=2`: each name once, each with one of the values; in lines, with commas or blanks, also `A: 1`.

    values: what may be written, in small letters -> what it stands for.
    Raises Unreadable where a name is missing, unknown or said twice.
    """
    spelling = {name.lower(): name for name in names}
    found: dict[str, Any] = {}
    for word in split_words(compile_once(_PAIR).sub("=", answer)):
        name, _, value = word.lower().partition("=")
        if name not in spelling or value not in values:
            raise Unreadable(f"{word[:40]!r} is none of {', '.join(spelling.values())} with its value.")
        if spelling[name] in found:
            raise Unreadable(f"{spelling[name]} has two values.")
        found[spelling[name]] = values[value]
    missing = [name for name in spelling.values() if name not in found]
    if missing:
        raise Unreadable(f"{missing[0]} has no value.")
    return found
