"""Answer a question about a table by adding up, selecting, grouping.

Each level has more rows and asks for more: one condition, two, products, groups.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

from ...verifiers import Rubric, answer_tag
from ...verifiers.regexes import compile_once
from ..common.puzzles import err_by_step, puzzle, split_words, work_out
from ..common.words import WORDS
from ..core.problem import Problem
from ..core.task import task

ROWS = (5, 8, 12, 18)  # by level
COLOURS = ("red", "blue", "green", "white")
SHOPS = ("North", "South", "East", "West")
PRICES, STOCKS = (11, 99), (2, 60)
THOUSANDS = r"(?<=[0-9]),(?=[0-9]{3})"
Row = dict[str, Any]  # item, colour, shop, price, stock
HEADER = "| item | colour | shop | price | stock |\n|---|---|---|---|---|"


def draw_rows(rng: random.Random, count: int) -> list[Row]:
    return [
        {
            **{"item": item, "colour": rng.choice(COLOURS), "shop": rng.choice(SHOPS)},
            **{"price": rng.randint(*PRICES), "stock": rng.randint(*STOCKS)},
        }
        for item in rng.sample(WORDS, count)
    ]


def write(rows: Sequence[Row]) -> str:
    return "\n".join([HEADER, *(f"| {' | '.join(map(str, row.values()))} |" for row in rows)])


class Question:
    """text: with the form of its answer.  rows: what it is about.  amounts: what is added up of each."""

    def __init__(self, text: str, rows: list[Row], amounts: list[int], prefix: str = "") -> None:
        self.text, self.rows, self.amounts = text, rows, amounts
        self.answer = f"{prefix} {sum(amounts)}".strip()


def ask_one(rng: random.Random, rows: list[Row]) -> Question:
    colour, column = rng.choice(COLOURS), rng.choice(("price", "stock"))
    chosen = [row for row in rows if row["colour"] == colour]
    text = f"What is the sum of the column {column} over the rows of colour {colour}? Answer with the number."
    return Question(text, chosen, [row[column] for row in chosen])


def ask_two(rng: random.Random, rows: list[Row]) -> Question:
    shop, least, column = rng.choice(SHOPS), rng.randint(20, 60), rng.choice(("price", "stock"))
    other = "stock" if column == "price" else "price"
    chosen = [row for row in rows if row["shop"] != shop and row[other] < least]
    text = (
        f"What is the sum of the column {column} over the rows that are not of shop {shop} and whose "
        f"{other} is below "
        f"{least}? Answer with the number."
    )
    return Question(text, chosen, [row[column] for row in chosen])


def ask_product(rng: random.Random, rows: list[Row]) -> Question:
    first, second = rng.sample(COLOURS, 2)
    shop = rng.choice(SHOPS)
    chosen = [row for row in rows if row["colour"] in (first, second) and row["shop"] != shop]
    text = (
        f"What is price times stock, summed over the rows of colour {first} or {second} that are not of "
        f"shop {shop}? "
        "Answer with the number."
    )
    return Question(text, chosen, [row["price"] * row["stock"] for row in chosen])


def ask_group(rng: random.Random, rows: list[Row]) -> Question:
    colour = rng.choice(COLOURS)
    kept = [row for row in rows if row["colour"] != colour]
    groups = {shop: [row for row in kept if row["shop"] == shop] for shop in SHOPS}
    totals = {shop: sum(row["price"] * row["stock"] for row in group) for shop, group in groups.items()}
    best = max(totals, key=lambda shop: totals[shop])
    if sorted(totals.values())[-1] == sorted(totals.values())[-2]:
        return Question("", [], [])
    text = (
        f"Leave out the rows of colour {colour}. For which shop is price times stock, summed over its "
        "rows, greatest, "
        "and how much is it? Answer with the shop and the number, as in North 1234."
    )
    return Question(text, groups[best], [row["price"] * row["stock"] for row in groups[best]], best)


ASK = (ask_one, ask_two, ask_product, ask_group)


def find_fault(reference: dict, answer: str) -> str:
    """Whether it is the number, with the shop where one is asked for; `1,234` is 1234."""
    words = split_words(compile_once(THOUSANDS).sub("", answer))
    return "" if " ".join(words).lower() == reference["solution"].lower() else "This is not the answer."


def solve(problem: Problem) -> str:
    """What each row adds, then the sum."""
    return work_out(problem.metadata["steps"], problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Fields of the table that have to be looked at: each row's for the conditions, and what is added up."""
    return problem.metadata["looked_at"]


@task(
    "table_question",
    rubric=Rubric(puzzle("sum", find_fault, max_chars=80), answer_tag(weight=0.1)),
    levels=len(ROWS),
    kind="language",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=25),
    licence="Apache-2.0",
)
def table_question(rng: random.Random, level: int) -> Iterator[Problem]:
    """Answer a question about a table; 5 rows and one condition up to 18 rows, products and groups."""
    while True:
        rows = draw_rows(rng, ROWS[level - 1])
        question = ASK[level - 1](rng, rows)
        if len(question.rows) >= min(level + 1, 3):
            break
    steps = [f"{row['item']} {amount}" for row, amount in zip(question.rows, question.amounts, strict=True)]
    yield Problem(
        prompt=f"{write(rows)}\n{question.text}",
        reference={"solution": question.answer},
        metadata={
            "steps": steps,
            "looked_at": min(level, 2) * len(rows) + len(question.rows) * (1 + level // 3),
        },
        key=f"{question.text} {sorted(map(str, rows))}",
    )
