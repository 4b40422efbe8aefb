"""The card of a task: what it is, what its problems look like, what is proven of it, on whose terms."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..conversation import COLUMNS, write_conversation
from ..markdown import escape, fence
from ..problem import Problem
from ..reach import MEANINGS, find_reach
from ..sources import Procedural
from ..task import Task
from .episodes import win
from .frames import find_solution, require_one
from .probes import draw
from .proof import Proof
from .table import write_figures

SHOWN = 3  # examples of a task without levels; one of each level of a task that has them
MOST_CHARS = 2_000  # of a prompt or a solution


@dataclass(frozen=True, slots=True)
class Example:
    """A problem with a completion that solves it, and its score. solution: None for an episode whose task has
    no player; it has no score either."""

    problem: Problem
    solution: str | None = None
    reward: float | None = None
    outcome: str | None = None


def pick_examples(task: Task) -> list[Example]:
    """The first problem of each level, or the first few. Raises UserError for a mixture."""
    require_one(task, "card")
    split = task.splits[0]
    levels = task.source.levels if isinstance(task.source, Procedural) else 1
    if levels > 1:
        problems = [task.problem(split, 0, level=level) for level in range(1, levels + 1)]
    else:
        problems = draw(task, split, SHOWN)
    examples = []
    for problem in problems:
        if task.episode is not None and task.player is None:
            examples.append(Example(problem))
            continue
        said = find_solution(task, problem) if task.episode is None else win(task, problem)
        score = task.score(said, problem)
        shown = said if isinstance(said, str) else write_conversation(said, columns=COLUMNS)
        examples.append(Example(problem, shown, score.reward, score.outcome))
    return examples


def describe_task(task: Task, proof: Proof, examples: Sequence[Example]) -> dict[str, Any]:
    """The card as plain data, for JSON."""
    return {
        **task.facts,
        "reach": find_reach(task),
        "splits": {split: _find_size(task, split) for split in task.splits},
        "levels": task.source.levels if isinstance(task.source, Procedural) else None,
        "options": dict(task.source.option_defaults),
        "rubric": task.rubric.describe().split("\n"),
        "examples": [
            {
                "id": example.problem.id,
                "prompt": example.problem.text,
                "reference": example.problem.reference,
                "solution": example.solution,
                "reward": example.reward,
                "outcome": example.outcome,
            }
            for example in examples
        ],
        "proof": proof.as_dict(),
    }


def _find_size(task: Task, split: str) -> int | None:
    """Problems of a split, None where it has no end."""
    return task.source.size(split)


def write_card(task: Task, proof: Proof, examples: Sequence[Example]) -> str:
    """The card in Markdown."""
    sections = [
        f"# {escape(task.name)}",
        escape(task.summary),
        "\n".join(_write_facts(task)),
        "## What is judged",
        fence(task.rubric.describe()),
        f"The prompt asks for: {escape(task.instruction)}"
        if task.instruction
        else "The prompt asks for no form.",
        "## What is proven",
        "\n".join(_write_proof(proof)),
        "## Examples",
        *(part for example in examples for part in _write_example(example)),
        "## Terms",
        "\n".join(_write_terms(task)),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _write_facts(task: Task) -> Iterator[str]:
    yield "| | |"
    yield "| --- | --- |"
    yield f"| kind | {escape(task.kind)} |"
    reach = find_reach(task)
    yield f"| problems | {reach}: {MEANINGS[reach]} |"
    for split in task.splits:
        size = _find_size(task, split)
        yield f"| split {escape(split)} | {'without end' if size is None else f'{size:,} problems'} |"
    if isinstance(task.source, Procedural):
        yield f"| levels | {task.source.levels} |"
    for name, value in task.source.option_defaults.items():
        if name != "data":
            yield f"| option {escape(name)} | {escape(repr(value))} |"


def _write_proof(proof: Proof) -> Iterator[str]:
    bad = [finding for finding in proof.findings if not finding.ok]
    checks = len(proof.findings)
    yield f"{checks - len(bad)} of {checks} checks pass, on {proof.problems} problems."
    for finding in bad:
        yield f"- **{escape(finding.name)}** does not: {escape(finding.advice)}"
    if not proof.tallies:
        return
    yield ""
    yield "| completions | must | tried | judged otherwise |"
    yield "| --- | --- | --- | --- |"
    for tally in proof.tallies:
        must = "pass" if tally.right else "not pass"
        yield f"| {escape(tally.kind)} | {must} | {tally.tried:,} | {tally.broke} |"
    yield ""
    yield fence("\n".join(write_figures(proof)))


def _write_example(example: Example) -> Iterator[str]:
    problem = example.problem
    yield f"`{problem.id}`, reference `{_cut(json.dumps(problem.reference, default=str), 200)}`".replace(
        "\n", " "
    )
    yield fence(_cut(problem.text))
    if example.solution is None:
        yield "No solution is shown: the task has no player."
        return
    yield f"A solution, reward {example.reward:.3g}, {example.outcome}:"
    yield fence(_cut(example.solution))


def _cut(text: str, most: int = MOST_CHARS) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _write_terms(task: Task) -> Iterator[str]:
    yield f"- source: {escape(task.origin)}"
    yield f"- licence: {escape(task.licence)}"
    if task.citation:
        yield f"- cite: {escape(task.citation)}"
