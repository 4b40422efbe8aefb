"""Grade-school word problems with whole-number answers (GSM8K, Cobbe et al. 2021, arXiv:2110.14168)."""

import re
from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_tag, number
from .core.dataset import Hub, dataset_task
from .core.problem import Problem

_MARK = re.compile(r"<<[^>]*>>")


def work_out(problem: Problem) -> str:
    """The published solution without its calculator marks, then the answer as the rubric reads it."""
    return f"{problem.metadata['solution']}\n<answer>{problem.reference}</answer>"


@dataset_task(
    "gsm8k",
    rubric=Rubric(number(), answer_tag(weight=0.1)),
    hub=Hub("openai/gsm8k", config="main", revision="740312add88f781978c0658806c59bc2815b9866"),
    splits={"train": "train", "test": "test"},
    columns=("question", "answer"),
    files={"train": "train.jsonl", "test": "test.jsonl"},
    sizes={"train": 7_473, "test": 1_319},
    licence="MIT",
    citation="Cobbe et al. 2021, Training Verifiers to Solve Math Word Problems, arXiv:2110.14168",
    solve=work_out,
    kind="math",
)
def gsm8k(row: Mapping[str, Any]) -> Problem:
    solution, mark, final = row["answer"].rpartition("####")
    if not mark:
        raise ValueError("the answer has no final line '#### <number>'")
    return Problem(
        prompt=row["question"].strip(),
        reference=final.strip().replace(",", ""),
        metadata={"solution": _MARK.sub("", solution).strip()},
    )
