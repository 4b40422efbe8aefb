"""Steps on a list of whole numbers, each in words, as a function and as a Python expression."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Numbers = list[int]


@dataclass(frozen=True)
class Step:
    """code: an expression with `{x}`, once, for the list.  numbered: whether it has a number of any size."""

    text: str
    apply: Callable[[Numbers], Numbers]
    code: str
    numbered: bool = False


def list_steps(number: int, small: int) -> list[Step]:
    """Every step, with a number of any size and one of 2 to 5 in those that have one."""
    n, k = number, small
    return [
        Step(f"add {n} to each", lambda x: [v + n for v in x], f"[v+{n} for v in {{x}}]", True),
        Step(f"subtract each from {n}", lambda x: [n - v for v in x], f"[{n}-v for v in {{x}}]", True),
        Step(f"multiply each by {k}", lambda x: [v * k for v in x], f"[v*{k} for v in {{x}}]"),
        Step(
            f"replace each by its remainder modulo {n + 1} (0 or more)",
            lambda x: [v % (n + 1) for v in x],
            f"[v%{n + 1} for v in {{x}}]",
            True,
        ),
        Step(
            f"keep those above {n}", lambda x: [v for v in x if v > n], f"[v for v in {{x}} if v>{n}]", True
        ),
        Step(
            f"keep those below {n}", lambda x: [v for v in x if v < n], f"[v for v in {{x}} if v<{n}]", True
        ),
        Step(
            f"keep the multiples of {k}",
            lambda x: [v for v in x if v % k == 0],
            f"[v for v in {{x}} if v%{k}<1]",
        ),
        Step(
            f"leave out the multiples of {k}",
            lambda x: [v for v in x if v % k],
            f"[v for v in {{x}} if v%{k}]",
        ),
        Step(
            f"cap each at {n} at most", lambda x: [min(v, n) for v in x], f"[min(v,{n}) for v in {{x}}]", True
        ),
        Step(
            f"raise each to {n} at least",
            lambda x: [max(v, n) for v in x],
            f"[max(v,{n}) for v in {{x}}]",
            True,
        ),
        Step("sort from small to large", sorted, "sorted({x})"),
        Step("sort from large to small", lambda x: sorted(x)[::-1], "sorted({x})[::-1]"),
        Step("reverse the order", lambda x: x[::-1], "{x}[::-1]"),
        Step("leave out the first one, if there is one", lambda x: x[1:], "{x}[1:]"),
        Step("leave out the last one, if there is one", lambda x: x[:-1], "{x}[:-1]"),
        Step("keep the first, third, fifth and so on", lambda x: x[::2], "{x}[::2]"),
        Step(f"keep the first {k}, or all if there are fewer", lambda x: x[:k], f"{{x}}[:{k}]"),
        Step(
            "leave out those that were there before",
            lambda x: list(dict.fromkeys(x)),
            "[*dict.fromkeys({x})]",
        ),
        Step("put the list after itself", lambda x: x + x, "{x}*2"),
        Step("square each", lambda x: [v * v for v in x], "[v*v for v in {x}]"),
        Step("replace each by its absolute value", lambda x: [abs(v) for v in x], "[*map(abs,{x})]"),
    ]


def draw_steps(rng: random.Random, count: int, largest: int) -> list[Step]:
    """Different steps, each with numbers of its own: 1 to `largest`, and 2 to 5."""
    places = rng.sample(range(len(list_steps(1, 2))), count)
    return [list_steps(rng.randint(1, largest), rng.randint(2, 5))[place] for place in places]


def run(steps: Sequence[Step], numbers: Numbers) -> Numbers:
    for step in steps:
        numbers = step.apply(numbers)
    return numbers


def write_code(steps: Sequence[Step], name: str = "x") -> str:
    """One expression of Python that makes all steps."""
    code = name
    for step in steps:
        code = step.code.replace("{x}", code)
    return code


def draw_numbers(rng: random.Random, count: int, largest: int) -> Numbers:
    """Numbers around 0, some of them twice."""
    numbers = [rng.randint(-largest // 2, largest) for _ in range(count)]
    return [rng.choice(numbers) if rng.random() < 0.2 else number for number in numbers]


def draw_tests(rng: random.Random, count: int, fewest: int, most: int, largest: int) -> list[Numbers]:
    """Lists to test a program on, of `fewest` to `most` numbers each; the last of them is empty."""
    return [*(draw_numbers(rng, rng.randint(fewest, most), largest) for _ in range(count - 1)), []]


def write_calls(inputs: Sequence[Numbers], outputs: Sequence[Numbers]) -> list[dict[str, Any]]:
    """What a function of one list has to return, as the reference of a program's tests has it."""
    return [{"args": [i], "expected": o} for i, o in zip(inputs, outputs, strict=True)]
