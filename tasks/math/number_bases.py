"""Numbers in other bases: written, read, moved from one base to another, added and multiplied.

Level 1: to a base. Level 2: from one base to another. Level 3: a sum in a base. Level 4: a product. Digits
beyond 9 are the letters a to z, in either case. Numbers go to 10^6 at level 1, in 30 bases; above to 10^8.
"""

import random
import string
from collections.abc import Iterator

from ...verifiers import Criterion, Rubric, Verdict, answer_tag
from ...verifiers.types import correct, malformed, wrong
from ..common.answers import bounded, tidy
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

DIGITS = string.digits + string.ascii_lowercase
BASES = (*range(2, 10), *range(11, 37))
LETTERS = " Digits from 10 on are the letters a to z."
PREFIXES = {2: "0b", 8: "0o", 16: "0x"}


def write_in(base: int, number: int) -> str:
    """A number of 0 or more in a base from 2 to 36."""
    digits = ""
    while number:
        number, digit = divmod(number, base)
        digits = DIGITS[digit] + digits
    return digits or "0"


def read_in(base: int, text: str) -> int | None:
    """A numeral in a base, with the base behind it or not; None for anything else."""
    text = tidy(text).lower()
    for ending in (f"_{{{base}}}", f"_{base}", f"(base {base})", f"in base {base}", f"base {base}"):
        text = text.removesuffix(ending).strip()
    text = text.removeprefix(PREFIXES.get(base, "")) if len(text) > 2 else text
    allowed = DIGITS[:base]
    return int(text, base) if text and all(character in allowed for character in text) else None


def is_numeral(name: str = "numeral") -> Criterion:
    """The answer is the reference's number in the reference's base."""

    def equal(reference: dict, answer: str) -> Verdict:
        value = read_in(reference["base"], answer)
        if value is None:
            return malformed(answer[:80], f"Not a numeral in base {reference['base']}.")
        same = value == int(reference["answer"], reference["base"])
        return correct(answer) if same else wrong(answer, "Another number.")

    return bounded(name, equal, rewrite_numeral)


def rewrite_numeral(answer: str) -> Iterator[str]:
    """The same numeral in capitals, and with a zero before it."""
    yield answer.upper()
    yield f"0{answer}"


def divide_down(base: int, number: int) -> list[str]:
    """The divisions that give the digits of a number in a base, the last digit first."""
    steps = []
    while number:
        steps.append(f"{number} = {number // base} * {base} + {number % base}")
        number //= base
    return steps


@task(
    "number_bases",
    rubric=Rubric(is_numeral(), answer_tag(weight=0.1)),
    levels=4,
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=210),
    licence="Apache-2.0",
)
def number_bases(rng: random.Random, level: int) -> Problem:
    """Numbers in bases 2 to 36: written, moved from one base to another, added, multiplied."""
    base = source = rng.choice(BASES)
    if level == 1:
        number = rng.randrange(1_000, 1_000_000)
        prompt = rng.choice(
            ("Write the decimal number {} in base {}.", "Convert {} from decimal to base {}.")
        )
        prompt, key, steps = prompt.format(number, base), f"{number} to {base}", []
    elif level == 2:
        number, source = rng.randrange(10_000, 10_000_000), rng.choice(BASES)
        while source == base:
            source = rng.choice(BASES)
        shown = write_in(source, number)
        prompt = rng.choice(
            ("Convert {} from base {} to base {}.", "The number {} is in base {}. Write it in base {}.")
        )
        prompt, key = prompt.format(shown, source, base), f"{number} from {source} to {base}"
        steps = [f"{shown} in base {source} is {number}"]
    else:
        a, b = (rng.randrange(1_000, 100_000 if level == 4 else 10_000_000) for _ in range(2))
        sign, number = ("+", a + b) if level == 3 else ("*", a * b)
        left, right = write_in(base, a), write_in(base, b)
        prompt = rng.choice(
            (
                "All numerals are in base {2}. What is {0} {3} {1}? Answer in base {2}.",
                "Calculate {0} {3} {1}, all in base {2}: read both numerals in it, and answer in it.",
            )
        )
        prompt, key = prompt.format(left, right, base, sign), f"{min(a, b)} {sign} {max(a, b)} in {base}"
        steps = [f"{left} is {a}", f"{right} is {b}", f"{a} {sign} {b} = {number}"]
    steps += divide_down(base, number)
    prompt += LETTERS if max(base, source) > 10 else ""
    return Problem(prompt, {"base": base, "answer": write_in(base, number)}, {"steps": steps}, key=key)
