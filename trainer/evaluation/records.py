"""Completions with their verdicts as lines of a JSONL file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...tasks import Problem
from ...verifiers import Completion, Rubric, Score
from ..rollouts.group import Answer, Group
from ..rollouts.rollouts import Prompts
from ..storage.rows import RENDERED, read_completion, write_episode
from .measured import Measured, Question, Row, make_row, read_verdict, write_verdict


def make_record(problem: Problem, completion: Completion, score: Score, **extra: Any) -> dict[str, Any]:
    """One completion with its verdicts as plain data, the line of a JSONL file."""
    return {
        **extra,
        "id": problem.id,
        "prompt": problem.text,
        "reference": problem.reference,
        "completion": completion.text,
        **({"reasoning": completion.reasoning} if completion.reasoning else {}),
        "tokens": completion.tokens,
        "prompt_tokens": completion.prompt_tokens,
        "finish_reason": completion.finish_reason,
        **write_episode(completion),
        "reward": score.reward,
        "passed": score.passed,
        "abstained": score.abstained,
        **({"learned": dict(score.learned)} if score.learned else {}),
        "verdicts": {name: write_verdict(verdict) for name, verdict in score.parts.items()},
    }


def read_record(values: Mapping[str, Any], rubric: Rubric) -> Answer:
    """The completion and the score of such a line, but for token ids, under the rubric that it was scored by.

    values: as `storage.rows.find_fault` finds nothing wrong with.
    Raises ValueError or KeyError for one whose verdicts do not make up its reward.
    """
    parts = {name: read_verdict(verdict) for name, verdict in values["verdicts"].items()}
    score = rubric.of(values["id"]).judge(parts, values.get("learned", {}))
    found = (score.reward, score.passed, score.abstained)
    if found != (values["reward"], values["passed"], values["abstained"]):
        raise ValueError("its verdicts do not make up its reward")
    return Answer(read_completion(values), score)


def measure_groups(name: str, groups: Sequence[Group], *, verifiable: bool = True) -> Measured:
    """An evaluation in memory, as comparisons read one."""
    rows_P: dict[str, list[Row]] = {}
    questions: dict[str, Question] = {}
    for group in groups:
        rows = rows_P.setdefault(group.problem.id, [])
        for completion, score in zip(group.completions_G, group.scores_G, strict=True):
            rows.append(make_row(make_record(group.problem, completion, score), len(rows)))
        questions[group.problem.id] = Question(group.problem.text, group.problem.reference)
    return Measured(name, rows_P, questions, verifiable=verifiable)


def write_groups(path: Path, groups: Iterable[Group], prompts: Prompts, **extra: Any) -> None:
    """Append every completion of the groups with its verdicts to a JSONL file.

    prompts: how the model read the problems. The first line of a group has its prompt as the model saw it
    (`rendered_prompt`), which is that of the lines that follow it: prompts may be long, and groups large.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for group in groups:
            rendered = {RENDERED: prompts.decode(group.completions_G[0].prompt_ids)}
            pairs = zip(group.completions_G, group.scores_G, strict=True)
            for sample, (completion, score) in enumerate(pairs):
                record = make_record(group.problem, completion, score, **extra, sample=sample, **rendered)
                file.write(json.dumps(record, default=str) + "\n")
                rendered = {}
