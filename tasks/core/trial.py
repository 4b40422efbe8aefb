"""A reward of the user's own, tried once before anything is started on it.

A function that raises whatever it is shown, returns what is no reward, or asks for a column that no row has
would otherwise be found out by a run's first step, when a model is loaded and a folder written.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ...verifiers.criterion import Criterion, Place, find_harmless, is_own, run_check
from ...verifiers.types import Completion, Status
from .episode import play
from .errors import UserError, shorten
from .problem import Problem
from .proofs.apart import Lost, run_apart
from .proofs.episodes import say_for_ever
from .sources import Procedural
from .task import Task

TRIED = 3  # problems, of which one has to be judged: a single bad row is another matter
ASKED = 20  # problems, to one of which the first criterion has to apply


def refuse_broken(task: Task) -> None:
    """Raise UserError where a generator makes no problem, or a criterion of the user's own can't judge. Reads
    a data set only for such a criterion."""
    for member in task.members:
        _refuse_broken(member)


def _refuse_broken(task: Task) -> None:
    if isinstance(task.source, Procedural):
        try:
            task.problem(task.splits[0], 0)
        except UserError:
            raise
        except Exception as failure:  # whatever the user's own code raises becomes a sentence
            raise UserError(f"Task {task.name} can't make a problem: {_tell(failure)}. Mend it.") from failure
    fault = find_broken(task)
    if fault:
        raise UserError(fault)


def _tell(failure: Exception) -> str:
    """What was raised, and at which line of which file."""
    import traceback  # slow to import, and only failures need it

    frame = traceback.extract_tb(failure.__traceback__)[-1]
    return f"{type(failure).__name__} at {Place(frame.filename, frame.lineno or 0)}: {shorten(str(failure))}"


def find_broken(task: Task) -> str:
    """What is wrong with a criterion of the user's own, and the fix, in sentences; "" where nothing is.

    Harmless completions of a few problems are judged. Learned criteria, and those that have to be started
    first (a sandbox, an endpoint), are left out.
    """
    own = [each for each in task.rubric.criteria if each.learned is None and not each.start and is_own(each)]
    if not own:
        return ""
    problems = _spread(task)
    found = (_try(task, each, problems, each is task.rubric.correctness) for each in own)
    return next((fault for fault in found if fault), "")


def _try(task: Task, criterion: Criterion, problems: Sequence[Problem], decides: bool) -> str:
    """What is wrong with one criterion. decides: whether nothing passes without it."""
    failed: list[str] = []
    for problem in problems:
        completion = _write_harmless(task, criterion, problem)
        if completion is None:
            return ""
        verdict = run_check(criterion, completion, problem)
        if verdict.status is Status.ERROR:
            failed.append(verdict.reason)
        elif verdict.status is not Status.NOT_APPLICABLE:
            return ""
        if len(failed) == TRIED:
            break
    if failed:
        return f"{failed[0].strip().rstrip('.')}. Mend the function; whatever it is shown, it fails."
    if not decides or not problems:
        return ""
    return (
        f"{criterion.label} says None to all of {len(problems)} problems that were tried, so that nothing "
        "would pass. Return a number, or put a criterion that always applies before it."
    )


def _write_harmless(task: Task, criterion: Criterion, problem: Problem) -> Completion | None:
    """What no criterion should fail at: for an episode one in which nothing is said, played in a process
    apart; None where its world hangs."""
    if task.episode is None:
        return Completion(find_harmless(criterion, problem)[0])
    silent = partial(play, task, problem, say_for_ever(""))
    found = next(run_apart([silent], task.limits.reply_seconds, 1))
    return None if isinstance(found, Lost) else found


def _spread(task: Task) -> list[Problem]:
    """A few problems of the first split, the first one first, evenly spread over a data set."""
    split = task.splits[0]
    size = task.source.size(split)
    if size is None:
        return [task.problem(split, index) for index in range(ASKED)]
    return [task.problem(split, index) for index in range(0, size, max(1, size // ASKED))][:ASKED]
