"""A hundred thousand problems of mathematics with answers to check
(the mathematical part of Skywork-OR1's data, He et al. 2025, arXiv:2505.22312)."""

import json
from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_box, math_answer
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "skywork_math",
    rubric=Rubric(math_answer(sources=("boxed", "tag")), answer_box(weight=0.1)),
    hub=Hub("Skywork/Skywork-OR1-RL-Data"),
    splits={"train": "math"},
    columns=("data_source", "prompt", "reward_model", "extra_info"),
    licence="unknown",
    citation="He et al. 2025, Skywork Open Reasoner 1 Technical Report, arXiv:2505.22312",
    kind="math",
)
def skywork_math(row: Mapping[str, Any]) -> Problem | None:
    """Skywork-OR1's mathematics. Its answers are JSON lists; rows with several or none are left out."""
    answers = json.loads(row["reward_model"]["ground_truth"])
    if not isinstance(answers, list) or len(answers) != 1 or not str(answers[0]).strip():
        return None
    said = row["prompt"]
    question = said if isinstance(said, str) else said[-1]["content"]
    difficulty = (row["extra_info"] or {}).get("model_difficulty")
    about = {"source": row["data_source"]} | ({"difficulty": difficulty} if difficulty else {})
    return Problem(question.strip(), str(answers[0]).strip(), about)
