"""A quarter of a million problems whose answers were checked, with a solve rate of Llama 3.1 8B
(Big-Math, Albalak et al. 2025, arXiv:2502.17387). On the hub one has to accept its terms first.
"""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_box, math_answer
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "big_math",
    rubric=Rubric(math_answer(sources=("boxed", "tag")), answer_box(weight=0.1)),
    hub=Hub("SynthLabsAI/Big-Math-RL-Verified"),
    splits={"train": "train"},
    columns=("problem", "answer", "source", "domain", "llama8b_solve_rate"),
    sizes={"train": 251_122},
    licence="Apache-2.0",
    citation="Albalak et al. 2025, Big-Math, arXiv:2502.17387",
    kind="math",
)
def big_math(row: Mapping[str, Any]) -> Problem:
    return Problem(
        prompt=row["problem"].strip(),
        reference=str(row["answer"]).strip(),
        metadata={name: row[name] for name in ("source", "domain", "llama8b_solve_rate")},
    )
