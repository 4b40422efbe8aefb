"""Folders as runs and evaluations leave them, made by hand: nothing is trained."""

import json
import random
from pathlib import Path
from typing import Any


def make_row(
    step: int, problem: int, sample: int, *, passed: bool, text: str = "", **more: Any
) -> dict[str, Any]:
    """A line of rollouts.jsonl."""
    answer = str(problem if passed else problem + 1)
    verdict = {"status": "correct" if passed else "wrong", "value": float(passed), "answer": answer,
               "reason": "" if passed else f"{answer} is not {problem}.", "seconds": 0.0}  # fmt: skip
    tag = {"status": "correct", "value": 1.0, "answer": answer, "reason": "", "seconds": 0.0}
    said = text or f"so it is <answer>{answer}</answer>"
    return {
        "step": step, "sample": sample, "advantage": 0.5 if passed else -0.5,
        "id": f"made/train/{problem}", "prompt": f"What is {problem}?", "reference": str(problem),
        "completion": said, "tokens": 20 + sample, "prompt_tokens": 4, "finish_reason": "stop",
        "reward": float(passed), "passed": passed, "abstained": False,
        "verdicts": {"number": verdict, "answer_tag": tag},
        "token_ids": [1] * 3, "logprobs_x100": [-10, -200, 0], **more,
    }  # fmt: skip


def make_estimate(value: float, problems: int = 100) -> dict[str, Any]:
    """A pass-rate as an evaluation records it."""
    half = 0.08
    ends = {"low": max(0.0, value - half), "high": min(1.0, value + half)}
    return {"value": value, **ends, "problems": problems, "excluded": 0}


def make_evaluation(step: int, value: float) -> dict[str, Any]:
    """A line of metrics.jsonl."""
    reward = {key: end for key, end in make_estimate(value).items() if key != "excluded"}
    result = {"pass_at": {"1": make_estimate(value)}, "reward_interval": reward, "learned": {}}
    return {"kind": "evaluation", "step": step, "greedy": result, "sampled": result, "seconds": 0.5}


def make_step(step: int, rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A step's line of metrics.jsonl."""
    reward = sum(row["reward"] for row in rows) / len(rows)
    criteria = {name: {"mean": sum(r["verdicts"][name]["value"] for r in rows) / len(rows)}
                for name in rows[0]["verdicts"]}  # fmt: skip
    return {
        "kind": "step", "step": step, "reward": reward, "pass_rate": reward, "tokens": 21.0,
        "extracted": 1.0, "truncated": 0.0, "abstained": 0.0, "entropy": 0.5, "criteria": criteria,
        "prompts": {"kept": 2}, "tokens_sampled": 168, "seconds": {"sample": 1.0, "update": 2.0}, **more,
    }  # fmt: skip


def make_run(
    folder: Path, *, steps: int = 20, texts: tuple[str, ...] = (), learns: bool = True, end: str = "finished"
) -> Path:
    """The folder of a run of ten problems, two a step, four completions of each.

    texts: what the first completions say.  learns: held-out pass@1 from 20 % to 80 %, else it stays at 20 %.
    end: how it ended; "" leaves no word.
    """
    folder.mkdir(parents=True)
    config = {
        "steps": steps,
        "task": {"name": "made"},
        "rollouts": {"group_size": 4},
        "reward": {"control": "none"},
    }
    write(folder / "config.json", config)
    write(folder / "facts.json", {"command": "train", "packages": {"palaestra": "1"}, "sources": []})
    if end:
        write(folder / "end.json", {"state": end, "reason": "the reason", "step": steps, "time": 0.0})
    said = iter(texts)
    metrics, rollouts = [make_evaluation(0, 0.2)], []
    for step in range(1, steps + 1):
        rows = [
            make_row(
                step,
                (2 * step + place) % 10,
                sample,
                passed=sample < 4 * step / (steps + 1),
                text=next(said, ""),
            )
            for place in range(2)
            for sample in range(4)
        ]
        rollouts += rows
        metrics.append(make_step(step, rows))
    metrics.append(make_evaluation(steps, 0.8 if learns else 0.2))
    write_lines(folder / "metrics.jsonl", metrics)
    write_lines(folder / "rollouts.jsonl", rollouts)
    return folder


def make_noise(count: int, length: int = 300) -> tuple[str, ...]:
    """Texts that no packing makes much shorter."""
    rng = random.Random(0)
    return tuple(rng.randbytes(length // 2).hex() for _ in range(count))


def make_evaluated(folder: Path, *, problems: int = 6, samples: int = 2) -> Path:
    """The folder of an evaluation, of which every other completion passed."""
    folder.mkdir(parents=True)
    write(folder / "config.json", {"seed": 0})
    write(folder / "facts.json", {"command": "eval", "sources": [], "identity": {}})
    rows = []
    for problem in range(problems):
        for sample in range(samples):
            row = make_row(0, problem, sample, passed=sample % 2 == 0)
            rows.append(
                {k: v for k, v in row.items() if k not in ("step", "advantage", "token_ids", "logprobs_x100")}
            )
    write_lines(folder / "completions.jsonl", rows)
    reward = {"value": 0.5, "low": 0.3, "high": 0.7, "problems": problems}
    pass_at = {"1": make_estimate(0.5, problems), "2": make_estimate(1.0, problems)}
    summary = {"pass_at": pass_at, "reward_interval": reward, "tokens": 20.0, "problems": problems,
               "samples": samples, "extracted": 1.0, "truncated": 0.0, "abstained": 0.0, "too_long": 0,
               "breakdown": {"majority": {"2": reward}}}  # fmt: skip
    write(folder / "summary.json", summary)
    return folder


def make_comparison(folder: Path, first: Path, second: Path) -> Path:
    """The folder of a comparison of two evaluations."""
    folder.mkdir(parents=True)
    difference = {
        "value": 0.25,
        "low": 0.1,
        "high": 0.4,
        "problems": 6,
        "wins": 2,
        "losses": 0,
        "excluded": 0,
    }
    estimate = {"k": 1, "rates": {"first": 0.5, "second": 0.75}, "difference": difference, "p_value": 0.01,
                "mcnemar": True, "corrected": 0.02, "reach": {}}  # fmt: skip
    flips = [{"problem": "made/train/3", "gained": True, "before": 0.0, "after": 1.0}]
    pair = {
        "first": "first",
        "second": "second",
        "estimates": [estimate],
        "flips": flips,
        "notes": ["a note"],
    }
    sides = [{"name": path.name, "folder": str(path)} for path in (first, second)]
    write(folder / "comparison.json", {"command": "compare", "sides": sides, "pairs": [pair]})
    row = {"sample": 0, "text": "it is 4", "reward": 0.0, "passed": False, "answer": "4", "status": "wrong"}
    right = {**row, "text": "it is 3", "passed": True, "answer": "3"}
    flip = {**flips[0], "first_name": "first", "second_name": "second",
            "prompt": "What is 3?", "reference": "3", "first": row, "second": right}  # fmt: skip
    write_lines(folder / "flips.jsonl", [flip])
    return folder


def write(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values), encoding="utf-8")


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
