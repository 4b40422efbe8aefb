"""Training from Python: measure, train, measure again, and look at the numbers. Half a minute on one core.

    python examples/train_from_python.py

Settings go by the names that the command line's flags have; `palaestra train --help-all` explains each. The
run's folder is the one that the command would leave: `palaestra resume` and `palaestra replay` take it.
"""

from __future__ import annotations

from typing import Any

import palaestra as pal

GCD: dict[str, Any] = {"task": "gcd", "level": 1, "threads": 1}
SAMPLED: dict[str, Any] = {"samples": 4, "temperature": 1.0, "max_new_tokens": 16}


def main(
    folder: str = "runs/from-python", sft_steps: int = 60, steps: int = 40, problems: int = 200
) -> float:
    """The pass-rate of the trained model on held-out problems."""
    fit = pal.sft(**GCD, steps=sft_steps, demonstrations=4000, eval_problems=50, out=f"{folder}/sft")
    print(fit)
    before = pal.evaluate(**GCD, **SAMPLED, model=fit.model, problems=problems, out=f"{folder}/before")

    config = pal.TrainConfig.of(**GCD, model=fit.model, steps=steps, max_new_tokens=16, eval_every=0)
    run = pal.train(config, out=f"{folder}/run", prompts_per_step=16, eval_problems=50)
    for line in run.metrics()[:: max(1, steps // 5)]:
        print(f"step {line['step']}: reward {line['reward']:.2f}, {line['tokens']:.1f} tokens")

    after = pal.evaluate(**GCD, **SAMPLED, model=run.model, problems=problems, out=f"{folder}/after")
    for k, estimate in after.result.pass_at.items():
        print(f"pass@{k}: {before.result.pass_at[k]} before, {estimate} after")
    worst = min(after.result.groups, key=lambda group: sum(score.reward for score in group.scores_G))
    print(f"{worst.problem.text}  {worst.completions_G[0].text}")
    print(worst.scores_G[0].parts["number"].reason)
    return after.result.pass_at[1].value


if __name__ == "__main__":
    main()
