"""Dates of the Gregorian calendar from 1600 to 2399, leap years by its rule.

Level 1: the date so many days later, up to 90. Level 2: up to 2,000. Level 3: the days between two dates.
Level 4: the date so many working days (Monday to Friday) later. 280,000 days to start from make more than
10^7 problems at each level.
"""

import datetime as dt
import random
import re
from collections.abc import Iterator

from ...verifiers import Criterion, Rubric, Verdict, answer_tag
from ...verifiers.types import correct, malformed, wrong
from ..common.answers import bounded, judge_number, rewrite_written, tidy
from ..common.worked import err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FORM = " Use the Gregorian calendar. Answer as YYYY-MM-DD."
_ISO = re.compile(r"(?a)(\d{4})-(\d{1,2})-(\d{1,2})")
_MONTH = "|".join(f"{month[:3]}(?:{month[3:]}|\\.)?" for month in MONTHS)
_DAY_FIRST = re.compile(rf"(?ai)(\d{{1,2}})(?:st|nd|rd|th)?\.?\s+(?:of\s+)?({_MONTH}),?\s+(\d{{4}})")
_MONTH_FIRST = re.compile(rf"(?ai)({_MONTH})\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})")
_WEEKDAY = re.compile(rf"(?i)(?:{'|'.join(DAYS)}),?\s+")


def read_date(text: str) -> dt.date | None:
    """`2024-03-05`, `5 March 2024`, `March 5, 2024`, a weekday before it or not; None for anything else, as
    for 05/03/2024, which is two dates."""
    text = _WEEKDAY.sub("", tidy(text), count=1)
    if match := _ISO.fullmatch(text):
        year, month, day = (int(each) for each in match.groups())
    elif match := _DAY_FIRST.fullmatch(text):
        year, month, day = int(match[3]), _month_of(match[2]), int(match[1])
    elif match := _MONTH_FIRST.fullmatch(text):
        year, month, day = int(match[3]), _month_of(match[1]), int(match[2])
    else:
        return None
    try:
        return dt.date(year, month, day)
    except ValueError:  # there is no 30 February
        return None


def _month_of(name: str) -> int:
    return next(index for index, month in enumerate(MONTHS, 1) if month.lower().startswith(name[:3].lower()))


def rewrite_date(answer: str) -> Iterator[str]:
    """`5 March 2024`, `March 5, 2024`, with the weekday; a number of days as a number is written."""
    date = read_date(answer)
    if date is None:
        yield from rewrite_written(answer)
        return
    month = MONTHS[date.month - 1]
    yield f"{date.day} {month} {date.year}"
    yield f"{month} {date.day}, {date.year}"
    yield f"{DAYS[date.weekday()]}, {date.day} {month[:3]} {date.year}"


def is_date(name: str = "date") -> Criterion:
    """The answer is the reference's date, or its number of days."""

    def equal(reference: dict, answer: str) -> Verdict:
        if "after" in reference:
            return judge_number(reference, answer)
        value = read_date(answer)
        if value is None:
            return malformed(answer[:80], "Not a date.")
        return correct(answer) if value.isoformat() == reference["answer"] else wrong(answer, "Another date.")

    return bounded(name, equal, rewrite_date)


def say(rng: random.Random, day: dt.date) -> str:
    """A date in one of the forms that people write and nobody misreads."""
    month = MONTHS[day.month - 1]
    return rng.choice((f"{month} {day.day}, {day.year}", f"{day.day} {month} {day.year}", day.isoformat()))


def first_of_next(day: dt.date) -> dt.date:
    return dt.date(day.year + day.month // 12, day.month % 12 + 1, 1)


def step_through(day: dt.date, days: int) -> list[str]:
    """The first days of the years, then of the months, on the way to a later date."""
    steps, left = [], days
    while left:
        year_end = dt.date(day.year + 1, 1, 1)
        ahead = year_end if (year_end - day).days <= left else first_of_next(day)
        if (ahead - day).days > left:
            ahead = day + dt.timedelta(left)
        left -= (ahead - day).days
        steps.append(f"{ahead}: {left} left")
        day = ahead
    return steps


def add_working_days(day: dt.date, count: int) -> tuple[dt.date, list[str]]:
    """The date so many working days after a date, and the steps: whole weeks first."""
    weeks, rest = divmod(count, 5)
    later = day + dt.timedelta(7 * weeks)
    steps = [
        f"{count} = {weeks} * 5 + {rest}, {weeks} weeks = {7 * weeks} days",
        *step_through(day, 7 * weeks),
    ]
    while rest or later.weekday() > 4:
        later += dt.timedelta(1)
        rest -= later.weekday() < 5
        steps.append(f"{later}, {DAYS[later.weekday()]}, {rest} left")
    return later, steps


def ask_work(rng: random.Random, start: dt.date) -> Problem:
    """The date so many working days after a working day."""
    start -= dt.timedelta(max(0, start.weekday() - 4))
    count = rng.randint(2_000, 8_000)
    end, steps = add_working_days(start, count)
    named = DAYS[start.weekday()]
    prompt = rng.choice(
        (
            f"{say(rng, start)} is a {named}. Work begins on the next working day and takes {count} working "
            "days, Monday to Friday, without holidays. On which date is the last of them?",
            f"Counting Monday to Friday only, which date is {count} working days after {say(rng, start)}, a "
            f"{named}?",
        )
    )
    return Problem(prompt + FORM, {"answer": end.isoformat()}, {"steps": steps}, key=f"work {start} {count}")


def ask_between(rng: random.Random, start: dt.date, end: dt.date) -> Problem:
    """The days from a date to a later one, by whole years, months and days."""
    early, late = say(rng, start), say(rng, end)
    prompt = rng.choice(
        (
            f"How many days after {early} is {late}?",
            f"A loan runs from {early} to {late}. How many days is that, not counting the first day?",
        )
    )
    steps, ahead = [], start
    while ahead < end:
        year_end = dt.date(ahead.year + 1, 1, 1)
        whole = ahead.day == ahead.month == 1 and year_end <= end
        following = year_end if whole else min(first_of_next(ahead), end)
        gone = (ahead - start).days
        steps.append(f"{following}: {gone} + {(following - ahead).days} = {(following - start).days}")
        ahead = following
    return Problem(
        prompt + " Use the Gregorian calendar. Answer with the number of days.",
        {"answer": str((end - start).days), "after": ["days", "day"], "whole": True},
        {"steps": steps},
        key=f"between {start} {end}",
    )


@task(
    "dates",
    rubric=Rubric(is_date(), answer_tag(weight=0.1)),
    levels=4,
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=250),
    licence="Apache-2.0",
)
def dates(rng: random.Random, level: int) -> Problem:
    """Dates so many days away, days between dates, working days; of the Gregorian calendar."""
    start = dt.date(1600, 1, 1) + dt.timedelta(rng.randrange(280_000))
    if level == 4:
        return ask_work(rng, start)
    days = rng.randint(8, 90) if level == 1 else rng.randint(200, 2_000 if level == 2 else 3_000)
    end = start + dt.timedelta(days)
    if level == 3:
        return ask_between(rng, start, end)
    prompt = rng.choice(
        (
            f"What is the date {days} days after {say(rng, start)}?",
            f"Today is {say(rng, start)}. Which date is it in {days} days?",
        )
    )
    steps, key = step_through(start, days), f"after {start} {days}"
    return Problem(prompt + FORM, {"answer": end.isoformat()}, {"steps": steps}, key=key)
