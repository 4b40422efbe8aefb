"""A task or a rubric in the calling conventions of other tools: `palaestra.adapters`.

None of those tools is imported before the function is called that needs it.

>>> import palaestra as pal
>>> rows = pal.adapters.as_dataset("gcd", count=3, level=1)
>>> rows.column_names
['id', 'prompt', 'reference', 'metadata']
>>> reward = pal.adapters.trl_reward("gcd")
>>> reward(prompts=rows["prompt"], completions=["<answer>-1</answer>"] * 3, id=rows["id"])
[0.09090909090909091, 0.09090909090909091, 0.09090909090909091]
"""

from .datasets import as_dataset
from .inspect_ai import inspect_scorer, inspect_task
from .lm_eval import lm_eval_task
from .trl import trl_reward
from .verifiers import verifiers_rubric

__all__ = [
    "as_dataset",
    "inspect_scorer",
    "inspect_task",
    "lm_eval_task",
    "trl_reward",
    "verifiers_rubric",
]
