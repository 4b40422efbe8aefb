"""Criteria on the form of a completion. None of them decides whether an answer is right."""

from __future__ import annotations

from ..criterion import Criterion
from ..extract import extract
from ..marks import find_tags, is_mention
from ..types import Completion, ProblemLike, Verdict, correct, malformed

TIMEOUT_S = 0.2


def pattern(
    expression: str,
    name: str = "format",
    weight: float = 0.1,
    *,
    gate: bool = False,
    timeout_s: float = TIMEOUT_S,
) -> Criterion:
    """The whole completion matches a regular expression (the `regex` package's syntax; `.` matches newlines).

    timeout_s: seconds after which the engine itself stops matching; the completion then does not match. It
        counts the CPU seconds of the whole process, other threads' too, so allow a pattern a hundred times
        what it needs.
    Raises regex.error when the expression is malformed.
    """
    import regex  # slow to import, and only this criterion needs it

    compiled = regex.compile(expression, regex.DOTALL)

    def check(completion: Completion, _problem: ProblemLike) -> Verdict:
        try:
            matched = compiled.fullmatch(completion.text, timeout=timeout_s)
        except TimeoutError:
            return malformed(reason=f"Matching the format took over {timeout_s:g} s.")
        return correct() if matched else malformed(reason="The completion does not have the required form.")

    return Criterion(name, check, weight, gate, form=True)


def answer_tag(name: str = "answer_tag", weight: float = 0.1, *, gate: bool = False) -> Criterion:
    """Exactly one `<answer>...</answer>`, not empty, after any think block,
    with nothing but white space after it.

    One inside the think block is a second one; speaking of the tag
    (`<answer>` in quotes or inline code) is not.
    """

    def check(completion: Completion, _problem: ProblemLike) -> Verdict:
        extraction = extract(completion.text, ("tag",))
        if extraction.failure is not None:
            return malformed(reason=extraction.failure.reason)
        tags = find_tags(completion.text)
        if isinstance(tags, Verdict) or sum(not is_mention(mark.content) for mark in tags) > 1:
            return malformed(reason="There is more than one answer tag.")
        if not completion.text.rstrip().endswith("</answer>"):
            return malformed(reason="Text follows the answer tag.")
        return correct(extraction.answer)

    return Criterion(name, check, weight, gate, form=True)


def answer_box(name: str = "answer_box", weight: float = 0.1, *, gate: bool = False) -> Criterion:
    """Exactly one `\\boxed{...}` after any think block, and it is not empty."""

    def check(completion: Completion, _problem: ProblemLike) -> Verdict:
        extraction = extract(completion.text, ("boxed",))
        if extraction.failure is not None:
            return malformed(reason=extraction.failure.reason)
        if extraction.count > 1:
            return malformed(reason="There is more than one box.")
        return correct(extraction.answer)

    return Criterion(name, check, weight, gate, form=True)
