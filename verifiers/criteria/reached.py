"""Where an episode ended: a criterion that reads the world's last state, nothing that a policy wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..criterion import Criterion
from ..types import Completion, ProblemLike, Verdict, correct, error, no_answer, partial, wrong

Goal = str | Callable[[Any], bool | float]


def reached(
    goal: Goal = "reward", name: str = "reached", weight: float = 1.0, *, low: float = 0.0
) -> Criterion:
    """What the episode's final state is worth: `Completion.state`, as the world left it.

    goal: a key of the state (a mapping), or a function of the state; its value is a bool or a number up to 1.
        True and 1 are correct, between 0 and 1 is partial, 0 and less is wrong.
    low: the least number that there is, 0 or less; one below 0 enters the reward as it is.

    A text without a state was never played: it is no answer, whatever it says. A state in which the goal
    can't be found, or a number out of its range, is the world's own fault, and abstains. A function that
    raises at what the policy's words put into the state or left out of it (None, an empty list, a key of an
    object within it), and not at harmless values there, counts against them.

    >>> import palaestra as pal
    >>> criterion = pal.criteria.reached(lambda state: state["floor"] == 9)
    >>> tower = pal.Rubric(criterion)
    >>> problem = pal.Problem("Go to floor 9.")
    >>> played, written = pal.Completion("up", state={"floor": 9}), pal.Completion("I am on floor 9.")
    >>> tower.score(played, problem).passed, tower.score(written, problem).passed
    (True, False)
    """
    if not low <= 0:
        raise ValueError(f"low={low} is the least that the goal may be worth; give 0 or less.")

    def check(completion: Completion, _problem: ProblemLike) -> Verdict:
        state = completion.state
        if state is None:
            return no_answer("There is no final state: the task's world has none, or was not asked.")
        if callable(goal):
            number = _read_number(goal(state))  # where this raises, `run_check` finds out whose fault it is
        else:
            try:
                number = _read_number(state[goal])
            except Exception as failure:  # noqa: BLE001  the state is the world's: whatever fails, it is not the policy's
                return error(
                    f"The world's last state has no goal to read: {type(failure).__name__}: {failure}"
                )
        if not low <= number <= 1:  # nan, too
            return error(f"The world's last state is worth {number:g}; it must be from {low:g} to 1.")
        return judge(number, str(state.get("ended") or "") if isinstance(state, Mapping) else "")

    return Criterion(name, check, weight, low=low, several=True)


def _read_number(value: Any) -> float:
    if not isinstance(value, bool | int | float):
        raise TypeError(f"the goal is of type {type(value).__name__}, no number")
    return float(value)


def judge(number: float, reason: str) -> Verdict:
    """number: at most 1."""
    if number == 1:
        return correct(reason=reason)
    if number > 0:
        return partial(number, reason=reason)
    return replace(wrong(reason=reason), number=number) if number < 0 else wrong(reason=reason)
