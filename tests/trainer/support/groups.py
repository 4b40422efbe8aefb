"""Groups of completions of the task gcd, scored by its own rubric."""

from palaestra import tasks
from palaestra.trainer.rollouts.group import Group
from palaestra.verifiers import Completion

TASK = tasks.get("gcd")
LIVE, DEAD, SOLVED = ["RIGHT", "no"], ["no", "no"], ["RIGHT", "RIGHT"]
"""Texts of groups with a signal, and of two without."""


def make_group(texts: list[str], index: int = 0, finish: str = "stop", task=TASK) -> Group:
    """A group with these texts; RIGHT in them is the solution of the problem."""
    problem = task.problem("train", index)
    texts = [text.replace("RIGHT", task.solution(problem)) for text in texts]
    completions = tuple(
        Completion(text, ids=(1, 2), logprobs=(0.0, 0.0), finish_reason=finish) for text in texts
    )
    return Group(problem, completions, tuple(task.score(completion, problem) for completion in completions))
