"""Find which row of a table is meant, by questions that are answered with yes or no.

Each level has more rows. The questions are as many as it takes to ask each time for what splits the rows that
are left best.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence

from ...verifiers import Rubric
from ...verifiers.criteria.reached import reached
from ..common.games import Game, read_action
from ..core.episode import EpisodeLimits
from ..core.problem import Problem
from ..core.task import task

ROWS = (6, 12, 20, 32)  # by level
COLUMNS = (3, 4, 5, 6)
MOST_QUESTIONS = 20
VALUES = {
    "colour": ("red", "green", "blue", "yellow", "white", "black"),
    "size": ("tiny", "small", "middling", "large", "huge"),
    "shape": ("round", "square", "long", "flat"),
    "material": ("wood", "iron", "glass", "stone", "wool", "paper"),
    "origin": ("north", "south", "east", "west"),
    "age": ("new", "old", "ancient"),
    "weight": ("light", "heavy"),
    "smell": ("sweet", "sour", "none", "smoky"),
}
_THINGS = """
anchor basket bell bottle bowl box bridge brush bucket button candle cart chain chair chest clock coat
comb crown cup curtain drum fan feather fence flag flute fork frame gate glove hammer hat hook horn jar
key kite knife ladder lamp lantern lens lid lock mask mat mirror mug nail needle net oar oven pan pen
pipe plate plough pot purse rake ring rope saddle sail saw scarf shelf shield shoe shovel sieve spoon
stool sword table tent thimble toy tray umbrella vase violin wagon wheel whistle
"""
THINGS = tuple(_THINGS.split())
FILLERS = {"is", "it", "its", "the", "a", "an", "of", "made", "does", "has", "have"}
Row = Mapping[str, str]


class TwentyQuestions(Game):
    """It means one row, and says of a thing, or of a column's value, whether that is the row's."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reference["questions"])
        self.rows: Sequence[Row] = problem.reference["rows"]
        self.meant: Row = self.rows[problem.reference["place"]]

    def answer(self, said: str) -> str:
        words = [word for word in re.findall(r"[a-z]+", read_action(said).lower()) if word not in FILLERS]
        match words:
            case [thing] if any(row["thing"] == thing for row in self.rows):
                if thing == self.meant["thing"]:
                    return self.end("It is found.", 1.0)
                return f"No. {self.left}"
            case [column, value] if column != "thing" and value in {row.get(column) for row in self.rows}:
                return f"{'Yes' if self.meant[column] == value else 'No'}. {self.left}"
        return f"Ask for a column and a value, as: colour red. Or name a thing. {self.left}"


def narrow(problem: Problem) -> Generator[str, str, None]:
    """The question that splits the rows that are left best; the thing once one or two are."""
    left: list[Row] = list(problem.reference["rows"])
    while True:
        asked = pick_question(left)
        said = yield asked
        yes = said.startswith("Yes")
        left = [row for row in left if holds(row, asked) == yes]


def pick_question(rows: Sequence[Row]) -> str:
    if len(rows) <= 2:
        return rows[0]["thing"]
    pairs = Counter(pair for row in rows for pair in row.items() if pair[0] != "thing")
    column, value = min(pairs, key=lambda pair: abs(2 * pairs[pair] - len(rows)))
    return f"{column} {value}"


def holds(row: Row, asked: str) -> bool:
    column, _, value = asked.partition(" ")
    return row[column] == value if value else row["thing"] == asked


def count_questions(rows: Sequence[Row]) -> int:
    """The questions that `narrow` needs for the row that takes it longest."""
    if len(rows) <= 1:
        return len(rows)
    asked = pick_question(rows)
    parts = [[row for row in rows if holds(row, asked) == yes] for yes in (True, False)]
    if " " not in asked:  # a thing: when it is the one, the game is over
        return 1 + count_questions(parts[1])
    return 1 + max(map(count_questions, parts)) if all(parts) else MOST_QUESTIONS + 1


@task(
    "twenty_questions",
    rubric=Rubric(reached()),
    levels=len(ROWS),
    kind="logic",
    episode=TwentyQuestions,
    player=narrow,
    limits=EpisodeLimits(turns=MOST_QUESTIONS, tokens_per_turn=32),
    licence="Apache-2.0",
)
def twenty_questions(rng: random.Random, level: int) -> Iterator[Problem]:
    """Find a row of a table by questions answered with yes or no; among 6, 12, 20 and 32 rows."""
    count = ROWS[level - 1]
    while True:
        columns = rng.sample(sorted(VALUES), COLUMNS[level - 1])
        things = rng.sample(THINGS, count)
        rows = [{"thing": thing} | {name: rng.choice(VALUES[name]) for name in columns} for thing in things]
        questions = count_questions(rows)
        if questions <= MOST_QUESTIONS:
            break
    lines = [", ".join(("thing", *columns)), *(", ".join(row.values()) for row in rows)]
    table = "\n".join(lines)
    yield Problem(
        prompt=f"{table}\nI mean one of these things. Find it by questions that I answer with yes or no, one "
        f"a turn: a column and a value, as `{columns[0]} {rows[0][columns[0]]}`, or a thing. You win when "
        f"you name it. You have {questions} questions.",
        reference={"rows": rows, "place": rng.randrange(count), "questions": questions},
    )
