"""A step's scored completions as tensors.

Shapes: B rows (completions), G completions in a group, T completion tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...tasks.core.seeds import digest
from ..model.sequences import Sequences
from ..objective.turns import Turns
from ..rollouts.group import Criteria, Group, gather_turns


@dataclass(frozen=True)
class Batch:
    """A step's completions as tensors; row p * G + g is completion g of problem p.

    sampled_logprobs_BT: as recorded while sampling.  rewards_B, abstained_B: of the rubric.
    truncated_B: cut at the length limit.  mask_BT: True on completion tokens that count in the loss.
    drawn_BT: True on those that the policy drew: all of a single turn, not what an episode's world answered;
    None for all.
    advantages_BT: credit of each token, 0 until `credit` has set it.  ref_logprobs_BT: of the frozen
    reference, if any.
    columns_BT: what else is kept of each token, by name: of the algorithm, and `marked` by a loss kind.
    criteria_BK, weights_K: what the rewards are made of (see rollouts.group.Criteria).
    before_logprobs_BT: of the policy before the first update, where that pass was made; its entropies are
    entropy_BT, in nats.  tasks_B: the task of each row, as a number; of one task, where there are none.
    turns: of episodes; None where every completion is a single turn.

    >>> import palaestra as pal
    >>> import torch
    >>> from palaestra.trainer.rollouts.group import Group
    >>> problem, rubric = pal.Problem("What is 7 * 6?", "42"), pal.Rubric(pal.criteria.number())
    >>> texts = ("<answer>42</answer>", "<answer>41</answer>")
    >>> said = [pal.Completion(text, (5, 6), (8, 9), (-0.5, -1.0)) for text in texts]
    >>> scores = [rubric.score(completion, problem) for completion in said]
    >>> batch = pal.Batch.of([Group(problem, said, scores)], torch.device("cpu"))
    >>> batch.rewards_B.tolist(), batch.mask_BT.shape
    ([1.0, 0.0], torch.Size([2, 2]))
    """

    sequences: Sequences
    group_size: int
    sampled_logprobs_BT: Tensor
    rewards_B: Tensor
    abstained_B: Tensor
    truncated_B: Tensor
    mask_BT: Tensor
    advantages_BT: Tensor
    ref_logprobs_BT: Tensor | None = None
    columns_BT: Mapping[str, Tensor] = field(default_factory=dict)
    criteria_BK: Tensor | None = None
    weights_K: Tensor | None = None
    before_logprobs_BT: Tensor | None = None
    entropy_BT: Tensor | None = None
    tasks_B: Tensor | None = None
    drawn_BT: Tensor | None = None
    turns: Turns | None = None

    @property
    def own_BT(self) -> Tensor:
        """True on the tokens that the policy drew, whether they count or not."""
        return self.sequences.mask_BT if self.drawn_BT is None else self.drawn_BT

    @classmethod
    def of(cls, groups: Sequence[Group], device: torch.device) -> Batch:
        completions = [completion for group in groups for completion in group.completions_G]
        scores = [score for group in groups for score in group.scores_G]
        prompts, ids, kept = zip(*((c.prompt_ids, c.ids, c.kept) for c in completions), strict=True)
        marks, rewinds = [c.sampled for c in completions], [c.rewinds for c in completions]
        sequences = Sequences.of(prompts, ids, device, kept).branch(marks, rewinds)
        width = int(sequences.lengths_B.max())
        criteria = Criteria.of(scores)
        sampled = [[*c.logprobs, *[0.0] * (width - len(c.logprobs))] for c in completions]
        drawn_BT = sequences.mark_drawn(marks)
        return cls(
            sequences,
            len(groups[0].completions_G),
            torch.tensor(sampled, device=device),
            torch.tensor([score.reward for score in scores], device=device),
            torch.tensor([score.abstained for score in scores], device=device),
            torch.tensor([completion.truncated for completion in completions], device=device),
            drawn_BT,
            torch.zeros(len(completions), width, device=device),
            criteria_BK=criteria.values_BK.to(device),
            weights_K=criteria.weights_K.to(device),
            tasks_B=torch.tensor(number_tasks(groups), device=device),
            drawn_BT=drawn_BT,
            turns=gather_turns(groups, device),
        )

    def select(self, rows_B: Tensor) -> Batch:
        """Some of the rows, without the columns that none of them uses."""
        sequences = self.sequences.select(rows_B)
        width = int(sequences.lengths_B.max()) if len(sequences.lengths_B) else 0

        def take(column_BT: Tensor | None) -> Tensor | None:
            return None if column_BT is None else column_BT[rows_B, :width]

        return Batch(
            sequences,
            self.group_size,
            self.sampled_logprobs_BT[rows_B, :width],
            self.rewards_B[rows_B],
            self.abstained_B[rows_B],
            self.truncated_B[rows_B],
            self.mask_BT[rows_B, :width],
            self.advantages_BT[rows_B, :width],
            take(self.ref_logprobs_BT),
            {name: column_BT[rows_B, :width] for name, column_BT in self.columns_BT.items()},
            None if self.criteria_BK is None else self.criteria_BK[rows_B],
            self.weights_K,
            take(self.before_logprobs_BT),
            take(self.entropy_BT),
            None if self.tasks_B is None else self.tasks_B[rows_B],
            take(self.drawn_BT),
            None if self.turns is None else self.turns.select(rows_B),
        )

    def split_minibatches(self, count: int, seed: object) -> Iterator[Batch]:
        """`count` parts of nearly equal size, in a seeded order of the rows; the batch itself for one part.

        Fewer where the batch has fewer rows; the settings of a run are held to as many.
        """
        if count == 1:
            yield self
            return
        shuffled = torch.Generator().manual_seed(digest("minibatch", seed) >> 1)
        order_B = torch.randperm(len(self.rewards_B), generator=shuffled).to(self.rewards_B.device)
        for rows_B in order_B.tensor_split(count):
            if len(rows_B):
                yield self.select(rows_B)


def number_tasks(groups: Sequence[Group]) -> list[int]:
    """The task of each completion, as numbers: what its problem's id begins with."""
    numbers: dict[str, int] = {}
    return [
        numbers.setdefault(group.problem.id.partition("/")[0], len(numbers))
        for group in groups
        for _ in group.completions_G
    ]
