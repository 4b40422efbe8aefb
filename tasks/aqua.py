"""Algebra word problems with five choices (AQuA, Ling et al. 2017, arXiv:1705.04146).
The answer is a letter."""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_tag
from ..verifiers.criteria.choice import choice
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


@dataset_task(
    "aqua",
    rubric=Rubric(choice(), answer_tag(weight=0.1)),
    hub=Hub("deepmind/aqua_rat", config="raw"),
    splits={"train": "train", "validation": "validation", "test": "test"},
    columns=("question", "options", "correct"),
    files={"validation": "dev.json", "test": "test.json"},
    sizes={"train": 97_467, "validation": 254, "test": 254},
    licence="Apache-2.0",
    citation="Ling et al. 2017, Program Induction by Rationale Generation, arXiv:1705.04146",
    kind="math",
)
def aqua(row: Mapping[str, Any]) -> Problem:
    choices = [option[2:].strip() for option in row["options"]]
    options = "\n".join(f"({option[0]}) {text}" for option, text in zip(row["options"], choices, strict=True))
    prompt = f"{row['question'].strip()}\n{options}\nAnswer with the letter of the right option."
    return Problem(prompt=prompt, reference=row["correct"].strip(), metadata={"choices": choices})
