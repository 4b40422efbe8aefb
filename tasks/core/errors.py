"""Errors that the user can fix: sentences, shown without a stack trace by the command line."""

import textwrap


class UserError(Exception):
    """What was wrong, where, and the fix, in sentences. The command line prints it and exits with code 2.

    >>> import palaestra as pal
    >>> try:
    ...     pal.train(task="gcd", step=3)
    ... except pal.UserError as mistake:
    ...     print(mistake)
    TrainConfig: there is no setting 'step'. Did you mean 'steps'?
    """


class RunError(UserError):
    """A run can't go on as it is. flags: options with which `palaestra resume` can; "" where none would
    help."""

    def __init__(self, sentence: str, flags: str = "") -> None:
        super().__init__(sentence)
        self.flags = flags


class TaskError(UserError, ValueError):
    """A task was asked for something that it does not have: a split, a level, an option, a solution."""


class NoSolution(TaskError):
    """A problem that is in order has no solution that anybody knows: `palaestra task check` counts it and
    proves nothing of it. Any other error of a task's `solve` is a fault of the problem."""


class UnknownTask(TaskError):
    """No task has that name, or no task is in that file. The message names near matches and the fix."""


class DataError(TaskError):
    """A data set could not be read. The message names the file, the line or row, and the fix."""


def tell_failure(failure: BaseException, most: int = 300) -> str:
    """An exception to quote in a sentence: its type and what it says, of a group the first that is none, as
    `shorten` writes it. Whatever its `__str__` raises is left out.

    >>> tell_failure(ExceptionGroup("two", [ValueError("It is no number."), KeyError()]))
    'ValueError: It is no number'
    """
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    try:
        said = str(failure)
    except Exception:  # noqa: BLE001 - of somebody's exception it may raise anything
        said = ""
    name = type(failure).__name__
    return shorten(f"{name}: {said}" if said else name, most)


def shorten(text: str, most: int = 300) -> str:
    """A text to quote in a sentence: on one line, without its full stop, and cut between words to at most
    `most` characters, 10 or more, which an ellipsis tells. A first word that is longer is cut itself.

    >>> shorten("To be or not to be", 12), shorten("a" * 20, 10)
    ('To be or ...', 'aaaaaa ...')
    """
    line = " ".join(text.split()).rstrip(".")
    cut = textwrap.shorten(line[: 2 * most], most, placeholder=" ...")  # it looks at each word
    return cut if cut != "..." or line == cut else f"{line[: most - 4]} ..."
