"""`palaestra eval`"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..evaluation.run import PROCEDURAL_PROBLEMS, check, describe

if TYPE_CHECKING:
    pass


def main(argv: list[str]) -> int:
    """Measure a pass-rate or a learned reward; write completions.jsonl and summary.json."""
    from ..config.evaluation import EvalConfig
    from ..config.parse import parse

    config = parse(EvalConfig, argv, "palaestra eval")
    check(config)
    from ...tasks.core import registry
    from ...tasks.core.isolation import isolate
    from ..config.parse import task_options
    from ..engines.base import Sampling
    from ..engines.local import LocalEngine
    from ..evaluation.evaluate import evaluate
    from ..evaluation.records import write_groups
    from ..evaluation.winrate import against, read_baseline
    from ..model.policy import load_policy
    from ..reward_models.scoring import judged
    from ..rollouts.rollouts import Rollouts
    from ..terminal import say

    baseline = read_baseline(config.baseline) if config.baseline else {}
    task = registry.get(config.task, task_options(config.option, config.data))
    if config.extraction == "lenient":
        task = replace(task, rubric=task.rubric.lenient())
    facts = isolate(task, config.allow_weak_sandbox)
    found = judged(task, config.reward_model, 0.0, config.device, config.dtype)
    count = config.problems or (None if task.source.size(config.split) else PROCEDURAL_PROBLEMS)
    problems = task.problems(config.split, count, config.seed, config.level or None)
    policy = load_policy(config.model, config.device, config.dtype)
    folder = Path(config.out or f"runs/eval-{task.name}-{Path(config.model).name}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "completions.jsonl").unlink(missing_ok=True)
    engine = LocalEngine(policy, config.rows)
    rollouts = Rollouts(engine, policy.tokenizer, found.task, config.max_prompt_tokens, scorers=found.scorers)
    sampling = Sampling(config.temperature, config.top_k, config.top_p, config.max_new_tokens, config.stop)
    try:
        result = evaluate(
            rollouts, problems, config.samples, sampling, config.seed, show_progress=True,
            keep=lambda group: write_groups(folder / "completions.jsonl", [group]),
        )  # fmt: skip
    finally:
        rollouts.close()
    wins = against(found, result.groups, baseline) if config.baseline else {}
    summary = {
        "task": task.name, "split": config.split, "model": config.model, "extraction": config.extraction,
        **result.summary(), **facts,
        "baseline": config.baseline, "win_rate": {name: asdict(win) for name, win in wins.items()},
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    say(describe(result, config, wins))
    print(f"Every completion with its verdicts: {folder / 'completions.jsonl'}")
    return 0
