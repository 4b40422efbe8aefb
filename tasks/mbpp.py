"""Short Python functions from one sentence and a test (MBPP, Austin et al. 2021, arXiv:2108.07732)."""

from collections.abc import Mapping
from typing import Any

from ..verifiers import Rubric, code, one_block
from .core.dataset import Hub, dataset_task
from .core.problem import Problem
from .core.programs import fence, find_imports, find_tested_names, render_solution

# First task_id of each split; the file that its authors published holds all of them.
FIRST_ID = {"prompt": 1, "test": 11, "validation": 511, "train": 601}
SPLITS = {"train": "train", "validation": "validation", "test": "test", "prompt": "prompt"}
CITATION = "Austin et al. 2021, Program Synthesis with Large Language Models, arXiv:2108.07732"


def belongs(row: Mapping[str, Any], split: str) -> bool:
    """Whether a row is of a split, by its number."""
    return split == max(
        (name for name in FIRST_ID if FIRST_ID[name] <= row["task_id"]), key=FIRST_ID.__getitem__
    )


def from_row(text: str, row: Mapping[str, Any], setup: str, shown: int) -> Problem | None:
    """An MBPP problem; `shown` of its tests, 1 or more, stand in the prompt: nothing else names the function.

    Tests may use the modules that the reference code imports, and make objects of the classes that it defines
    (601 in train, 367 in test); the sandbox makes those of the program's own classes. Of the two rows whose
    set-up needs a class that the text does not mention, the test split has one (367); the train split leaves
    the other out (927).
    """
    if shown < 1:
        raise ValueError(f"shown={shown}, but the prompt must show at least one test")
    solution, tests = row["code"].replace("\r\n", "\n"), list(row["test_list"])
    own_setup = (row.get("test_setup_code") or "").replace("\r\n", "\n")
    if own_setup and belongs(row, "train"):
        return None
    names = find_tested_names(solution, [*tests, own_setup])
    if not names.functions:
        raise ValueError("the tests call no function that the reference code defines")
    return Problem(
        prompt=f"{text.strip()}\nYour code should pass {'this test' if shown == 1 else 'these tests'}:\n\n"
        + fence("\n".join(tests[:shown])),
        reference={
            "entry_point": names.functions[0],
            "entry_points": list(names.functions[1:]),
            "classes": list(names.classes),
            "setup": "\n".join(filter(None, (find_imports(solution), setup))),
            "tests": [f"{own_setup}\n{test}" for test in tests] if own_setup else tests,
        },
        metadata={"solution": solution, "task_id": row["task_id"]},
        key=str(row["task_id"]),
    )


@dataset_task(
    "mbpp",
    rubric=Rubric(code(), one_block()),
    kind="code",
    hub=Hub("google-research-datasets/mbpp", config="full"),
    splits=SPLITS,
    columns=("task_id", "text", "code", "test_list", "test_setup_code"),
    files=dict.fromkeys(SPLITS, "mbpp.jsonl"),
    sizes={"train": 374, "validation": 90, "test": 500, "prompt": 10},
    belongs=belongs,
    licence="CC-BY-4.0",
    citation=CITATION,
    solve=render_solution,
)
def mbpp(row: Mapping[str, Any], *, shown: int = 1) -> Problem | None:
    return from_row(row["text"], row, "", shown)
