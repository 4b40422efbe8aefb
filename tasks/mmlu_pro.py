"""Questions of 14 subjects with up to ten options (MMLU-Pro, Wang et al. 2024, arXiv:2406.01574)."""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_tag
from ..verifiers.criteria.choice import choice
from .common.options import list_options
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "mmlu_pro",
    rubric=Rubric(choice(), answer_tag(weight=0.1)),
    hub=Hub("TIGER-Lab/MMLU-Pro"),
    splits={"validation": "validation", "test": "test"},
    columns=("question", "options", "answer", "category"),
    sizes={"validation": 70, "test": 12_032},
    kind="knowledge",
    licence="MIT",
    citation="Wang et al. 2024, MMLU-Pro, arXiv:2406.01574",
)
def mmlu_pro(row: Mapping[str, Any]) -> Problem:
    options = list(row["options"])
    metadata = {"choices": options, "category": row["category"]}
    return Problem(list_options(row["question"], options), row["answer"].strip(), metadata)
