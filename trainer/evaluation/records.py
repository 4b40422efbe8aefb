"""Completions with their verdicts as lines of a JSONL file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...tasks import Problem
from ...verifiers import Completion, Score
from ..model.prompts import PromptFormat
from ..rollouts.group import Group
from ..storage.rows import RENDERED


def make_record(problem: Problem, completion: Completion, score: Score, **extra: Any) -> dict[str, Any]:
    """One completion with its verdicts as plain data, the line of a JSONL file."""
    return {
        **extra,
        "id": problem.id,
        "prompt": problem.text,
        "reference": problem.reference,
        "completion": completion.text,
        "tokens": len(completion.ids),
        "prompt_tokens": len(completion.prompt_ids),
        "finish_reason": completion.finish_reason,
        "reward": score.reward,
        "passed": score.passed,
        "abstained": score.abstained,
        **({"learned": dict(score.learned)} if score.learned else {}),
        "verdicts": {name: asdict(verdict) for name, verdict in score.parts.items()},
    }


def write_groups(path: Path, groups: Iterable[Group], prompts: PromptFormat, **extra: Any) -> None:
    """Append every completion of the groups with its verdicts to a JSONL file.

    prompts: how the model read the problems. The first line of a group has its prompt as the model saw it
    (`rendered_prompt`), which is that of the lines that follow it: prompts may be long, and groups large.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for group in groups:
            rendered = {RENDERED: prompts.decode(group.completions_G[0].prompt_ids)}
            for completion, score in zip(group.completions_G, group.scores_G, strict=True):
                record = make_record(group.problem, completion, score, **extra, **rendered)
                file.write(json.dumps(record, default=str) + "\n")
                rendered = {}
