"""`palaestra eval`"""

from __future__ import annotations


def main(argv: list[str]) -> int:
    """Measure a pass-rate or a learned reward; write completions.jsonl and summary.json."""
    from ..config.evaluation import EvalConfig
    from ..config.parse import parse
    from ..config.tasks import open_data

    config = parse(EvalConfig, argv, "palaestra eval")
    open_data(config.task, [config.held_out.split])
    from ..evaluation.run import evaluate_model
    from ..terminal import say

    run = evaluate_model(config)
    say(str(run))
    print(f"Every completion with its verdicts: {run.folder / 'completions.jsonl'}")
    return 0
