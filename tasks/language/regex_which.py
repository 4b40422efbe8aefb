"""Which of some strings does a regular expression match as a whole?

Each level has more parts and groups. What does not match is a string that does, but for one or two letters.
"""

import random
from collections.abc import Iterator

from ...verifiers import Rubric, answer_tag
from ..common.patterns import LETTERS, count_parts, draw_pattern, draw_text, matches, parse, write
from ..common.puzzles import err_by_step, puzzle, read_numbers, rewrite_list, work_out
from ..core.problem import Problem
from ..core.task import task

PARTS = (3, 4, 5, 5)  # by level
DEPTHS = (0, 1, 1, 2)  # groups in groups
STRINGS = 8


def spoil(rng: random.Random, text: str) -> str:
    """One or two letters exchanged, left out or put in."""
    for _ in range(rng.randint(1, 2)):
        place, letter = rng.randrange(len(text) + 1), rng.choice(LETTERS)
        text = text[:place] + rng.choice(("", letter)) + text[place + rng.randrange(2) :]
    return text


def find_fault(reference: dict, answer: str) -> str:
    """Whether the numbers are those of the strings that match, in any order."""
    numbers = read_numbers(answer)
    return "" if sorted(numbers) == reference["numbers"] else "These are not the strings that match."


def solve(problem: Problem) -> str:
    """Each string with yes or no, then the numbers."""
    texts, right = problem.metadata["texts"], problem.reference["numbers"]
    steps = (f"{text} {'yes' if number in right else 'no'}" for number, text in enumerate(texts, start=1))
    return work_out(steps, problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Parts of the pattern, for each letter of the strings."""
    return count_parts(parse(problem.metadata["pattern"])) * len("".join(problem.metadata["texts"]))


@task(
    "regex_which",
    rubric=Rubric(puzzle("which", find_fault, max_chars=400, rewrite=rewrite_list), answer_tag(weight=0.1)),
    levels=len(PARTS),
    kind="language",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=2000),
    licence="Apache-2.0",
)
def regex_which(rng: random.Random, level: int) -> Iterator[Problem]:
    """Which of eight strings does a regular expression match; 3, 4, 5 and 5 parts, groups in groups."""
    while True:
        node = draw_pattern(rng, PARTS[level - 1], DEPTHS[level - 1])
        right = [draw_text(rng, node) for _ in range(6)]
        drawn = [text for pair in ((text, spoil(rng, text)) for text in right) for text in pair]
        texts = list(dict.fromkeys(text for text in drawn if 2 <= len(text) <= 32))[:STRINGS]
        rng.shuffle(texts)
        numbers = [number for number, text in enumerate(texts, start=1) if matches(node, text)]
        if len(texts) == STRINGS and 2 <= len(numbers) <= STRINGS - 2:
            break
    listed = "\n".join(f"{number}. {text}" for number, text in enumerate(texts, start=1))
    yield Problem(
        prompt=f"Which of these strings does the regular expression {write(node)} match as a "
        f"whole?\n{listed}\n"
        "Answer with the numbers of all that match, separated by blanks.",
        reference={"numbers": numbers, "solution": " ".join(map(str, numbers))},
        metadata={"pattern": write(node), "texts": texts},
        key=f"{write(node)} {sorted(texts)}",
    )
