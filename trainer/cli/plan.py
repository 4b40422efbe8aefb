"""`palaestra plan`"""

from __future__ import annotations


def main(argv: list[str]) -> int:
    """Print the plan. Exit code 0 where the run fits, 1 where it does not."""
    from ..config.parse import parse
    from ..config.plan import PlanConfig

    config = parse(PlanConfig, argv, "palaestra plan")
    from ..planning.checks import check_plan

    check_plan(config)
    from ..planning.plan import plan_run, write_plan
    from ..terminal import say

    plan = plan_run(config)
    if config.json:
        import json

        say(json.dumps(plan.to_dict(), indent=2))
    else:
        say(write_plan(plan))
    return 0 if plan.fits else 1
