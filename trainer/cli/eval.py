"""`palaestra eval`"""

from __future__ import annotations


def main(argv: list[str]) -> int:
    """Measure pass-rates or learned rewards; write completions.jsonl and summary.json of each evaluation."""
    from ..config.evaluation import EvalConfig
    from ..config.parse import parse
    from ..config.suites import check_model_named, check_settings, list_tasks

    config = parse(EvalConfig, argv, "palaestra eval")
    check_model_named(config)
    for each in list_tasks(config):
        check_settings(each)
    from ..evaluation.run import evaluate_all
    from ..terminal import say

    suite = evaluate_all(config, say)
    if len(suite.runs) > 1:
        say(f"\n{suite}")
    for run in suite.runs:
        print(f"Every completion with its verdicts: {run.folder / 'completions.jsonl'}")
    return 0
