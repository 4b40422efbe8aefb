"""`palaestra eval`"""

from __future__ import annotations


def main(argv: list[str]) -> int:
    """Measure pass-rates or learned rewards; write completions.jsonl and summary.json of each evaluation."""
    from ..config.evaluation import EvalConfig
    from ..config.parse import parse
    from ..evaluation.plan import list_evaluations
    from ..runs.checks import check_eval

    config = parse(EvalConfig, argv, "palaestra eval")
    asked = list_evaluations(config)
    for each in asked:
        check_eval(each, alone=len(asked) == 1)
    from ..evaluation.run import evaluate_all
    from ..terminal import say

    suite = evaluate_all(config, say)
    if len(suite.runs) > 1:
        say(f"\n{suite}")
    for run in suite.runs:
        print(f"Every completion with its verdicts: {run.folder / 'completions.jsonl'}")
    return 0
