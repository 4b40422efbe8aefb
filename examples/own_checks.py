"""A reward of many small checks: an email that asks for a meeting.

    python examples/own_checks.py
    palaestra task show ./examples/own_checks.py
    palaestra train --task ./examples/own_checks.py --model MODEL --criterion-weight "asks=1:0:95%"

No single email is right, and each check is a line. All of them together decide what passes; each is paid its
share, and has its own pass-rate in metrics, evaluations and `palaestra score`. The command takes the weight
from a check that is learned. Checks read what a model wrote to please them: whoever trains on this list alone
gets the shortest text that fulfils it, so that its words want a judge beside it (docs/rewards.md).
"""

import calendar
import random
import re

import palaestra as pal

NAMES = ("Ada", "Grace", "Emmy", "Sofia", "Maryam", "Hypatia", "Lise", "Rosalind", "Dorothy", "Barbara")
MONTHS = tuple(calendar.month_name)[1:]
TOPICS = (
    "our numbers",
    "the garden",
    "a new bridge",
    "your talk",
    "the choir",
    "a trip",
    "the budget",
    "maps",
)


def greets(completion: pal.Completion, problem: pal.Problem) -> bool:
    """Whether the first line is a greeting by name."""
    first = completion.text.strip().split("\n", 1)[0]
    return first in {f"{word} {problem.metadata['name']}," for word in ("Dear", "Hello")}


def names_the_date(completion: pal.Completion, problem: pal.Problem) -> bool:
    """Whether the date is there, and no other one."""
    dates = re.findall(rf"\b\d\d? (?:{'|'.join(MONTHS)})\b", completion.text)
    return set(dates) == {problem.reference}


def asks(completion: pal.Completion, problem: pal.Problem) -> bool:  # noqa: ARG001 - the signature of a check
    """Whether there is one question."""
    return completion.text.count("?") == 1


def is_signed(completion: pal.Completion, problem: pal.Problem) -> bool:  # noqa: ARG001
    """Whether it ends with the name in a line of its own: without this, an email that breaks off passed."""
    return completion.text.rstrip().split("\n")[-1] == "Katherine"


CHECKS = {
    "greets": greets,
    "names the date": names_the_date,
    "asks": asks,
    "is signed": is_signed,
    "15 to 80 words": pal.criteria.length(80, least=15),
    "no exclamation mark": lambda completion, problem: "!" not in completion.text,  # noqa: ARG005
}
RUBRIC = pal.Rubric(pal.criteria.checklist(CHECKS, weights={"names the date": 2}))


def write_email(problem: pal.Problem) -> str:
    """One that fulfils every check."""
    return (
        f"Dear {problem.metadata['name']},\n\nI would like to show you what we have built since the winter. "
        f"Would {problem.reference} suit you?\n\nYours,\nKatherine"
    )


@pal.task("email", rubric=RUBRIC, solve=write_email, instruction="")
def email(rng: random.Random, level: int) -> pal.Problem:  # noqa: ARG001 - one level only
    """Ask somebody for a meeting on a day, in an email of 80 words at most."""
    name, date = rng.choice(NAMES), f"{rng.randrange(1, 29)} {rng.choice(MONTHS)}"
    prompt = (
        f"Write an email of 15 to 80 words, signed Katherine, that asks {name} whether {date} suits for a "
        f"meeting about {rng.choice(TOPICS)}: a greeting by name in a line of its own, one question, no "
        "other date, no exclamation mark."
    )
    return pal.Problem(prompt, reference=date, metadata={"name": name})


def main() -> None:
    """Three emails, check by check."""
    problem = email.problem("test", 0)
    good = write_email(problem)
    emails = {"good": good, "loud": good.replace("?", "?!"), "lazy": f"{problem.reference}?"}
    print(RUBRIC.describe())
    for name, text in emails.items():
        score = email.score(text, problem)
        print(f"\n{name}: reward {score.reward:.2f}, {score.outcome}")
        for check in CHECKS:
            print(f"  {'yes' if score.parts[check].correct else 'no':4}{check}")


if __name__ == "__main__":
    main()
