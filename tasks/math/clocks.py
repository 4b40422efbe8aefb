"""Times of day on a 24-hour clock.

Level 1: so many hours and minutes later or earlier. Level 2: the same moment in another time zone, whose
offset from UTC is said, some time later. Level 3: a journey over two time zones. Level 4: a journey with a
stop, over three zones. No clock is changed on the way. Level 1 has 1,440 times and 1,440 distances, twice.
"""

import random
import re
from collections.abc import Iterator

from ...verifiers import Criterion, Rubric, Verdict, answer_tag
from ...verifiers.types import correct, malformed, wrong
from ..common.answers import bounded, tidy
from ..common.worked import Posed, err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

DAY = 24 * 60  # minutes
FORM = " Answer on the 24-hour clock, as HH:MM."
OFFSETS = (*range(-11 * 60, 13 * 60, 60), -570, -210, 210, 270, 330, 345, 570, 630)  # minutes from UTC
CITIES = ("Aven", "Brim", "Corda", "Delmar", "Esk", "Farrow", "Galen", "Holm")  # places of no real zone
_TIME = re.compile(
    r"(?ai)(\d{1,2})(?::|\.|h|\s*\{?:\}?\s*)(\d{2})(?::00)?\s*(?:h|hrs|hours|o'clock)?\s*([ap]\.?m\.?)?"
)


def read_time(text: str) -> int | None:
    """`07:05`, `7:05 PM`, `19:05 h` as minutes from midnight; None for anything else. 24:00 is 00:00."""
    match = _TIME.fullmatch(re.sub(r"\s*\((?:the )?(?:next|following|previous|same) day\)$", "", tidy(text)))
    if match is None:
        return None
    hours, minutes, half = int(match[1]), int(match[2]), (match[3] or "").lower().replace(".", "")
    if minutes > 59 or hours > 24 or (hours == 24 and minutes) or (half and not 1 <= hours <= 12):
        return None
    if half:
        hours = hours % 12 + (12 if half == "pm" else 0)
    return hours % 24 * 60 + minutes


def rewrite_time(answer: str) -> Iterator[str]:
    """`7:05 PM` and `19:05 h` for `19:05`."""
    minutes = read_time(answer)
    if minutes is None:
        return
    hours, rest = divmod(minutes, 60)
    yield f"{hours % 12 or 12}:{rest:02} {'AM' if hours < 12 else 'PM'}"
    yield f"{hours:02}:{rest:02} h"


def is_time(name: str = "time") -> Criterion:
    """The answer is the reference's time of day."""

    def equal(reference: dict, answer: str) -> Verdict:
        value = read_time(answer)
        if value is None:
            return malformed(answer[:80], "Not a time of day.")
        same = value == read_time(reference["answer"])
        return correct(answer) if same else wrong(answer, f"Not {reference['answer']}.")

    return bounded(name, equal, rewrite_time)


def write_time(minutes: int) -> str:
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def write_span(minutes: int) -> str:
    """`2 hours 5 minutes`."""
    hours, rest = divmod(minutes, 60)
    parts = [
        f"{count} {unit}{'s' if count > 1 else ''}"
        for count, unit in ((hours, "hour"), (rest, "minute"))
        if count
    ]
    return " ".join(parts)


def write_offset(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")


def move(start: int, minutes: int, says: str) -> tuple[int, str]:
    """A time some minutes later (earlier where negative), and the step that shows it."""
    sign = "-" if minutes < 0 else "+"
    later = start + minutes
    days = later // DAY
    crossed = f" ({'+' if days > 0 else '-'}{abs(days)} day)" if days else ""
    return (
        later % DAY,
        f"{says}: {write_time(start)} {sign} {abs(minutes) // 60}:{abs(minutes) % 60:02} = "
        f"{write_time(later % DAY)}{crossed}",
    )


def draw_span(rng: random.Random, least: int, most: int) -> int:
    """Minutes, no whole number of hours."""
    while True:
        minutes = rng.randint(least, most)
        if minutes % 60:
            return minutes


def travel(rng: random.Random, legs: int) -> Posed:
    """A journey from zone to zone, and the time of arrival."""
    cities, offsets = rng.sample(CITIES, legs + 1), rng.sample(OFFSETS, legs + 1)
    start = rng.randrange(DAY)
    spans = [draw_span(rng, 61, 899) for _ in range(legs)]
    waits = [draw_span(rng, 31, 299) for _ in range(legs - 1)]
    now, steps = start, []
    zones = ", ".join(
        f"{city} is at {write_offset(offset)}" for city, offset in zip(cities, offsets, strict=True)
    )
    told = (
        f"A plane leaves {cities[0]} at {write_time(start)} local time and flies "
        f"{write_span(spans[0])} to {cities[1]}."
    )
    for leg in range(legs):
        now, step = move(now, spans[leg], f"flight to {cities[leg + 1]}")
        steps.append(step)
        now, step = move(now, offsets[leg + 1] - offsets[leg], f"zone of {cities[leg + 1]}")
        steps.append(step)
        if leg < legs - 1:
            now, step = move(now, waits[leg], "stop")
            steps.append(step)
            told += (
                f" After a stop of {write_span(waits[leg])} it flies {write_span(spans[leg + 1])} to "
                f"{cities[leg + 2]}."
            )
    prompt = f"{zones}. {told} What is the local time in {cities[-1]} when it arrives?"
    return Posed(prompt, now, steps, f"journey {start} {offsets} {spans} {waits}")


def shift(rng: random.Random) -> Posed:
    """So much later or earlier."""
    start, span, later = rng.randrange(DAY), draw_span(rng, 61, DAY - 1), rng.random() < 0.5
    value, step = move(start, span if later else -span, "then")
    prompt = rng.choice(
        (
            f"It is {write_time(start)}. What time "
            + (f"will it be in {write_span(span)}?" if later else f"was it {write_span(span)} ago?"),
            f"What is the time {write_span(span)} {'after' if later else 'before'} {write_time(start)}?",
        )
    )
    return Posed(prompt, value, [step], f"{start} {span if later else -span}")


def call(rng: random.Random) -> Posed:
    """The end of a call, in the other one's zone."""
    start, span = rng.randrange(DAY), draw_span(rng, 31, 719)
    (here, there), (one, two) = rng.sample(OFFSETS, 2), rng.sample(CITIES, 2)
    middle, first = move(start, span, "later")
    value, second = move(middle, there - here, f"zone of {two}")
    prompt = (
        f"{one} is at {write_offset(here)} and {two} at {write_offset(there)}. A call begins when it is "
        f"{write_time(start)} in {one}, and ends {write_span(span)} later. What is the local time in "
        f"{two} when "
        "it ends?"
    )
    return Posed(prompt, value, [first, second], f"{start} {span} {here} {there}")


@task(
    "clocks",
    rubric=Rubric(is_time(), answer_tag(weight=0.1)),
    levels=4,
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=120),
    licence="Apache-2.0",
)
def clocks(rng: random.Random, level: int) -> Problem:
    """Times of day: so much later or earlier, in other time zones, on arrival after one or two flights."""
    posed = shift(rng) if level == 1 else call(rng) if level == 2 else travel(rng, level - 2)
    reference = {"answer": write_time(int(posed.value))}
    return Problem(posed.prompt + FORM, reference, {"steps": posed.steps}, key=posed.key)
