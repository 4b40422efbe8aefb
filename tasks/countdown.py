"""Reach a target with + - * / and parentheses, using each given number exactly once.

Each level adds a number.
"""

import random
from collections.abc import Iterator

from ..verifiers import Criterion, Rubric, Verdict, answer_criterion, answer_tag
from ..verifiers.arithmetic import Grammar, NotArithmetic, evaluate
from ..verifiers.types import correct, malformed, wrong
from .core.problem import Problem
from .core.task import task

LEVELS = 4  # 3 to 6 numbers
TRIES = 60  # of the scripted solver
GRAMMAR = Grammar(max_chars=200, max_depth=20, max_digits=200, unary=False, plain=True)


def judge(numbers: list[int], target: int, answer: str) -> Verdict:
    """Whether an expression of GRAMMAR uses exactly these numbers and reaches the target."""
    try:
        arithmetic = evaluate(answer, GRAMMAR)
    except NotArithmetic as refusal:
        return malformed(answer if len(answer) <= GRAMMAR.max_chars else None, str(refusal))
    if sorted(arithmetic.numbers) != sorted(numbers):
        return wrong(answer, f"It uses {list(arithmetic.numbers)}, not each of {numbers} once.")
    return (
        correct(answer)
        if arithmetic.value == target
        else wrong(answer, f"It makes {arithmetic.value}, not {target}.")
    )


def reaches_target(name: str = "countdown") -> Criterion:
    """The answer is an expression over the given numbers, each used exactly once, that makes the target.

    The reference has `numbers`, `target` and, where one is known, a `solution`.
    """

    def equation(reference: dict, answer: str) -> Verdict:
        return judge(reference["numbers"], reference["target"], answer)

    def render(reference: dict) -> str:
        return f"<answer>{reference.get('solution', '0')}</answer>"

    return answer_criterion(name, equation, sources=("tag",), render=render, rewrite=rewrite, several=True)


def rewrite(answer: str) -> Iterator[str]:
    """The same expression with blanks, and in parentheses."""
    yield answer.replace("+", " + ").replace("*", " * ")
    yield f"({answer})"


def worked(problem: Problem) -> str:
    """The steps of the known solution in a think block, then the expression."""
    return (
        f"<think>{','.join(problem.metadata['steps'])}</think>"
        f"<answer>{problem.reference['solution']}</answer>"
    )


def try_at_random(problem: Problem, rng: random.Random) -> str:
    """The first of `TRIES` random expressions that makes the target; the last of them where none does."""
    text = ""
    for _ in range(TRIES):
        terms = [(number, str(number)) for number in problem.reference["numbers"]]
        while len(terms) > 1:
            left, right = (terms.pop(rng.randrange(len(terms))) for _ in range(2))
            value, text, _step = _combine(rng, left, right)
            terms.append((value, text))
        if terms[0][0] == problem.reference["target"]:
            break
    return f"<answer>{text[1:-1]}</answer>"


def _combine(rng: random.Random, left: tuple[int, str], right: tuple[int, str]) -> tuple[int, str, str]:
    """One operation on two whole numbers that gives a whole number >= 0: value, expression, step."""
    (a, a_text), (b, b_text) = max(left, right), min(left, right)
    allowed = ["+", "-"] + (["*"] if a * b <= 1_000 else []) + (["/"] if b > 1 and a % b == 0 else [])
    sign = rng.choice(allowed)
    value = {"+": a + b, "-": a - b, "*": a * b, "/": a // b if b else 0}[sign]
    return value, f"({a_text}{sign}{b_text})", f"{a}{sign}{b}={value}"


@task(
    "countdown",
    rubric=Rubric(reaches_target(), answer_tag(weight=0.1)),
    levels=LEVELS,
    kind="math",
    solve=worked,
    attempt=try_at_random,
    licence="Apache-2.0",
)
def countdown(rng: random.Random, level: int, *, largest: int = 20) -> Iterator[Problem]:
    """Reach a target from given numbers (1 to `largest`), each used exactly once;
    level 1 has three numbers."""
    numbers = [rng.randint(1, largest) for _ in range(level + 2)]
    terms, steps = [(number, str(number)) for number in numbers], []
    while len(terms) > 1:
        left, right = (terms.pop(rng.randrange(len(terms))) for _ in range(2))
        value, text, step = _combine(rng, left, right)
        terms.append((value, text))
        steps.append(step)
    target, solution = terms[0][0], terms[0][1][1:-1]
    yield Problem(
        prompt=f"Use {' '.join(map(str, numbers))} once each with + - * / ( ) to make {target}.",
        reference={"numbers": numbers, "target": target, "solution": solution},
        metadata={"steps": steps},
        key=f"{' '.join(map(str, sorted(numbers)))} = {target}",
    )
