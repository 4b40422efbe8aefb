"""Olympiad problems with final answers, in English, without pictures.

OlympiadBench, He et al. 2024, arXiv:2402.14008.
"""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_box, math_answer
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "olympiadbench",
    rubric=Rubric(math_answer(sources=("boxed", "tag")), answer_box(weight=0.1)),
    hub=Hub("Hothan/OlympiadBench", config="OE_TO_maths_en_COMP"),
    splits={"test": "train"},
    columns=("question", "final_answer", "unit", "error"),
    files={"test": "test.jsonl"},
    sizes={"test": 674},
    licence="MIT",
    citation="He et al. 2024, OlympiadBench, arXiv:2402.14008",
    kind="math",
)
def olympiadbench(row: Mapping[str, Any]) -> Problem:
    """Every one of several answers is required, in any order. A unit may be left out;
    `error` is an absolute tolerance."""
    unit = (row["unit"] or "").strip()
    answers = [answer.strip() for answer in row["final_answer"]]
    if unit and unit != "%" and "=" not in answers[0]:
        answers = [f"{answer} \\text{{ {unit.strip('$')} }}" for answer in answers]
    prompt = row["question"].strip() + (f" (The unit of the answer is {unit}.)" if unit else "")
    reference = answers[0] if len(answers) == 1 else answers
    if row["error"]:
        return Problem(prompt=prompt, reference={"answer": reference, "absolute": float(row["error"])})
    return Problem(prompt=prompt, reference=reference)
