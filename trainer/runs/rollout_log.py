"""rollouts.jsonl: a line for each completion of a step, with its verdicts, its credit and its tokens.

Shapes: B rows (completions of the step), G completions in a group.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..algorithms.batch import Batch
from ..evaluation.records import make_record
from ..rollouts.group import Group
from ..rollouts.rollouts import Prompts
from ..storage.rows import RENDERED

HUNDREDTHS = 100  # of a nat: log-probabilities of tokens are whole numbers of them, enough for a reader
ADVANTAGE_PLACES = 5


def average_advantages(batch: Batch) -> list[float]:
    """Each row's advantage, the mean over its tokens that count in the loss; 0 where none does."""
    counts_B = batch.mask_BT.sum(1).clamp(min=1)
    means_B = (batch.advantages_BT * batch.mask_BT).sum(1) / counts_B
    return means_B.tolist()


def count_by_turn(sampled: Sequence[bool]) -> list[int]:
    """How many tokens the policy drew first, how many the world answered, and so on in turn."""
    kinds = itertools.groupby(sampled)
    counts = [(kind, sum(1 for _ in tokens)) for kind, tokens in kinds]
    return [*([] if counts[0][0] else [0]), *(count for _, count in counts)]


def write_rollouts(
    path: Path,
    groups: Sequence[Group],
    prompts: Prompts,
    step: int,
    advantages_B: Sequence[float],
    shadow: Mapping[int, float],
    *,
    versions: bool = False,
) -> None:
    """Append a step's completions.

    prompts: how the model read the problems. The first line of a group has its prompt as the model saw it
    (`rendered_prompt`), which is that of the lines that follow it: prompts may be long, and groups large.
    shadow: rewards by a stricter rubric, by the row that they are of.  versions: note by how many updates'
    weights each completion was drawn.
    """
    lines: list[str] = []
    for group in groups:
        rendered = {RENDERED: prompts.decode(group.completions_G[0].prompt_ids)}
        for sample, (completion, score) in enumerate(zip(group.completions_G, group.scores_G, strict=True)):
            row = len(lines)
            credit: dict[str, Any] = {"advantage": round(advantages_B[row], ADVANTAGE_PLACES)}
            if row in shadow:
                credit["shadow_reward"] = shadow[row]
            if versions:
                credit["version"] = completion.version
            record = make_record(
                group.problem, completion, score, step=step, sample=sample, **credit, **rendered
            )
            rendered = {}
            record["token_ids"] = list(completion.ids)
            if completion.sampled:
                record["tokens_by_turn"] = count_by_turn(completion.sampled)
            if completion.rewinds:
                record["rewinds"] = [asdict(rewind) for rewind in completion.rewinds]
            record["logprobs_x100"] = (
                np.rint(HUNDREDTHS * np.asarray(completion.logprobs)).astype(int).tolist()
            )
            lines.append(json.dumps(record, default=str, separators=(",", ":")))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))
