"""A task for the LM Evaluation Harness: a config that `lm_eval.simple_evaluate` takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .datasets import as_dataset
from .rows import RowScorer, as_task

MAX_NEW_TOKENS = 512


def lm_eval_task(
    task: Any,
    split: str = "test",
    count: int | None = None,
    *,
    seed: int = 0,
    max_new_tokens: int = MAX_NEW_TOKENS,
    stop: Sequence[str] = (),
    allow_weak_sandbox: bool = False,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """A task as a config: `lm_eval.simple_evaluate(model=..., tasks=[lm_eval_task("gcd", count=100)])`.

    Its metrics are `passed` and `reward`, each the mean over the problems on which the rubric did not
    abstain.
    count: problems; None for all of a data set's split.  seed: of a procedural task's stream.
    max_new_tokens, stop: of the greedy completions.
    Raises UserError where the sandbox is too weak.

    >>> import palaestra as pal
    >>> config = pal.adapters.lm_eval_task("gcd", count=2)
    >>> row = config["custom_dataset"]()["test"][0]
    >>> config["process_results"](row, [f"<answer>{row['reference']}</answer>"])
    {'passed': 1.0, 'reward': 1.0}
    """
    chosen = as_task(task)
    scorer = RowScorer(chosen, allow_weak_sandbox, say)

    def load(**_options: Any) -> dict[str, Any]:
        return {split: as_dataset(chosen, split, count, seed=seed, chat=False)}

    def judge(row: dict[str, Any], results: Sequence[Any]) -> dict[str, float]:
        said = results[0] if isinstance(results[0], str) else results[0][0]
        found = scorer.score(said, row)
        if found.abstained:
            return {"passed": math.nan, "reward": math.nan}
        return {"passed": float(found.passed), "reward": found.reward}

    return {
        "task": chosen.name,
        "custom_dataset": load,
        "test_split": split,
        "output_type": "generate_until",
        "doc_to_text": lambda row: row["prompt"],
        "doc_to_target": lambda row: row["reference"],
        "process_results": judge,
        "generation_kwargs": {"until": list(stop), "max_gen_toks": max_new_tokens, "do_sample": False},
        "metric_list": [
            {"metric": name, "aggregation": average, "higher_is_better": True}
            for name in ("passed", "reward")
        ],
        "metadata": {"version": 1},
    }


def average(values: Sequence[float]) -> float:
    """The mean of the numbers that are some; nan where none is."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan
