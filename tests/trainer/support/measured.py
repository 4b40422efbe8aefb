"""Folders of evaluations, written by hand."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FACTS = {
    "task": "t", "task_source": "a", "verifiers": "v", "problems": "p", "prompts": "r", "model": "m",
    "reward_models": {},
}  # fmt: skip
SETTINGS = {"split": "test", "temperature": 0.0, "extraction": "strict", "system": "", "max_new_tokens": 64}


def write_evaluation(
    folder: Path,
    passed: Mapping[str, Sequence[bool | None]],
    facts: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    **others: Any,
) -> Path:
    """An evaluation that found this of each problem's completions; None: it could not be scored.

    others: of facts.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    identity = {
        "settings": {**SETTINGS, **(settings or {})},
        "samples": max(map(len, passed.values())),
        "problems": len(passed),
        "facts": {**FACTS, **(facts or {})},
    }
    said = {"command": "eval", "identity": identity, "chat_template": None, "prompt_date": "2026-01-01"}
    (folder / "facts.json").write_text(json.dumps({**said, **others}))
    rows = [
        make_row(problem, sample, found)
        for problem, listed in passed.items()
        for sample, found in enumerate(listed)
    ]
    (folder / "completions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def make_row(problem: str, sample: int, passed: bool | None) -> dict[str, Any]:
    status = "error" if passed is None else "correct" if passed else "wrong"
    verdict = {
        "status": status, "value": float(bool(passed)), "answer": str(sample), "reason": "", "seconds": 0.0,
    }  # fmt: skip
    return {
        "sample": sample, "id": problem, "prompt": f"What is {problem}?", "reference": "1",
        "completion": f"{problem} sample {sample} {status}", "tokens": 3, "prompt_tokens": 5,
        "finish_reason": "stop", "reward": float(bool(passed)), "passed": bool(passed),
        "abstained": passed is None, "verdicts": {"number": verdict}, "seconds": 0.1,
    }  # fmt: skip
