"""Folders of runs, written by hand: a task whose answers are known, groups of texts, no model."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import palaestra as pal
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.evaluation.records import make_record

TASK = "gcd"


def write_run(folder: Path, steps: Sequence[Sequence[Sequence[str]]], **settings: Any) -> Path:
    """A run of `gcd` whose steps sampled these groups of texts; `{}` in a text is the right answer."""
    task = pal.tasks.get(TASK)
    size = len(steps[0][0])
    config = TrainConfig.of(task=TASK, group_size=size, prompts_per_step=len(steps[0]), **settings)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(asdict(config)))
    (folder / "facts.json").write_text(json.dumps({"command": "train", "sources": {}}))
    lines, index = [], 0
    for step, groups in enumerate(steps, 1):
        for texts in groups:
            problem = task.problem("train", index, 0)
            index += 1
            for sample, text in enumerate(texts):
                said = text.replace("{}", str(problem.reference))
                usage = {"ids": tuple(range(len(said))), "prompt_ids": (1, 2)}
                completion = pal.Completion(said, finish_reason="stop", **usage)
                score = task.score(completion, problem)
                record = make_record(problem, completion, score, step=step, sample=sample)
                lines.append(json.dumps(record, default=str))
    (folder / "rollouts.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder
