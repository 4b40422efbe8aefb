"""Apply edits to a text, one after the other.

Each level has more edits and a longer text.
"""

import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import err_by_step, puzzle, work_out
from ..common.words import WORDS
from ..core.problem import Problem
from ..core.task import task

PARTS = (2, 2, 2, 3)  # words joined into the text; by level
EDITS = (2, 4, 6, 9)
VOWELS = "aeiou"
LETTERS = string.ascii_lowercase


@dataclass(frozen=True)
class Edit:
    text: str
    apply: Callable[[str], str]


def draw_edit(rng: random.Random, text: str) -> Edit:
    """An edit that the present text allows."""
    size = len(text)
    letter, other, new = rng.choice(text), rng.choice(text), rng.choice(LETTERS)
    count = rng.randint(1, min(5, size - 1))
    place, second = rng.sample(range(size), 2)
    return rng.choice((
        Edit("reverse it", lambda t: t[::-1]),
        Edit(f"move the first {count} letters to the end", lambda t: t[count:] + t[:count]),
        Edit(f"move the last {count} letters to the front", lambda t: t[-count:] + t[:-count]),
        Edit(f"replace every {letter} with {new}", lambda t: t.replace(letter, new)),
        Edit(f"exchange every {letter} for {other} and every {other} for {letter}",
             lambda t: t.translate({ord(letter): other, ord(other): letter})),
        Edit(f"delete letter {place + 1}", lambda t: t[:place] + t[place + 1 :]),
        Edit(f"insert {new} after letter {place + 1}", lambda t: t[: place + 1] + new + t[place + 1 :]),
        Edit(f"swap letters {min(place, second) + 1} and {max(place, second) + 1}",
             lambda t: swap(t, place, second)),
        Edit("double every vowel (a, e, i, o, u)", lambda t: "".join(c * (1 + (c in VOWELS)) for c in t)),
        Edit("shift every letter one forward in the alphabet, z to a",
             lambda t: t.translate(str.maketrans(LETTERS, LETTERS[1:] + LETTERS[0]))),
        Edit("put its letters at odd positions first, then those at even positions",
             lambda t: t[::2] + t[1::2]),
        Edit("sort its letters by the alphabet", lambda t: "".join(sorted(t))),
    ))  # fmt: skip


def swap(text: str, one: int, two: int) -> str:
    letters = list(text)
    letters[one], letters[two] = letters[two], letters[one]
    return "".join(letters)


def find_fault(reference: dict, answer: str) -> str:
    """Whether it is the text that the edits make; capitals and blanks around it do not count."""
    return "" if answer.strip().lower() == reference["solution"] else "The edits make another text."


def solve(problem: Problem) -> str:
    """The text after each edit."""
    return work_out(problem.metadata["texts"], problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Letters of all texts between the edits."""
    return sum(map(len, problem.metadata["texts"]))


@task(
    "string_edits",
    rubric=Rubric(puzzle("text", find_fault, max_chars=400), answer_tag(weight=0.1)),
    levels=len(EDITS),
    kind="language",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=70),
    licence="Apache-2.0",
)
def string_edits(rng: random.Random, level: int) -> Iterator[Problem]:
    """Apply edits to a text, one after the other; 2, 4, 6 and 9 edits."""
    start = "".join(rng.sample(WORDS, PARTS[level - 1]))
    texts: list[str] = [start]
    edits: list[str] = []
    while len(edits) < EDITS[level - 1]:
        edit = draw_edit(rng, texts[-1])
        text = edit.apply(texts[-1])
        if 4 <= len(text) <= 50 and text not in texts and edit.text not in edits:
            texts.append(text)
            edits.append(edit.text)
    listed = "\n".join(f"{number}. {edit}" for number, edit in enumerate(edits, start=1))
    yield Problem(
        prompt=f"Take the text {start} and, in this order:\n{listed}\n"
        "Positions are counted from 1, in the text as it is by then. Answer with the text that comes out.",
        reference={"solution": texts[-1]},
        metadata={"texts": texts[1:]},
        key=f"{start}: {'; '.join(edits)}",
    )
