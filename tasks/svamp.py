"""Arithmetic word problems with varied wording (SVAMP, Patel et al. 2021, arXiv:2103.07191)."""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_tag, math_answer
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "svamp",
    rubric=Rubric(math_answer(), answer_tag(weight=0.1)),
    hub=Hub("ChilleD/SVAMP"),
    splits={"train": "train", "test": "test"},
    columns=("Body", "Question", "Answer"),
    sizes={"train": 700, "test": 300},
    licence="MIT",
    citation=(
        "Patel et al. 2021, Are NLP Models really able to Solve Simple Math Word Problems?, arXiv:2103.07191"
    ),
    kind="math",
)
def svamp(row: Mapping[str, Any]) -> Problem:
    body = row["Body"].strip()
    return Problem(
        prompt=f"{body}{'' if body.endswith(('.', '?', '!', ',')) else '.'} {row['Question'].strip()}",
        reference=f"{float(row['Answer']):.10g}",
    )
