"""GRPO: credit each completion of a group against the others, then follow the policy gradient of the loss kind.

Departures from the textbook (Shao et al. 2024, arXiv:2402.03300), each a default that a flag can change:
1. token mean over the whole batch instead of a mean of sequence means (DAPO, arXiv:2503.14476, eq. 8);
2. advantages are centred but not divided by the group's standard deviation (Dr. GRPO, arXiv:2503.20783);
3. clip range 0.2 below and 0.28 above (DAPO, eq. 10);
4. no KL to a reference, hence no reference model;
5. the old log-probabilities are those recorded while sampling: no forward pass recomputes them, the update checks them;
6. rows whose advantage is 0 are left out of the forward and backward pass when nothing else needs them;
7. a completion that could not be scored is in no mean, no denominator and no gradient.

The update itself (epochs, minibatches, micro-batches, one denominator) is that of all algorithms: `update.update_policy`.

Shapes: B rows (completions), G completions in a group, P prompts, T completion tokens.
"""

from __future__ import annotations

from dataclasses import replace

from ...tasks.core.errors import UserError
from ..config.train import TrainConfig
from ..objective.advantages import compute_group_advantages
from ..objective.checks import check
from ..objective.kl import kl_per_token, subtract_kl
from .base import Algorithm
from .batch import Batch


class GRPO(Algorithm):
    """Group-relative advantages, the same for every token of a completion."""

    @classmethod
    def check(cls, config: TrainConfig) -> None:
        objective = config.objective
        try:
            check(objective.loss, objective.advantages, objective.updates, config.rollouts.group_size)
        except ValueError as failure:
            raise UserError(str(failure)) from failure

    def credit(self, batch: Batch) -> Batch:
        """Advantages from the group's rewards; a KL penalty comes from the reward where it is asked for there."""
        loss, advantages, rewards_B = self.config.objective.loss, self.config.objective.advantages, batch.rewards_B
        if loss.kl_coef and loss.kl_in == "reward":
            assert batch.ref_logprobs_BT is not None
            kl_BT = kl_per_token(batch.sampled_logprobs_BT, batch.ref_logprobs_BT, loss.kl_estimator)
            rewards_B = subtract_kl(rewards_B, kl_BT, batch.sequences.mask_BT, loss.kl_coef)
        shape = (-1, batch.group_size)
        advantages_PG = compute_group_advantages(rewards_B.view(shape), batch.abstained_B.view(shape), advantages)
        return replace(batch, advantages_BT=advantages_PG.view(-1, 1) * batch.mask_BT)
