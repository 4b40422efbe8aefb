"""Write a query that answers a question about two tables; it is run in SQLite on hidden databases.

Each level asks for more: conditions, groups, a join with groups, comparisons with other rows. The hidden
databases tell the right query from near misses: each of them gives other rows in one of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ...verifiers import Rubric, answer_tag
from ...verifiers.criteria.sql import sql
from ..common.puzzles import err_by_step, work_out
from ..common.words import FIRST_NAMES
from ..core.problem import Problem
from ..core.task import task

LEVELS = 4
HIDDEN = 3  # databases
NAMES = FIRST_NAMES[:12]
CITIES = ("Oslo", "Rome", "Lima", "Bern", "Cairo")


@dataclass(frozen=True)
class Theme:
    """Names of the tables and columns: `people` has id, name, city; `events` has who, what, much, day."""

    people: str
    events: str
    who: str
    what: str
    much: str
    kinds: tuple[str, ...]


THEMES = (
    Theme("customers", "orders", "customer_id", "item", "amount", ("tea", "rice", "salt", "milk", "honey")),
    Theme("students", "exams", "student_id", "subject", "points", ("music", "maths", "latin", "art", "law")),
    Theme("drivers", "trips", "driver_id", "place", "distance", ("port", "mill", "farm", "mine", "camp")),
    Theme(
        "players", "games", "player_id", "board", "score", ("chess", "go", "draughts", "dominoes", "cards")
    ),
)


@dataclass(frozen=True)
class Asked:
    """A question with its query, and queries that miss it narrowly."""

    text: str
    query: str
    near: tuple[str, ...]
    ordered: bool = False


@dataclass(frozen=True)
class Condition:
    """On the events, as text and as SQL; near: wrong readings of it.  much, day: the numbers in it."""

    text: str
    query: str
    near: tuple[str, ...]
    much: int
    day: int


def draw_condition(rng: random.Random, theme: Theme, prefix: str = "") -> Condition:
    """Of the amount and the day, both or one of them."""
    much, day = rng.randint(15, 85), rng.randint(6, 25)
    more, later, both = rng.random() < 0.5, rng.random() < 0.5, rng.random() < 0.6
    first, second = ("> " if more else "< ") + str(much), (">= " if later else "<= ") + str(day)
    joint = "AND" if both else "OR"
    column, days = f"{prefix}{theme.much}", f"{prefix}day"

    def write(one: str, two: str, sign: str = joint) -> str:
        return f"({column} {one} {sign} {days} {two})"

    return Condition(
        f"{theme.much} is {'above' if more else 'below'} {much} {'and' if both else 'or'} "
        f"day is {day} or {'later' if later else 'earlier'}",
        write(first, second),
        (
            write(first[0] + "=" + first[1:], second),
            write(first, second.replace("=", "")),
            write(first, second, "OR" if both else "AND"),
        ),
        much,
        day,
    )


def ask_rows(rng: random.Random, theme: Theme) -> tuple[Asked, Condition]:
    """Columns of the events under a condition."""
    condition = draw_condition(rng, theme)
    columns = rng.sample((theme.what, theme.much, "day"), rng.choice((2, 3)))
    kind = rng.choice(theme.kinds)
    sign = rng.choice(("=", "<>"))
    shown = ", ".join(columns)
    start = f"SELECT {shown} FROM {theme.events} WHERE"
    where = f"{theme.what} {sign} '{kind}'"
    text = (
        f"For each of the {theme.events} whose {theme.what} is {'' if sign == '=' else 'not '}{kind} and "
        "for which "
        f"({condition.text}): {shown}."
    )
    near = [f"{start} {where} AND {wrong}" for wrong in condition.near]
    return Asked(
        text, f"{start} {where} AND {condition.query}", (*near, f"{start} {condition.query}")
    ), condition


AGGREGATES = {"the sum of {}": "SUM({})", "the largest {}": "MAX({})", "the smallest {}": "MIN({})"}


def ask_groups(rng: random.Random, theme: Theme) -> tuple[Asked, Condition]:
    """Events in groups, those with enough rows."""
    condition = draw_condition(rng, theme)
    by = rng.choice((theme.what, theme.who))
    said, call = rng.choice(list(AGGREGATES.items()))
    column = rng.choice((theme.much, "day"))
    least = rng.randint(2, 4)

    def write(where: str, value: str = call, rows: int = least) -> str:
        return (
            f"SELECT {by}, {value.format(column)} FROM {theme.events} WHERE {where} GROUP BY {by} "
            f"HAVING COUNT(*) >= {rows}"
        )

    text = (
        f"Of the {theme.events} for which ({condition.text}): for each {by} that has at least {least} of "
        "them, "
        f"{by} and {said.format(column)} of them."
    )
    near = [
        *map(write, condition.near),
        write("1"),
        write(condition.query, "COUNT({})"),
        write(condition.query, rows=1),
    ]
    return Asked(text, write(condition.query), tuple(near)), condition


def ask_joined(rng: random.Random, theme: Theme) -> tuple[Asked, Condition]:
    """Groups by what stands in the other table, in order."""
    condition = draw_condition(rng, theme, "e.")
    kind = rng.choice(theme.kinds)
    said, call = rng.choice(
        [*AGGREGATES.items(), ("the number of {} values that differ", "COUNT(DISTINCT {})")]
    )
    column = rng.choice((theme.much, "day"))
    down = rng.random() < 0.5

    def write(where: str, value: str = call, order: bool = down) -> str:
        return (
            f"SELECT p.city, {value.format('e.' + column)} FROM {theme.people} p JOIN {theme.events} e "
            f"ON e.{theme.who} = p.id WHERE {where} GROUP BY p.city ORDER BY p.city{' DESC' if order else ''}"
        )

    where = f"e.{theme.what} <> '{kind}' AND "
    text = (
        f"Of the {theme.events} whose {theme.what} is not {kind} and for which ({condition.text}): for "
        "each city that "
        f"has some, the city of the {theme.people} and {said.format(column)} of them. Order the rows by city "
        f"{'from Z to A' if down else 'from A to Z'}."
    )
    near = [write(where + wrong) for wrong in condition.near]
    near += [write(condition.query), write(where + condition.query, order=not down)]
    return Asked(text, write(where + condition.query), tuple(near), ordered=True), condition


def ask_without(rng: random.Random, theme: Theme) -> tuple[Asked, Condition]:
    """People without an event of some kind."""
    condition = draw_condition(rng, theme, "e.")
    kind, sign = rng.choice(theme.kinds), rng.choice(("=", "<>"))
    columns = rng.choice((("name",), ("name", "city"), ("city", "name")))

    def write(inside: str, negated: str = "NOT ") -> str:
        return (
            f"SELECT {', '.join('p.' + column for column in columns)} FROM {theme.people} p "
            f"WHERE {negated}EXISTS (SELECT 1 FROM {theme.events} e WHERE e.{theme.who} = p.id AND {inside})"
        )

    inside = f"e.{theme.what} {sign} '{kind}' AND "
    text = (
        f"For each of the {theme.people} who has none of the {theme.events} whose {theme.what} is "
        f"{'' if sign == '=' else 'not '}{kind} and for which ({condition.text}): {', '.join(columns)}."
    )
    near = [write(inside + wrong) for wrong in condition.near]
    near += [write(condition.query), write(inside + condition.query, "")]
    return Asked(text, write(inside + condition.query), tuple(near)), condition


def ask_average(rng: random.Random, theme: Theme) -> tuple[Asked, Condition]:
    """People whose total is above the average total."""
    condition = draw_condition(rng, theme)
    kind = rng.choice(theme.kinds)
    call, said = rng.choice((("SUM", "sum"), ("MAX", "maximum")))
    sign, word = rng.choice(((">", "above"), ("<", "below")))

    def write(where: str, value: str = call, compare: str = sign) -> str:
        grouped = (
            f"SELECT {theme.who} AS who, {value}({theme.much}) AS total FROM {theme.events} "
            f"WHERE {where} GROUP BY {theme.who}"
        )
        return (
            f"SELECT p.name, t.total FROM {theme.people} p JOIN ({grouped}) t ON t.who = p.id "
            f"WHERE t.total {compare} (SELECT AVG(total) FROM ({grouped}))"
        )

    where = f"{theme.what} <> '{kind}' AND "
    text = (
        f"Take only the {theme.events} whose {theme.what} is not {kind} and for which ({condition.text}). "
        f"For each of the {theme.people} who has some, form the {said} of {theme.much}. "
        f"Name and this {said} of all for whom it is {word} the average of these numbers."
    )
    other = "MAX" if call == "SUM" else "SUM"
    near = [write(where + wrong) for wrong in condition.near]
    near += [write(condition.query), write(where + condition.query, other)]
    near.append(write(where + condition.query, compare="<" if sign == ">" else ">"))
    return Asked(text, write(where + condition.query), tuple(near)), condition


Ask = Callable[[random.Random, Theme], tuple[Asked, Condition]]
ASK: tuple[tuple[Ask, ...], ...] = ((ask_rows,), (ask_groups,), (ask_joined,), (ask_without, ask_average))


def draw_script(rng: random.Random, theme: Theme, condition: Condition, people: int, events: int) -> str:
    """A database whose numbers often lie at those of the condition."""
    names = rng.sample(NAMES, people)
    persons = ", ".join(f"({i}, '{name}', '{rng.choice(CITIES)}')" for i, name in enumerate(names, start=1))
    rows = []
    for number in range(1, events + 1):
        much = condition.much + rng.randint(-1, 1) if rng.random() < 0.3 else rng.randint(1, 99)
        day = condition.day + rng.randint(-1, 1) if rng.random() < 0.3 else rng.randint(1, 30)
        rows.append(f"({number}, {rng.randint(1, people)}, '{rng.choice(theme.kinds)}', {much}, {day})")
    return (
        f"CREATE TABLE {theme.people} (id INTEGER PRIMARY KEY, name TEXT, city TEXT);\n"
        f"CREATE TABLE {theme.events} (id INTEGER PRIMARY KEY, {theme.who} INTEGER, {theme.what} TEXT, "
        f"{theme.much} INTEGER, day INTEGER);\n"
        f"INSERT INTO {theme.people} VALUES {persons};\n"
        f"INSERT INTO {theme.events} VALUES {', '.join(rows)};"
    )


def tell_apart(asked: Asked, scripts: Sequence[str]) -> list[list[list]] | None:
    """The rows of the query in each database; None where one has none, or a near miss is as good."""
    from ...verifiers.criteria.sql_inside import open_database, read_rows  # SQLite takes a while to import

    databases = [open_database(script) for script in scripts]
    try:
        rows, *missed = (
            [read_rows(database, query, asked.ordered) for database in databases]
            for query in (asked.query, *asked.near)
        )
    finally:
        for database in databases:
            database.close()
    sound = all(rows) and len({*map(str, rows)}) == len(rows) and rows not in missed
    return rows if sound else None


def solve(problem: Problem) -> str:
    """What has to be found, then the query."""
    asked = problem.text.partition("these tables:\n")[2].partition("\n")[0]
    return work_out([asked], problem.reference["solution"])


def count_work(problem: Problem) -> int:
    """Words and signs of the query."""
    return len(problem.reference["solution"].replace("(", " ( ").replace(")", " ) ").split())


@task(
    "sql_query",
    rubric=Rubric(sql(), answer_tag(weight=0.1)),
    levels=LEVELS,
    kind="code",
    solve=solve,
    attempt=err_by_step(solve, count_work, every=35),
    licence="Apache-2.0",
)
def sql_query(rng: random.Random, level: int) -> Iterator[Problem]:
    """Write a query; a condition, groups, a join with groups, comparisons of rows; hidden databases."""
    while True:
        theme = rng.choice(THEMES)
        asked, condition = rng.choice(ASK[level - 1])(rng, theme)
        scripts = [draw_script(rng, theme, condition, 10, 40) for _ in range(HIDDEN)]
        rows = tell_apart(asked, scripts)
        if rows is not None:
            break
    shown = draw_script(rng, theme, condition, 3, 4)
    order = "" if asked.ordered else " The order of the rows does not matter."
    yield Problem(
        prompt=f"```sql\n{shown}\n```\n{theme.who} is the id of one of the {theme.people}. Write one "
        "SELECT for SQLite "
        f"that gives, for any rows in these tables:\n{asked.text}\nColumns in the order in which they are "
        "named."
        f"{order} Answer with the query alone.",
        reference={
            "databases": [{"script": s, "rows": r} for s, r in zip(scripts, rows, strict=True)],
            **{"ordered": asked.ordered, "solution": asked.query},
        },
        metadata={"near_misses": list(asked.near)},
        key=asked.query,
    )
