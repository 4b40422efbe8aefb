"""Tasks: problems with a rubric.

Every module beside this one, and in the folder of a subject (`logic`), is a task, found by its name; `core`
is the machinery, `common` what tasks share, `adapters` brings tasks into other tools.
"""

from .core.dataset import Hub, dataset_task
from .core.errors import DataError, TaskError, UnknownTask, UserError
from .core.export import export_rows
from .core.mixture import mix
from .core.options import parse_option
from .core.problem import Problem
from .core.registry import get, names
from .core.scoring import score
from .core.task import Task, task

__all__ = [
    "DataError",
    "Hub",
    "Problem",
    "Task",
    "TaskError",
    "UnknownTask",
    "UserError",
    "dataset_task",
    "export_rows",
    "get",
    "mix",
    "names",
    "parse_option",
    "score",
    "task",
]
