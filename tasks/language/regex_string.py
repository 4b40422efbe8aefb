"""Write a string that matches a regular expression and has a given length: any such string counts.

Each level has more parts and groups, and says how often some letters have to be there.
"""

import random
from collections.abc import Iterator, Mapping
from typing import Any

from ...verifiers import Rubric, answer_tag
from ..common.patterns import LETTERS, count_parts, draw_pattern, draw_text, matches, parse, write
from ..common.puzzles import Unreadable, err_by_step, puzzle, work_out
from ..core.problem import Problem
from ..core.task import task

PARTS = (4, 5, 6, 8)  # by level
DEPTHS = (0, 1, 1, 2)  # groups in groups
COUNTED = (0, 0, 1, 2)  # letters whose number is given
LONGEST = 24
MOST_DRAWS = 300  # of the scripted solver


def has_counts(text: str, reference: Mapping[str, Any]) -> bool:
    """Whether a string has the length, and the letters as often as they have to be there."""
    counts = reference["counts"].items()
    return len(text) == reference["length"] and all(text.count(letter) == count for letter, count in counts)


def find_fault(reference: dict, answer: str) -> str:
    """Whether the string has the length and the letters, and the whole of it matches."""
    text = answer.strip()
    if not text or not set(text) <= set(LETTERS):
        raise Unreadable(f"The answer is no string of the letters {LETTERS[0]} to {LETTERS[-1]}.")
    if not has_counts(text, reference):
        return "It has another length, or another number of a letter."
    return "" if matches(parse(reference["pattern"]), text) else "It does not match."


def solve(problem: Problem) -> str:
    """What each part of the pattern matches, then the string."""
    return work_out(problem.metadata["pieces"], problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Parts of the pattern that are drawn until a random string that matches it has the length and the
    letters; MOST_DRAWS strings at most."""
    rng, reference = random.Random(0), problem.reference
    node = parse(reference["pattern"])
    draws = 1
    while draws < MOST_DRAWS and not has_counts(draw_text(rng, node), reference):
        draws += 1
    return draws * count_parts(node)


@task(
    "regex_string",
    rubric=Rubric(puzzle("matches", find_fault, max_chars=200, several=True), answer_tag(weight=0.1)),
    levels=len(PARTS),
    kind="language",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=300),
    licence="Apache-2.0",
)
def regex_string(rng: random.Random, level: int) -> Iterator[Problem]:
    """Write a string that matches a regular expression; 4, 5, 6 and 8 parts, any right string."""
    while True:
        node = draw_pattern(rng, PARTS[level - 1], DEPTHS[level - 1])
        pieces = [draw_text(rng, part) for part in node.parts]
        text = "".join(pieces)
        if 4 + level <= len(text) <= LONGEST and len(set(text)) > 2:
            break
    counted = sorted(rng.sample(sorted(set(text)), COUNTED[level - 1]))
    counts = {letter: text.count(letter) for letter in counted}
    wanted = "".join(f", exactly {count} of them {letter}" for letter, count in counts.items())
    yield Problem(
        prompt=f"Write a string of exactly {len(text)} letters, all from {LETTERS[0]} to "
        f"{LETTERS[-1]}{wanted}, that "
        f"the regular expression {write(node)} matches as a whole. Answer with the string alone.",
        reference={"pattern": write(node), "length": len(text), "counts": counts, "solution": text},
        metadata={
            "pieces": [f"{write(part)} {piece}" for part, piece in zip(node.parts, pieces, strict=True)]
        },
        key=f"{write(node)} {len(text)} {counts}",
    )
