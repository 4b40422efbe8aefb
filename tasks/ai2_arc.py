"""Grade-school science questions that retrieval and co-occurrence answer wrongly
(ARC-Challenge of AI2's ARC, Clark et al. 2018, arXiv:1803.05457).
"""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, answer_tag
from ..verifiers.criteria.choice import choice
from .common.options import list_options
from .core.dataset import Hub, dataset_task
from .core.problem import Problem


def from_row(row: Mapping[str, Any]) -> Problem:
    """A question with its options under the labels that the row gives them."""
    texts, labels = list(row["choices"]["text"]), list(row["choices"]["label"])
    metadata = {"choices": {"text": texts, "label": labels}}
    return Problem(list_options(row["question"], texts, labels), row["answerKey"].strip(), metadata)


@dataset_task(
    "ai2_arc",
    rubric=Rubric(choice(), answer_tag(weight=0.1)),
    hub=Hub("allenai/ai2_arc", config="ARC-Challenge"),
    splits={"train": "train", "validation": "validation", "test": "test"},
    columns=("question", "choices", "answerKey"),
    sizes={"train": 1_119, "validation": 299, "test": 1_172},
    kind="knowledge",
    licence="CC-BY-SA-4.0",
    citation="Clark et al. 2018, AI2 Reasoning Challenge, arXiv:1803.05457",
)
def ai2_arc(row: Mapping[str, Any]) -> Problem:
    return from_row(row)
