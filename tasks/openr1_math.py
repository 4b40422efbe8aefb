"""Problems of NuminaMath 1.5 that DeepSeek-R1 answered, most of them rightly
(OpenR1-Math-220k, its default configuration).
"""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_box, math_answer
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "openr1_math",
    rubric=Rubric(math_answer(sources=("boxed", "tag")), answer_box(weight=0.1)),
    hub=Hub("open-r1/OpenR1-Math-220k", config="default"),
    splits={"train": "train"},
    columns=("problem", "solution", "answer", "question_type", "source"),
    sizes={"train": 93_733},
    licence="Apache-2.0",
    citation="Hugging Face 2025, Open R1, https://github.com/huggingface/open-r1",
    kind="math",
)
def openr1_math(row: Mapping[str, Any]) -> Problem | None:
    """OpenR1-Math-220k. Multiple choice and proofs are left out."""
    if row["question_type"] != "math-word-problem":
        return None
    metadata = {"source": row["source"], "solution": row["solution"]}
    return Problem(prompt=row["problem"].strip(), reference=str(row["answer"]).strip(), metadata=metadata)
