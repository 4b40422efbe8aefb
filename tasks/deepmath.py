"""A hundred thousand hard problems of mathematics, without those of known evaluation sets
(DeepMath-103K, He et al. 2025, arXiv:2504.11456).
"""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_box, math_answer
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "deepmath",
    rubric=Rubric(math_answer(sources=("boxed", "tag")), answer_box(weight=0.1)),
    hub=Hub("zwhe99/DeepMath-103K"),
    splits={"train": "train"},
    columns=("question", "final_answer", "difficulty", "topic"),
    sizes={"train": 103_022},
    licence="MIT",
    citation="He et al. 2025, DeepMath-103K, arXiv:2504.11456",
    kind="math",
)
def deepmath(row: Mapping[str, Any]) -> Problem:
    return Problem(
        prompt=row["question"].strip(),
        reference=str(row["final_answer"]).strip(),
        metadata={"difficulty": row["difficulty"], "topic": row["topic"]},
    )
