"""Completions with their verdicts as lines of a JSONL file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...tasks import Problem
from ...verifiers import Completion, Rubric, Score, Status, Verdict
from ...verifiers.types import Usage
from ..rollouts.group import Answer


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
        "reward": score.reward,
        "passed": score.passed,
        "abstained": score.abstained,
        **({"learned": dict(score.learned)} if score.learned else {}),
        "verdicts": {name: _make_plain(verdict) for name, verdict in score.parts.items()},
    }


def read_record(values: Mapping[str, Any], rubric: Rubric) -> Answer:
    """The completion and the score of such a line, but for token ids, under the rubric that it was scored by.

    Raises ValueError, TypeError, KeyError or AttributeError for a line that is no record, or whose verdicts
    do not make up its reward.
    """
    completion = Completion(
        values["completion"],
        finish_reason=values["finish_reason"],
        usage=Usage(int(values["tokens"]), int(values["prompt_tokens"])),
        reasoning=str(values.get("reasoning", "")),
    )
    parts = {name: _read_verdict(verdict) for name, verdict in values["verdicts"].items()}
    score = rubric.judge(parts, values.get("learned", {}))
    found = (score.reward, score.passed, score.abstained)
    if found != (values["reward"], values["passed"], values["abstained"]):
        raise ValueError("its verdicts do not make up its reward")
    if not isinstance(completion.text, str):
        raise TypeError("its completion is no text")
    return Answer(completion, score)


def _make_plain(verdict: Verdict) -> dict[str, Any]:
    """By hand: `dataclasses.asdict` copies deeply, and takes ten times as long."""
    return {
        "status": verdict.status,
        "value": verdict.value,
        "answer": verdict.answer,
        "reason": verdict.reason,
        "seconds": verdict.seconds,
        "number": verdict.number,
    }


def _read_verdict(said: Mapping[str, Any]) -> Verdict:
    status, value, seconds = Status(said["status"]), float(said["value"]), float(said["seconds"])
    number = said.get("number")
    return Verdict(status, value, said["answer"], said["reason"], seconds, number)
