"""An algorithm of one's own: REINFORCE with a moving baseline, in one file.

    palaestra train --task gcd --algorithm ./examples/own_algorithm.py --loss.kind reinforce --group-size 1

Williams 1992 (doi:10.1007/BF00992696): follow A log p with A = r - b, where b is what was to be expected of
any completion. GRPO takes b from the other completions of the prompt, PPO from a critic; here b is a
moving mean of all rewards so far, so that one completion of a prompt is enough and no further model is held.

To write another one, copy this file. `credit` is all that must be written; docs/design.md says what else an
algorithm may say. Rows of a tensor are whole completions (B), columns their tokens (T).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import palaestra as pal

DECAY = 0.9
"""Share of the baseline that stays in a step; the rest is the mean reward of the step."""


class MovingBaseline(pal.Algorithm):
    """baseline: what is expected of a completion, in the unit of the reward; None before the first step."""

    def __init__(self, policy: pal.Policy, config: pal.TrainConfig) -> None:
        super().__init__(policy, config)
        self.baseline: float | None = None

    @classmethod
    def formula(cls, config: pal.TrainConfig) -> str:
        """What the run prints at its start."""
        moves = f"b <- {DECAY:g} b + {1 - DECAY:g} mean(r of the step)"
        return pal.write_formula(config.objective.loss, f"A = r - b; r: the reward; after each step {moves}")

    def credit(self, batch: pal.Batch) -> pal.Batch:
        """The reward above the baseline, the same for every token of a completion that counts."""
        baseline = self.baseline if self.baseline is not None else mean_reward(batch, self.take_off_kl(batch))
        advantages_B = self.take_off_kl(batch) - baseline
        return replace(batch, advantages_BT=advantages_B[:, None] * batch.mask_BT)

    def finish(self, batch: pal.Batch, parts: Sequence[pal.Part]) -> Mapping[str, float | None]:  # noqa: ARG002 - a hook's signature
        """Move the baseline, after the update.

        What is returned stands in metrics.jsonl and in the loggers.
        """
        mean = mean_reward(batch, self.take_off_kl(batch))
        self.baseline = mean if self.baseline is None else DECAY * self.baseline + (1 - DECAY) * mean
        return {"baseline": self.baseline}

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, so that a run that was stopped goes on to the same bits."""
        return {"baseline": self.baseline}

    def load(self, state: Mapping[str, Any]) -> None:
        self.baseline = state["baseline"]


def mean_reward(batch: pal.Batch, rewards_B: Any) -> float:
    """Over the completions that could be scored; 0 where there is none."""
    scored_B = rewards_B[~batch.abstained_B]
    return float(scored_B.mean()) if len(scored_B) else 0.0
