"""Completions with their verdicts as lines of a JSONL file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...tasks import Problem
from ...verifiers import Completion, Score
from ..rollouts.group import Group


def make_record(problem: Problem, completion: Completion, score: Score, **extra: Any) -> dict[str, Any]:
    """One completion with its verdicts as plain data, the line of a JSONL file."""
    return {
        **extra,
        "id": problem.id,
        "prompt": problem.text,
        "reference": problem.reference,
        "completion": completion.text,
        "tokens": len(completion.ids),
        "finish_reason": completion.finish_reason,
        "reward": score.reward,
        "passed": score.passed,
        "abstained": score.abstained,
        **({"learned": dict(score.learned)} if score.learned else {}),
        "verdicts": {name: asdict(verdict) for name, verdict in score.parts.items()},
    }


def write_groups(path: Path, groups: Iterable[Group], **extra: Any) -> None:
    """Append every completion of the groups with its verdicts to a JSONL file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for group in groups:
            for completion, score in zip(group.completions_G, group.scores_G, strict=True):
                file.write(
                    json.dumps(make_record(group.problem, completion, score, **extra), default=str) + "\n"
                )
