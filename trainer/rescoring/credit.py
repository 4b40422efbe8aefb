"""What a run's groups would have taught under other rewards: advantages by the run's own settings.

The gradient of a group is the sum of its completions' own gradients, each weighed by its advantage. Where the
two advantage vectors of a group stand at more than a right angle (a cosine below 0), the group would have
pulled the other way, as far as its completions' gradients are alike in size and don't depend on each other.

Suffixes: B rows (completions of a step), G completions of a group.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...tasks import Problem
from ...verifiers import Completion, Rubric, Score
from ..algorithms.base import Algorithm
from ..algorithms.batch import Batch
from ..algorithms.named import find_algorithm
from ..algorithms.update import shape_batch
from ..config.train import TrainConfig
from ..rollouts.group import Group
from .recorded import Recorded


@dataclass(frozen=True)
class GroupCredit:
    """A group's advantages then and now. group: its number in the record.

    sign_flips: completions whose advantage changed its sign.  cosine: of the two vectors; nan where one is 0.
    change: `flipped` (a cosine below 0), `silenced` (there was a signal, and none is left), `woken` (there
    was none), `kept`, or `none` (no signal in either).
    """

    step: int
    group: int
    problem: str
    before_G: Sequence[float]
    after_G: Sequence[float]
    sign_flips: int
    cosine: float
    change: str


@dataclass(frozen=True)
class StepCredit:
    """A step's groups together. cosine: of the advantages of the whole step, nan where one of them is 0."""

    step: int
    cosine: float
    groups: int
    flipped: int
    silenced: int
    woken: int
    sign_flips: int


@dataclass(frozen=True)
class Credits:
    """All groups and steps. notes: what was left out of the advantages, as sentences."""

    groups: Sequence[GroupCredit]
    steps: Sequence[StepCredit]
    notes: Sequence[str]

    def count(self, change: str) -> int:
        """Groups whose gradient changed in this way."""
        return sum(group.change == change for group in self.groups)

    def rank_steps(self) -> list[StepCredit]:
        """The steps, those that would have gone most another way first."""
        return sorted(
            self.steps, key=lambda step: (2.0 if math.isnan(step.cosine) else step.cosine, step.step)
        )


def make_creditor(config: TrainConfig) -> Algorithm | str:
    """The run's own algorithm, without a model; or why there is none for scores alone, as a sentence."""
    kind = find_algorithm(config.algorithm)
    if not kind.compares_groups:
        return (
            f"Advantages of {config.algorithm} need more than the rewards (a critic's values, say): groups "
            "are not compared."
        )
    return kind(None, config.but(**{"loss.kl_coef": 0.0, "loss.entropy_target": 0.0}))  # type: ignore[arg-type]


def list_notes(config: TrainConfig) -> list[str]:
    """What the advantages of a run hang on, and these leave out."""
    loss, notes = config.objective.loss, []
    if loss.kl_coef and loss.kl_in != "loss":
        notes.append(
            "The run took a KL penalty off its rewards; it is left out of both advantages, since the "
            "reference's "
            "log-probabilities are not on record."
        )
    if config.reward.criterion_weight:
        notes.append(
            "The run changed the weights of its rubric from step to step: before is what it was paid by, "
            "after is by the rubric's own weights."
        )
    if config.reward.control != "none":
        notes.append(
            f"The run trained on a control's rewards ({config.reward.control}): before is what it trained "
            f"on, "
            "after is the rubric's own reward."
        )
    return notes


def credit_steps(
    rows_B: Sequence[Recorded],
    scores_B: Sequence[Score],
    rubric: Rubric,
    configs: Mapping[int, TrainConfig],
) -> Credits | str:
    """The advantages of every group of a run, by what was recorded and by the new scores.

    rubric: the run's own, which says what the recorded rewards are made of.  configs: by the steps the
    settings under which they were taken, one object where they are the same.
    A step whose groups are not whole is left out, and noted. A sentence instead where the algorithm's
    advantages don't follow from scores.
    """
    creditors = {id(config): make_creditor(config) for config in configs.values()}
    for creditor in creditors.values():
        if isinstance(creditor, str):
            return creditor
    notes = list(dict.fromkeys(note for config in configs.values() for note in list_notes(config)))
    groups, steps = list[GroupCredit](), list[StepCredit]()
    for step, places in _split(rows_B).items():
        creditor, size = creditors[id(configs[step])], configs[step].rollouts.group_size
        assert not isinstance(creditor, str)
        by_group = _gather([rows_B[place].group for place in places], places)
        if any(len(members) != size for members in by_group.values()):
            notes.append(f"Step {step} is not whole in the record, and is left out.")
            continue
        order = [place for members in by_group.values() for place in members]
        rows = [rows_B[place] for place in order]
        before_B = credit(rows, [recall(row, rubric.of(row.problem)) for row in rows], creditor)
        after_B = credit(rows, [scores_B[place] for place in order], creditor)
        found = [
            compare_group(rows[first], before_B[first : first + size], after_B[first : first + size])
            for first in range(0, len(rows), size)
        ]
        groups += found
        steps.append(_summarise(step, found, before_B, after_B))
    return Credits(groups, steps, notes)


def _split(rows_B: Sequence[Recorded]) -> dict[int, list[int]]:
    return _gather([row.step for row in rows_B], range(len(rows_B)))


def _gather(keys: Sequence[int], places: Sequence[int]) -> dict[int, list[int]]:
    """The places by their keys, in their order."""
    found: dict[int, list[int]] = {}
    for key, place in zip(keys, places, strict=True):
        found.setdefault(key, []).append(place)
    return found


def recall(row: Recorded, rubric: Rubric) -> Score:
    """The score as it was recorded, with what its reward is made of where the run's rubric still says so."""
    plain = Score(row.reward, row.passed, row.verdicts, row.abstained, row.learned)
    try:
        judged = rubric.judge(row.verdicts, row.learned)
    except KeyError:  # the rubric has other criteria by now
        return plain
    return judged if (judged.reward, judged.abstained) == (row.reward, row.abstained) else plain


def credit(rows_B: Sequence[Recorded], scores_B: Sequence[Score], creditor: Algorithm) -> Tensor:
    """The advantages of a step's completions, in the order of the rows, which are those of whole groups one
    after the other; the mean over its tokens where its turns have their own, 0 for one that is not in the
    loss."""
    config = creditor.config
    size = config.rollouts.group_size
    completions = [_stand_in(row) for row in rows_B]
    groups = [
        Group(Problem(""), completions[first : first + size], scores_B[first : first + size])
        for first in range(0, len(rows_B), size)
    ]
    batch = creditor.credit(shape_batch(Batch.of(groups, torch.device("cpu")), config))
    if batch.turns is None or config.objective.advantages.turns == "whole":
        return batch.advantages_BT[:, 0]
    return (batch.advantages_BT * batch.mask_BT).sum(1) / batch.mask_BT.sum(1).clamp(min=1)


def _stand_in(row: Recorded) -> Completion:
    """One of the same length: advantages read how long a completion is, and which of its tokens are of which
    turn, never which tokens these are."""
    counts = enumerate(row.tokens_by_turn)
    sampled = tuple(place % 2 == 0 for place, count in counts for _ in range(count))
    tokens = len(sampled) or max(1, row.completion.tokens)
    found = {"prompt_ids": (0,), "ids": (0,) * tokens, "logprobs": (0.0,) * tokens, "sampled": sampled}
    return replace(row.completion, **found, usage=None)


def compare_group(row: Recorded, before_G: Tensor, after_G: Tensor) -> GroupCredit:
    flips = int((before_G * after_G < 0).sum())
    cosine = compute_cosine(before_G, after_G)
    signals = bool(before_G.any()), bool(after_G.any())
    change = {(True, False): "silenced", (False, True): "woken", (False, False): "none"}.get(
        signals, "flipped" if cosine < 0 else "kept"
    )
    return GroupCredit(
        row.step, row.group, row.problem, before_G.tolist(), after_G.tolist(), flips, cosine, change
    )


def compute_cosine(before_B: Tensor, after_B: Tensor) -> float:
    """Of two vectors, in [-1, 1]; nan where one is 0."""
    first, second = before_B.double(), after_B.double()
    sizes = float(first.norm() * second.norm())
    return max(-1.0, min(1.0, float(first @ second) / sizes)) if sizes else math.nan


def _summarise(step: int, groups: Sequence[GroupCredit], before_B: Tensor, after_B: Tensor) -> StepCredit:
    counts: Mapping[str, int] = {
        change: sum(group.change == change for group in groups) for change in ("flipped", "silenced", "woken")
    }
    flips = sum(group.sign_flips for group in groups)
    return StepCredit(step, compute_cosine(before_B, after_B), len(groups), **counts, sign_flips=flips)
