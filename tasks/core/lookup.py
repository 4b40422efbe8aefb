"""A task's problems by their ids, as records of completions name them."""

from __future__ import annotations

from .errors import TaskError
from .problem import Problem
from .task import Task


class ProblemsById:
    """A task's problems by their ids. A data set's split is read at its first id."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._splits: dict[str, dict[str, Problem]] = {}

    def get(self, problem_id: str) -> Problem:
        """The problem of that id. Raises TaskError where the task has none."""
        problem = self.find(problem_id)
        if problem is None:
            raise TaskError(
                f"Task {self.task.name} has no problem {problem_id!r}; take an id from its problems."
            )
        return problem

    def find(self, problem_id: str) -> Problem | None:
        """The problem of that id, None where the task has none."""
        name, _, rest = problem_id.partition("/")
        split, *numbers = rest.split("/")
        task = next((member for member in self.task.members if member.name == name), None)
        if task is None or split not in task.splits or not all(n.isdecimal() for n in numbers):
            return None
        if len(numbers) == 3:  # procedural: seed, level, index
            seed, level, index = map(int, numbers)
            return task.problem(split, index, seed, level)
        of_split = f"{name}/{split}"
        if of_split not in self._splits:
            source = task.source
            problems = [source.at(split, index) for index in range(source.size(split) or 0)]
            self._splits[of_split] = {problem.id: problem for problem in problems}
        return self._splits[of_split].get(problem_id)
