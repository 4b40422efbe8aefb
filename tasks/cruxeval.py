"""Predict what a short Python function returns
(CRUXEval, output prediction; Gu et al. 2024, arXiv:2401.03065)."""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_tag
from ..verifiers.criteria.literal import literal
from .core.dataset import Hub, dataset_task
from .core.problem import Problem
from .core.programs import fence


@dataset_task(
    "cruxeval",
    rubric=Rubric(literal(sources=("tag",)), answer_tag(weight=0.1)),
    kind="code",
    hub=Hub("cruxeval-org/cruxeval"),
    splits={"test": "test"},
    columns=("code", "input", "output", "id"),
    files={"test": "cruxeval.jsonl"},
    sizes={"test": 800},
    licence="MIT",
    citation=(
        "Gu et al. 2024, CRUXEval: A Benchmark for Code Reasoning, Understanding and Execution, "
        "arXiv:2401.03065"
    ),
)
def cruxeval(row: Mapping[str, Any]) -> Problem:
    return Problem(
        prompt=f"{fence(row['code'])}\n\nWhat does f({row['input']}) return? Answer with a Python literal.",
        reference=row["output"],
        metadata={"input": row["input"], "code": row["code"]},
        key=row["id"],
    )
