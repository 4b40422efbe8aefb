"""Which rubric judges anew: one of a file, a task's, or the present one of the task that was scored.

Imports no torch: worker processes read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ...tasks.core.task import Task
from ...tasks.data.judges import make_judge
from ...verifiers import Rubric
from ..config.settings import merge
from ..config.shared import TaskConfig
from ..config.tasks import load_task


@dataclass(frozen=True)
class RubricName:
    """A rubric by what names it, so that a worker process can find it by itself.

    verify: as `--verify` takes it; "" for the rubric of `task`.  task: settings of a task by their names.
    lenient: whether answers in plain prose are read too.
    """

    verify: str = ""
    task: Mapping[str, Any] = field(default_factory=dict)
    lenient: bool = False

    @classmethod
    def of_task(cls, config: TaskConfig, *, lenient: bool = False) -> RubricName:
        known = TaskConfig.__dataclass_fields__
        return cls(task={name: value for name, value in asdict(config).items() if name in known},
                   lenient=lenient)  # fmt: skip

    def load_task(self) -> Task:
        """The task that is named. Raises UserError where it is not there."""
        return load_task(merge(TaskConfig(), dict(self.task), "the task"))

    def load(self) -> Rubric:
        """The rubric. Raises UserError where there is none of that name."""
        rubric = make_judge(self.verify, "--rubric").rubric if self.verify else self.load_task().rubric
        return rubric.lenient() if self.lenient else rubric

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        name = self.verify or f"task {self.task.get('name', '')}"
        return f"{name}, lenient" if self.lenient else name
