"""27 tasks of BIG-Bench that models found hard: logic, dates, tables, words
(BIG-Bench Hard, Suzgun et al. 2022, arXiv:2210.09261)."""

import re
from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, Verdict, answer_criterion, answer_tag
from ..verifiers.types import correct, wrong
from .core.dataset import Hub, dataset_task
from .core.problem import Problem

MAX_CHARS = 2_000  # of an answer
NAMES = (
    "boolean_expressions",
    "causal_judgement",
    "date_understanding",
    "disambiguation_qa",
    "dyck_languages",
    "formal_fallacies",
    "geometric_shapes",
    "hyperbaton",
    "logical_deduction_five_objects",
    "logical_deduction_seven_objects",
    "logical_deduction_three_objects",
    "movie_recommendation",
    "multistep_arithmetic_two",
    "navigate",
    "object_counting",
    "penguins_in_a_table",
    "reasoning_about_colored_objects",
    "ruin_names",
    "salient_translation_error_detection",
    "snarks",
    "sports_understanding",
    "temporal_sequences",
    "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_seven_objects",
    "tracking_shuffled_objects_three_objects",
    "web_of_lies",
    "word_sorting",
)


def fold(answer: str) -> str:
    """An answer without case, white space around its words, and the parentheses around a letter."""
    text = " ".join(answer.split()).casefold()
    letter = re.fullmatch(r"\(([a-z])\)", text)
    return letter[1] if letter else text


def judge(reference: str, answer: str) -> Verdict:
    same = len(answer) <= MAX_CHARS and fold(answer) == fold(reference)
    return correct(answer) if same else wrong(answer[:MAX_CHARS], "Not the target.")


@dataset_task(
    "bbh",
    rubric=Rubric(answer_criterion("target", judge, sources=("tag",)), answer_tag(weight=0.1)),
    hub=Hub("lukaemon/bbh", config=NAMES),
    splits={"test": "test"},
    columns=("input", "target"),
    sizes={"test": 6_511},
    licence="MIT",
    citation="Suzgun et al. 2022, Challenging BIG-Bench Tasks and Whether Chain-of-Thought Can Solve Them, "
    "arXiv:2210.09261",
    kind="logic",
)
def bbh(row: Mapping[str, Any]) -> Problem:
    """BIG-Bench Hard. The answer is the target, but for case: a letter of an option with or without its
    parentheses, a number, yes or no, words. The licence is that of the authors' own repository."""
    return Problem(prompt=row["input"].strip(), reference=str(row["target"]).strip())
