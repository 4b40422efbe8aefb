"""Where the answer stands in a completion, so that another one can be put in its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ....verifiers.marks import find_boxes
from ....verifiers.types import Verdict
from ..errors import NoSolution, TaskError, UserError
from ..problem import Problem
from ..task import Task

_BLOCK = re.compile(r"```(?:python|py)?[ \t]*\n(.*)\n```", re.DOTALL)
MARKS = ("<answer>{}</answer>", "\\boxed{{{}}}", "#### {}", "The answer is {}.", "{}")


@dataclass(frozen=True, slots=True)
class Frame:
    """A completion taken apart. mark: how its answer is marked: `tag`, `box`, `block`, or `bare` where the
    whole of what follows a think block is the answer."""

    before: str
    answer: str
    after: str
    mark: str

    @property
    def last(self) -> str:
        """The answer with its mark alone, without what was said before."""
        return self._opening + self.answer + self.after

    @property
    def _opening(self) -> str:
        openings = {"tag": "<answer>", "box": "\\boxed{", "block": "```"}
        opening = openings.get(self.mark)
        return self.before[self.before.rindex(opening) :] if opening else ""

    def put(self, answer: str) -> str:
        """The whole completion with another answer."""
        return self.before + answer + self.after

    def mark_alone(self, answer: str) -> str:
        """Another answer in this mark, without what was said before."""
        return self._opening + answer + self.after


def find_frame(text: str) -> Frame:
    """The completion taken apart at its last mark: a tag, a box, a fenced block of Python, or none."""
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, end) if end >= 0 else -1
    if start >= 0:
        start += len("<answer>")
        return Frame(text[:start], text[start:end], text[end:], "tag")
    boxes = find_boxes(text) if "\\boxed{" in text else []
    if not isinstance(boxes, Verdict) and boxes:
        box = boxes[-1]
        start = text.index(box.content, text.index("{", box.start) + 1) if box.content else box.end - 1
        return Frame(text[:start], box.content, text[start + len(box.content) :], "box")
    block = _BLOCK.search(text)
    if block:
        return Frame(text[: block.start(1)], block[1], text[block.end(1) :], "block")
    thought, closed, said = text.rpartition("</think>")
    bare = said.strip()
    start = said.index(bare) if bare else len(said)
    return Frame(thought + closed + said[:start], bare, said[start + len(bare) :], "bare")


def find_solution(task: Task, problem: Problem) -> str:
    """A completion that deserves the full reward: the task's own, or, where it has none, the reference in the
    usual mark that earns most."""
    try:
        return task.solution(problem)
    except TaskError:
        plain = str(problem.reference)
        texts = [mark.format(plain) for mark in MARKS]
        texts += [f"<think>It is {plain}.</think>\n{text}" for text in texts[:2]]
        scores = [task.score(text, problem) for text in texts]
        return max(zip(texts, scores, strict=True), key=lambda pair: (pair[1].reward, pair[1].passed))[0]


def has_solution(task: Task, problem: Problem) -> bool:
    """Whether its task does not say that nobody knows its solution. One whose `solve` fails in another way is
    looked at, and found wanting."""
    try:
        task.solution(problem)
    except NoSolution:
        return False
    except TaskError:
        return True
    return True


def knows_solution(task: Task, problem: Problem) -> bool:
    """Whether there is a right completion to make others from: its solution, or what is found without."""
    return has_solution(task, problem) or task.score(find_solution(task, problem), problem).passed


def find_full_reward(task: Task, problem: Problem) -> float:
    """What a right completion earns: 1, or what the solution does where functions know no bounds."""
    return 1.0 if task.rubric.bounded else task.score(find_solution(task, problem), problem).reward


def require_one(task: Task, command: str) -> None:
    """Raise UserError for a mixture: what is proven is of one verifier. command: of `task`."""
    if task.members[0] is not task:
        each = "; ".join(f"palaestra task {command} {member.name}" for member in task.members)
        raise UserError(
            f"{task.name} is a mixture, in which each task has a verifier of its own. Take them one by one: "
            f"{each}."
        )


def has_one_answer(task: Task) -> bool:
    """Whether each problem has one right answer, however it is written: what its verifier says of itself. A
    way through a maze, or a program, is one of several."""
    return not task.rubric.correctness.several


def allows_slack(task: Task, reference: Any) -> bool:
    """Whether a number near the right one may be right, too: within a tolerance, or as another answer."""
    slack = isinstance(reference, Mapping) and (reference.get("tolerance") or reference.get("absolute"))
    return bool(slack) or not has_one_answer(task)


def fold(answer: str) -> str:
    """An answer without what different hands write differently: numbers by their value, other texts without
    case, blanks, dollar signs, a letter that is set equal to it, and LaTeX's variants. Equal results mean the
    same; unequal ones may."""
    text = re.sub(r"^\s*\w\s*=", "", answer.strip().strip("$")).strip()
    text = re.sub(r"\\[dt]?frac\{?(\d+)\}?\{?(\d+)\}?", r"\1/\2", text)
    try:
        return str(Fraction(text.replace(",", "")))
    except (ValueError, ZeroDivisionError):
        return re.sub(r"\\(?:left|right|text|mathrm|[,;! ])|[\s${}]", "", text).casefold()


def say_same(left: Any, right: Any) -> bool:
    """Whether two references, or two answers, are the same as far as their writing shows."""
    if isinstance(left, str) and isinstance(right, str):
        return fold(left) == fold(right)
    return left == right
