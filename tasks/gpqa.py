"""Questions of biology, physics and chemistry that experts of other fields fail with the web at hand
(GPQA, its diamond part, Rein et al. 2023, arXiv:2311.12022). On the hub one has to accept its terms first.
"""

import random
from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_tag
from ..verifiers.criteria.choice import choice
from .common.options import list_options
from .core.dataset import Hub, dataset_task
from .core.problem import Problem

WRONG = tuple(f"Incorrect Answer {number}" for number in (1, 2, 3))


@dataset_task(
    "gpqa",
    rubric=Rubric(choice(), answer_tag(weight=0.1)),
    hub=Hub("Idavidrein/gpqa", config="gpqa_diamond"),
    splits={"test": "train"},
    columns=("Question", "Correct Answer", *WRONG),
    sizes={"test": 198},
    kind="knowledge",
    licence="CC-BY-4.0",
    citation="Rein et al. 2023, GPQA, arXiv:2311.12022",
)
def gpqa(row: Mapping[str, Any]) -> Problem:
    """GPQA, diamond. The options' order is drawn by the question's text, so that it is the same in every
    process."""
    question, answer = row["Question"].strip(), row["Correct Answer"].strip()
    options = [answer, *(row[column].strip() for column in WRONG)]
    order = list(range(len(options)))
    random.Random(question).shuffle(order)
    options = [options[place] for place in order]
    return Problem(list_options(question, options), "ABCD"[order.index(0)], {"choices": options})
