"""Grade-school science questions of the easy part
(ARC-Easy of AI2's ARC, Clark et al. 2018, arXiv:1803.05457).
"""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_tag
from ..verifiers.criteria.choice import choice
from .ai2_arc import from_row
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "ai2_arc_easy",
    rubric=Rubric(choice(), answer_tag(weight=0.1)),
    hub=Hub("allenai/ai2_arc", config="ARC-Easy"),
    splits={"train": "train", "validation": "validation", "test": "test"},
    columns=("question", "choices", "answerKey"),
    sizes={"train": 2_251, "validation": 570, "test": 2_376},
    kind="knowledge",
    licence="CC-BY-SA-4.0",
    citation="Clark et al. 2018, AI2 Reasoning Challenge, arXiv:1803.05457",
)
def ai2_arc_easy(row: Mapping[str, Any]) -> Problem:
    return from_row(row)
