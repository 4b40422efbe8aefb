"""Sort words by rules: by length, by their ends, by an alphabet of another order, ties by a further rule.

Each level has more words and more rules.
"""

import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ...verifiers import Rubric, answer_tag
from ..common.puzzles import err_by_step, puzzle, rewrite_list, split_words, work_out
from ..common.words import WORDS
from ..core.problem import Problem
from ..core.task import task

COUNTS = (6, 8, 11, 15)  # words; by level
RULES = (1, 2, 2, 3)  # before the last one, the alphabet
ALPHABET = string.ascii_lowercase


@dataclass(frozen=True)
class Rule:
    text: str
    key: Callable[[str], Any]


def draw_rules(rng: random.Random, count: int) -> list[Rule]:
    """Rules of different kinds; the last one leaves no ties among different words."""
    letter = rng.choice("aeinorst")
    turned = rng.choice(ALPHABET[5:20])
    order = ALPHABET[ALPHABET.index(turned) :] + ALPHABET[: ALPHABET.index(turned)]
    sign = rng.choice((1, -1))
    kinds = [
        Rule("from short to long" if sign > 0 else "from long to short", lambda word: sign * len(word)),
        Rule("by their last letter", lambda word: word[-1]),
        Rule("by their second letter", lambda word: word[1]),
        Rule(
            "by the number of vowels (a, e, i, o, u), fewest first",
            lambda word: sum(c in "aeiou" for c in word),
        ),
        Rule(f"those with the letter {letter} first", lambda word: letter not in word),
        Rule("by how many different letters they have, most first", lambda word: -len(set(word))),
    ]
    last = [
        Rule("by the alphabet", lambda word: word),
        Rule("by the alphabet backwards, z first", lambda word: [-ord(c) for c in word] + [0]),
        Rule(f"by an alphabet that begins with {turned} and, after z, goes on from a",
             lambda word: [order.index(c) for c in word]),
        Rule("by the alphabet as if they were spelt backwards", lambda word: word[::-1]),
    ]  # fmt: skip
    return [*rng.sample(kinds, count), rng.choice(last)]


def find_fault(reference: dict, answer: str) -> str:
    """Whether these are the words, in order."""
    words = [word.lower() for word in split_words(answer)]
    if words == reference["sorted"]:
        return ""
    if sorted(words) != sorted(reference["sorted"]):
        return "These are not the words."
    place = next(
        place for place, pair in enumerate(zip(words, reference["sorted"], strict=True)) if len({*pair}) > 1
    )
    return f"Word {place + 1} is out of order."


def solve(problem: Problem) -> str:
    """The groups that the rules before the last one make, in their order; then the words."""
    return work_out(problem.metadata["groups"], problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Comparisons of merge sort at most, each by all rules."""
    count = len(problem.reference["sorted"])
    return count * count.bit_length() * problem.metadata["rules"]


@task(
    "sort_words",
    rubric=Rubric(puzzle("order", find_fault, rewrite=rewrite_list), answer_tag(weight=0.1)),
    levels=len(COUNTS),
    kind="language",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=120),
    licence="Apache-2.0",
)
def sort_words(rng: random.Random, level: int) -> Iterator[Problem]:
    """Sort words by rules; 6 words by two rules up to 15 by four."""
    words = rng.sample(WORDS, COUNTS[level - 1])
    *rules, last = draw_rules(rng, RULES[level - 1])
    in_order = sorted(words, key=lambda word: ([rule.key(word) for rule in rules], last.key(word)))
    groups: dict[str, list[str]] = {}
    for word in in_order:
        groups.setdefault(str([rule.key(word) for rule in rules]), []).append(word)
    said = "; words alike in that ".join(rule.text for rule in [*rules, last])
    yield Problem(
        prompt=f"Sort these words {said}:\n{' '.join(words)}\nAnswer with the words in order, separated by "
        "blanks.",
        reference={"sorted": in_order, "solution": " ".join(in_order)},
        metadata={"groups": list(map(" ".join, groups.values())), "rules": len(rules) + 1},
        key=f"{said}: {' '.join(sorted(words))}",
    )
