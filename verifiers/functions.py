"""A plain function as a criterion. Three signatures are read, told apart by the names of the parameters:

- `(completion, problem)`: one's own. A bool, a number from 0 to 1, or a Verdict.
- `(prompts, completions, completion_ids, **columns)`, any of them: TRL's. A list with a number for each
  completion, or None where the function does not apply to the problem.
- `(prompt, completion, answer, state, task, info, parser)`, any of them: those of the library `verifiers`.
  A number.

Each may be a coroutine. What else a function of the last two asks for by name, or takes as `**kwargs`, are
the columns of the problem's row (`callers.read_columns`).

The last two know no bounds: any finite number is a reward, 1 and more is correct, and the number itself
enters the reward. Where numbers are below 0, `low` says how far, so that a completion that makes the function
raise is never worth more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any

from .callers import BATCH, REFERENCE, SINGLE, Caller, Parameters, call_batch, call_plainly, call_single
from .criterion import Criterion, NoVerdictError, Place, Reward, run_check
from .types import Completion, ProblemLike, Status, Verdict, correct, wrong
from .types import partial as partly

if TYPE_CHECKING:
    import inspect

FORMS = (
    "Write def my_reward(completion, problem), which returns a bool, a number from 0 to 1, or a Verdict; or "
    "in TRL's form def my_reward(prompts, completions, **kwargs), which returns a list of numbers; or in "
    "that of verifiers, def my_reward(completion, answer), which returns a number."
)
# names of a second parameter that say: the problem itself
_OURS = ("problem", "item", "example", "row")


def function(
    reward: Reward,
    name: str = "",
    weight: float = 1.0,
    *,
    gate: bool = False,
    low: float | None = None,
    several: bool = False,
    **given: Any,
) -> Criterion:
    """A function as a criterion, in one of three signatures (see docs/rewards.md).

    name: "" takes the function's own.  weight: its share of the reward, in any unit.
    low: the least number that a function of TRL's or verifiers' form returns, 0 or below. It is what a
        completion gets that makes the function raise, or that fails a gate; a lower number is an error.
        None: not known; then no gate can stand beside it.
    several: whether a problem may have several right answers, for `palaestra task check`.
    given: further arguments for the function, by name (`parser=my_parser`).
    Raises TypeError for what can't be called in one of the forms.

    >>> import palaestra as pal
    >>> def short(completions, **kwargs):  # as TRL takes it
    ...     return [-len(completion) / 10 for completion in completions]
    >>> rubric = pal.Rubric(pal.criteria.number(), pal.criteria.function(short, weight=0.5, low=-10))
    >>> rubric.score(pal.Completion("<answer>42</answer>"), pal.Problem("What is 7 * 6?", "42")).values
    {'number': 1.0, 'short': -1.9}
    """
    if not callable(reward):
        raise TypeError(f"{_name(reward)} is no criterion and no function. {FORMS}")
    if low is not None and not -math.inf < low <= 0:
        raise ValueError(f"low={low!r} is no least number of a reward; give 0 or a number below it.")
    caller = _find_caller(reward, given)
    if low and caller.bounded:
        raise ValueError(f"low={low!r}: {_name(reward)} takes a completion and a problem, and gives 0 to 1.")
    label = name or _name(reward)

    def check(completion: Completion, problem: ProblemLike) -> Verdict:
        returned = caller.call(completion, problem)
        return _as_verdict(returned) if caller.bounded else _rate(returned, caller.skips)

    least = 0.0 if caller.bounded else low
    place = _find_place(reward)
    return Criterion(
        label, check, weight, gate, low=least, bounded=caller.bounded, place=place, several=several
    )


def first_of(*rewards: Criterion | Reward, name: str = "first_of", weight: float = 1.0) -> Criterion:
    """The first of several criteria that applies to a problem, for a data set of several kinds of problems.

    TRL's functions return None where they do not apply.

    >>> import palaestra as pal
    >>> def sums(completions, task, **kwargs):
    ...     return [float("4" in c) if t == "sums" else None for c, t in zip(completions, task)]
    >>> def poems(completions, task, **kwargs):
    ...     return [float("rose" in c) if t == "poems" else None for c, t in zip(completions, task)]
    >>> rubric = pal.Rubric(pal.criteria.first_of(sums, poems))
    >>> rubric.score(pal.Completion("A rose is"), pal.Problem("A poem!", metadata={"task": "poems"})).reward
    1.0
    """
    criteria = [each if isinstance(each, Criterion) else function(each) for each in rewards]
    if not criteria:
        raise ValueError("first_of has nothing to choose from; give it criteria or functions.")

    def check(completion: Completion, problem: ProblemLike) -> Verdict:
        for criterion in criteria:
            verdict = run_check(criterion, completion, problem)  # the completion must not choose its judge
            if verdict.status is not Status.NOT_APPLICABLE:
                break
        return verdict

    lows = [criterion.low for criterion in criteria]
    low = None if None in lows else min(low for low in lows if low is not None)
    several = any(c.several for c in criteria)
    bounded = all(c.bounded for c in criteria)
    return Criterion(name, check, weight, low=low, bounded=bounded, several=several)


def _name(reward: Any) -> str:
    if isinstance(reward, partial) and not hasattr(reward, "__name__"):
        return _name(reward.func)
    return getattr(reward, "__name__", type(reward).__name__)


def _find_caller(reward: Reward, given: dict[str, Any]) -> Caller:
    import inspect  # slow to import, and only functions need it

    try:
        signature = inspect.signature(reward)
    except ValueError:  # a function of C code without a signature: its first call will tell
        return Caller(partial(call_plainly, reward, given))
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    bound = frozenset(reward.keywords) if isinstance(reward, partial) else frozenset()
    free = [p for p in signature.parameters.values() if p.name not in bound and p.name not in given]
    named = [p for p in free if p.kind not in variadic]
    parameters = Parameters(
        frozenset(p.name for p in named),
        [p.name for p in named if p.default is p.empty],
        any(p.kind is p.VAR_KEYWORD for p in free),
        bound,
        given,
    )
    if parameters.named & {*BATCH}:
        return Caller(call_batch(reward, parameters), bounded=False, skips=True)
    if not _is_own(parameters.needed) and parameters.named & {*SINGLE}:
        return Caller(call_single(reward, parameters), bounded=False)
    _check_own(reward, signature, parameters)
    return Caller(partial(call_plainly, reward, given))


def _is_own(needed: Sequence[str]) -> bool:
    """Whether the parameters without a default are a completion and a problem."""
    if len(needed) != 2:
        return False
    first, second = (name.strip("_") for name in needed)
    return len(second) < 2 or second in _OURS or not ({first, second} & {*SINGLE})


def _check_own(reward: Reward, signature: inspect.Signature, parameters: Parameters) -> None:
    place = _find_place(reward)
    label = f"{_name(reward)}{signature}{f' ({place})' if place else ''}"
    try:
        signature.bind(None, None, **parameters.given)
    except TypeError as failure:
        raise TypeError(f"{label} can't judge a completion: {failure}. {FORMS}") from failure
    expected = [name for name in parameters.needed if name in REFERENCE]
    if expected:  # it would get the whole problem under that name
        raise TypeError(f"{label} asks for {expected[0]!r}, but not for a completion. {FORMS}")


def _find_place(reward: Any) -> Place | None:
    """Where a function is written; None where that can't be known."""
    while isinstance(reward, partial):
        reward = reward.func
    reward = getattr(reward, "__wrapped__", reward)
    called = reward if hasattr(reward, "__code__") else type(reward).__call__
    code = getattr(called, "__code__", None)
    return Place(code.co_filename, code.co_firstlineno) if code is not None else None


def _as_verdict(returned: object) -> Verdict:
    """What a function of one's own returned: True and 1 are correct, False and 0 wrong, else partial."""
    if isinstance(returned, Verdict):
        return returned
    value = _as_number(returned)
    if value is not None and 0 <= value <= 1:
        return correct() if value == 1 else partly(value) if value else wrong()
    raise NoVerdictError(
        f"returned {_quote(returned)}, which is no Verdict, no bool and no number from 0 to 1."
    )


def _rate(returned: object, may_skip: bool) -> Verdict:
    """What a function of another library returned: any finite number, 1 and more is correct."""
    if isinstance(returned, Verdict):
        return returned
    if returned is None and may_skip:
        return Verdict(
            Status.NOT_APPLICABLE, 0.0, None, "It returned None, which says that it does not apply."
        )
    value = _as_number(returned)
    if value is None or not math.isfinite(value):
        raise NoVerdictError(f"returned {_quote(returned)}, which is no finite number.")
    verdict = correct() if value >= 1 else partly(value) if value > 0 else wrong()
    return verdict if 0 <= value <= 1 else Verdict(verdict.status, verdict.value, number=value)


def _as_number(returned: Any) -> float | None:
    if not isinstance(returned, Real) and hasattr(returned, "item") and getattr(returned, "size", None) != 0:
        try:
            returned = returned.item()  # of numpy or torch
        except (ValueError, RuntimeError, TypeError):
            return None
    return float(returned) if isinstance(returned, Real) else None


def _quote(returned: object) -> str:
    return f"{returned!r}"[:80] if isinstance(returned, Real | None) else type(returned).__name__
