"""`palaestra eval`"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..config.train import EvalConfig
    from ..evaluation.evaluate import Evaluation
    from ..evaluation.winrate import WinRate

PROCEDURAL_PROBLEMS = 500


def main(argv: list[str]) -> int:
    """Measure a pass-rate or a learned reward; write completions.jsonl and summary.json."""
    from ..config.parse import parse
    from ..config.train import EvalConfig

    config = parse(EvalConfig, argv, "palaestra eval")
    check(config)
    from ...tasks.core import registry
    from ..config.parse import task_options
    from ..engines.local import Sampler, Sampling
    from ..evaluation.evaluate import evaluate, write_groups
    from ..evaluation.winrate import read_baseline
    from ..isolation import isolate
    from ..model.policy import load_policy
    from ..reward_models.scoring import against, judged
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
    sampler = Sampler(policy.model, policy.tokenizer, config.rows)
    rollouts = Rollouts(sampler, found.task, config.max_prompt_tokens, scorers=found.scorers)
    sampling = Sampling(config.temperature, config.top_k, config.top_p, config.max_new_tokens, config.stop)
    try:
        with policy.arithmetic():
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


def check(config: EvalConfig) -> None:
    """Raise UserError for settings that make no sense together."""
    from ...tasks.core.errors import UserError

    if not config.model:
        raise UserError("Say which model: --model HUB_ID_OR_FOLDER.")
    if config.samples < 1:
        raise UserError(f"--samples {config.samples}: give at least 1.")
    if config.temperature == 0 and config.samples > 1:
        raise UserError("Greedy decoding gives the same completion every time: use --samples 1, or a --temperature above 0.")
    if not 0 < config.top_p <= 1:
        raise UserError(f"--top-p {config.top_p} is not above 0 and at most 1.")


def describe(result: Evaluation, config: EvalConfig, wins: Mapping[str, WinRate]) -> str:
    """The result as lines for a person."""
    mode = "greedy" if config.temperature == 0 else f"temperature {config.temperature:g}, {config.samples} sample(s) each"
    lines = [f"{config.task}, {config.split} split, {result.problems} problems, {mode}"]
    if config.extraction == "lenient":
        lines.append("  lenient extraction: answers in plain prose are read too, so this is no rate to set beside a strict one")
    lines += [f"  pass@{k:<3} {estimate}   (95 % interval)" for k, estimate in result.pass_at.items()]
    lines += [
        f"  learned reward {name} {interval}   (standard deviations above the answers its model was fitted on; no pass-rate)"
        for name, interval in result.learned.items()
    ]
    for name, win in wins.items():
        lines.append(f"  win-rate by {name} against {config.baseline}: {win}   (ties {win.ties:.1%}, counted half)")
        if win.unmatched:
            lines.append(f"    {win.unmatched} problems are on one side only and were left out")
    extracted = f"answer extracted {result.extracted:.1%}, " if result.pass_at else ""
    lines.append(f"  {extracted}truncated {result.truncated:.1%}, unscorable {result.abstained:.1%}")
    lines.append(f"  mean reward {result.reward:.3f}, mean length {result.tokens:.1f} tokens, {result.seconds:.0f} s")
    if result.too_long:
        lines.append(
            f"  {result.too_long} prompts are over {config.max_prompt_tokens} tokens and count as not passed; "
            "raise --max-prompt-tokens to try them"
        )
    return "\n".join(lines)
