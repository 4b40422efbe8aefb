"""GRPO: credit each completion of a group against the others, then follow the loss kind's policy gradient.

Departures from the textbook (Shao et al. 2024, arXiv:2402.03300), each a default that a flag can change:
1. token mean over the whole batch instead of a mean of sequence means (DAPO, arXiv:2503.14476, eq. 8);
2. advantages are centred but not divided by the group's standard deviation (Dr. GRPO, arXiv:2503.20783);
3. clip range 0.2 below and 0.28 above (DAPO, eq. 10);
4. no KL to a reference, hence no reference model;
5. the old log-probabilities are those recorded while sampling: no forward pass recomputes them but for a
   correction of the sampler (`--loss.correction`), the update checks them;
6. rows whose advantage is 0 are left out of the forward and backward pass when nothing else needs them;
7. a completion that could not be scored is in no mean, no denominator and no gradient.

The update itself (epochs, minibatches, micro-batches, one denominator) is that of all algorithms:
`update.update_policy`.

Shapes: B rows (completions), T completion tokens.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from ..config.train import TrainConfig
from ..objective.formula import write_formula
from .base import Algorithm
from .batch import Batch


class GRPO(Algorithm):
    """Group-relative advantages: one for a completion, or with a KL charged to each token one for each."""

    compares_groups: ClassVar[bool] = True

    @classmethod
    def formula(cls, config: TrainConfig) -> str:
        """What is optimised, as lines for a person."""
        return write_formula(config.objective.loss, config.objective.advantages)

    def credit(self, batch: Batch) -> Batch:
        """Advantages from the group's rewards, or from those of each criterion.

        A KL penalty comes from the reward where it is asked for there.
        """
        return replace(batch, advantages_BT=self.compute_advantages(batch))
