"""How answers are judged: what `--verify` says, as a rubric.

math, number, exact, choice     the final answer, compared with the reference
regex:PATTERN                   the final answer matches PATTERN as a whole; {answer} in it stands for the
                                reference, taken literally
code                            the program passes the tests in the answer's column
./reward.py:name, module:name   a function, a Criterion or a whole Rubric of one's own
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...verifiers import Completion, Criterion, Rubric, Verdict, answer_criterion, answer_tag
from ...verifiers import named as criteria
from ...verifiers.criterion import is_own, run_check
from ...verifiers.types import Status, correct, malformed, wrong
from ..core.errors import DataError, shorten
from ..core.modules import load_only, resolve
from ..core.problem import Problem
from ..core.task import Kind

NAMES = ("math", "number", "exact", "choice", "code")
LISTED = f"{', '.join(NAMES)}, regex:PATTERN, ./reward.py:my_reward or package.module:name"
TIMEOUT_S = 0.2
ANSWER = "{answer}"


@dataclass(frozen=True)
class Judge:
    """name: what was asked, for sentences.  reads: what the reference has to be: `answer` (a final answer),
    `tests`, `any` (whatever the column has; it may be missing).  kind: of the task."""

    name: str
    rubric: Rubric
    reads: str
    kind: Kind = "unknown"

    def find_fault(self, problem: Problem) -> str:
        """Why the reference's own rendering is not right; "" where it is, and where nothing says how a right
        completion looks. A criterion that has to be started first, or is broken itself, is not asked here."""
        criterion = self.rubric.correctness
        if criterion.render is None or criterion.start or self.reads == "tests" or problem.reference is None:
            return ""
        verdict = run_check(criterion, Completion(criterion.render(problem.reference)), problem)
        if verdict.correct or (verdict.status is Status.ERROR and is_own(criterion)):
            return ""
        return shorten(verdict.reason.rpartition("ValueError: ")[2] or "It is not right by itself.", 160)


def make_judge(verify: Any, flag: str = "--verify") -> Judge:
    """The judge that a text names, or one of a Rubric, a Criterion or a function. flag: the option that it
    was given by, for the sentences.

    Raises DataError for a name that is not known, and UserError for code of one's own that can't be loaded.
    """
    if not isinstance(verify, str):
        return _of_own(verify, getattr(verify, "name", "") or getattr(verify, "__name__", "own"), flag)
    if verify in NAMES:
        return _NAMED[verify]()
    kind, colon, rest = verify.partition(":")
    if kind == "regex":
        if not rest:
            raise DataError(f"{flag} regex names no pattern: write {flag} 'regex:PATTERN'.")
        reads = "answer" if ANSWER in rest else "any"
        return Judge(verify, Rubric(match_answer(rest, flag=flag), answer_tag(weight=0.1)), reads)
    if verify.endswith(".py"):
        found = load_only(
            Path(verify), "reward", _is_reward, "function, Criterion or Rubric that judges a completion"
        )
        return _of_own(found, verify, flag)
    if colon and ("." in kind or "/" in kind or rest.isidentifier()):
        return _of_own(resolve(verify, "reward"), verify, flag)
    near = difflib.get_close_matches(verify.lower(), NAMES, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise DataError(f"{flag} {verify!r} is not known. {hint}It is {LISTED}.")


def names_code(verify: Any) -> bool:
    """Whether it names code of one's own: FILE.py, FILE.py:name or module:name."""
    return (
        isinstance(verify, str)
        and verify not in NAMES
        and not verify.startswith("regex:")
        and (verify.endswith(".py") or ":" in verify)
    )


def find_file(verify: Any) -> str:
    """The Python file that it names; "" for none."""
    place = verify.rpartition(":")[0] or verify if names_code(verify) else ""
    return place if place.endswith(".py") else ""


def match_answer(pattern: str, name: str = "regex", weight: float = 1.0, flag: str = "--verify") -> Criterion:
    """The final answer matches a pattern as a whole (the `regex` package's syntax; `.` matches newlines).
    {answer} in it stands for the reference, taken literally.

    Raises DataError for a malformed pattern.
    """
    import regex  # slow to import, and only this criterion needs it

    try:
        regex.compile(pattern.replace(ANSWER, "x"), regex.DOTALL)
    except regex.error as failure:
        raise DataError(f"{flag} regex:{pattern}: no regular expression ({failure}).") from failure

    def judge(reference: Any, answer: str) -> Verdict:
        expression = pattern.replace(ANSWER, f"(?:{regex.escape(str(reference).strip())})")
        try:
            matched = regex.fullmatch(expression, answer, regex.DOTALL, timeout=TIMEOUT_S)
        except TimeoutError:
            return malformed(answer, f"Matching the pattern took over {TIMEOUT_S:g} s.")
        return correct(answer) if matched else wrong(answer, "The answer does not match the pattern.")

    return answer_criterion(name, judge, weight=weight, several=ANSWER not in pattern)


def _on_answers(criterion: Callable[..., Criterion], name: str, kind: Kind) -> Judge:
    return Judge(name, Rubric(criterion(), answer_tag(weight=0.1)), "answer", kind)


_NAMED: Mapping[str, Callable[[], Judge]] = {
    "math": lambda: _on_answers(criteria.math, "math", "math"),
    "number": lambda: _on_answers(criteria.number, "number", "math"),
    "exact": lambda: _on_answers(criteria.exact, "exact", "unknown"),
    "choice": lambda: _on_answers(criteria.choice, "choice", "unknown"),
    "code": lambda: Judge("code", Rubric(criteria.code(), criteria.one_block()), "tests", "code"),
}


def _of_own(found: Any, name: str, flag: str) -> Judge:
    if isinstance(found, Rubric):
        return Judge(name, found, "any")
    try:
        return Judge(name, Rubric(found), "any")
    except (TypeError, ValueError) as failure:
        raise DataError(f"{flag} {name}: {failure}") from failure


def _is_reward(value: Any) -> bool:
    import types  # only a file without a name needs it

    if isinstance(value, types.FunctionType):  # what the file imports is no reward of its own
        return not value.__name__.startswith("_") and value.__module__.startswith("palaestra_reward_")
    return isinstance(value, Criterion | Rubric)
