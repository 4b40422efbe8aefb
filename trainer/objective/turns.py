"""Credit by turns of an episode: what each earned, what is still to come, and what it is worth beside others.

Suffixes: B rows (completions), P prompts, G completions in a group, K turns, T completion tokens, N turns of
all rows, R sets of turns that are compared, M places in each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..config.objective import AdvantageConfig
from .advantages import apply_within, compute_group_advantages, normalise_over_batch


@dataclass(frozen=True)
class Turns:
    """The turns of completions, in columns; a single turn is one.

    counts_B: how many each has, 1 or more.  earned_BK: what of the reward each earned by itself, but for the
    last, to which the rest of the reward belongs: 0 there and beyond; in float64.  heard_BK: which words of
    the world each answers, as a number that no two groups share.
    """

    counts_B: Tensor
    earned_BK: Tensor
    heard_BK: Tensor

    @property
    def exists_BK(self) -> Tensor:
        """True where there is a turn."""
        return self._numbers_K < self.counts_B[:, None]

    @property
    def lasts_BK(self) -> Tensor:
        """True at the last turn of each."""
        return self._numbers_K == self.counts_B[:, None] - 1

    @property
    def _numbers_K(self) -> Tensor:
        return torch.arange(self.earned_BK.shape[1], device=self.earned_BK.device)

    def select(self, rows_B: Tensor) -> Turns:
        """Some of the rows."""
        return Turns(self.counts_B[rows_B], self.earned_BK[rows_B], self.heard_BK[rows_B])

    def divide(self, rewards_B: Tensor) -> Tensor:
        """rewards_BK: each turn's part of a completion's reward, which their sum is, in float64. What was
        taken from the reward later (a penalty for length, a KL) is the last one's."""
        rest_B = rewards_B.double() - self.earned_BK.sum(1)
        return torch.where(self.lasts_BK, rest_B[:, None], self.earned_BK)

    def find_rest(self, rewards_B: Tensor) -> Tensor:
        """What of the rewards is the last turn's, in their type."""
        return (rewards_B.double() - self.earned_BK.sum(1)).to(rewards_B.dtype)


def number_turns(own_BT: Tensor) -> Tensor:
    """turn_BT: the number of the turn that each token is of, from 0; -1 where the policy did not draw it.

    own_BT: True where it did. Turns between which the world said nothing are one.
    """
    before_BT = torch.nn.functional.pad(own_BT[:, :-1], (1, 0))
    return torch.where(own_BT, (own_BT & ~before_BT).cumsum(1) - 1, -1)


def spread_over_turns(values_BK: Tensor, own_BT: Tensor) -> Tensor:
    """Each token's value of its turn; shape B x T, any value where the policy did not draw it."""
    return values_BK.gather(1, number_turns(own_BT).clamp(min=0))


def mark_turn_ends(own_BT: Tensor) -> Tensor:
    """True on the last token of each turn that another follows; shape B x T."""
    turn_BT = number_turns(own_BT)
    after_BT = torch.nn.functional.pad(own_BT[:, 1:], (0, 1))
    return own_BT & ~after_BT & (turn_BT < turn_BT.amax(1, keepdim=True))


def place_turn_rewards(turns: Turns, own_BT: Tensor) -> Tensor:
    """What each turn but the last earned, at its last token; shape B x T, 0 elsewhere.

    MT-PPO (Zeng et al. 2025, arXiv:2505.11821): a turn's reward stands at the turn's last token.
    """
    return torch.where(mark_turn_ends(own_BT), spread_over_turns(turns.earned_BK, own_BT), 0.0)


def compute_returns(rewards_BK: Tensor, gamma: float) -> Tensor:
    """The reward to come of each turn, its own included: G_k = r_k + gamma G_(k+1); shape B x K."""
    columns = [rewards_BK[:, -1]]
    for rewards_B in rewards_BK[:, :-1].flip(1).unbind(1):
        columns.append(rewards_B + gamma * columns[-1])
    return torch.stack(columns[::-1], 1)


def compute_turn_advantages(
    turns: Turns,
    rewards_B: Tensor,
    abstained_B: Tensor,
    group_size: int,
    config: AdvantageConfig,
    tasks_B: Tensor | None = None,
) -> Tensor:
    """advantages_BK of each turn, in the unit of the reward or, scaled, in standard deviations; 0 beyond the
    last. Baseline and scale are those of `compute_group_advantages`, whatever is compared:

    returns: the discounted rewards to come (`compute_returns`) of the turns k of a group, of those that have
        one: REINFORCE with a baseline (Sutton and Barto 2018, section 13.4). GTPO (Ding et al. 2025,
        arXiv:2511.14846) takes discounted returns of turns, too.
    mt_grpo: A_k = sum over l from k to K-1 of gamma^(l-k) A_l + gamma^(K-k) A_rest (Zeng et al. 2025,
        arXiv:2505.11821), with A_l from what turns l of the group earned, of those that another follows, and
        A_rest from the rest of the reward. Where K differs within a group an episode that has ended earns 0
        at each later l, and the sum goes on to the longest one's: with gamma 1 and no scale A_1 is then
        A_whole, as it is where K is one.
    gigpo: A_k = A_whole + turn_weight A_same (Feng et al. 2025, arXiv:2505.10978), with A_same from the
        discounted rewards to come of all turns of a group that answer the same words of the world. In a group
        of single turns that would be A_whole again, and is left out.

    With one turn each all are `compute_group_advantages`, to the bit. A turn without another to be compared
    with gets 0 from that comparison. tasks_B: where scale=batch and normalise_batch go over each task.
    """
    scored_B = ~abstained_B.bool()
    scored_BK = turns.exists_BK & scored_B[:, None]
    shape = (-1, group_size, scored_BK.shape[1])
    compare = {"returns": _compare_returns, "mt_grpo": _compare_parts, "gigpo": _compare_same}[config.turns]
    advantages_PGK = apply_within(
        None if tasks_B is None else tasks_B.view(-1, group_size)[:, 0],
        lambda *columns: compare(_Groups(*columns), config),
        rewards_B.view(-1, group_size),
        turns.divide(rewards_B).view(shape),
        scored_BK.view(shape),
        (turns.lasts_BK & scored_BK).view(shape),
        turns.heard_BK.view(shape),
    )
    return torch.where(scored_BK, advantages_PGK.reshape(scored_BK.shape), 0.0)


@dataclass(frozen=True)
class _Groups:
    """What is compared. rewards_PG: of the completions.  parts_PGK: each turn's part of them, in float64.
    scored_PGK, lasts_PGK: whether there is a turn whose completion was scored, and whether it is the last.
    heard_PGK: which words it answers."""

    rewards_PG: Tensor
    parts_PGK: Tensor
    scored_PGK: Tensor
    lasts_PGK: Tensor
    heard_PGK: Tensor

    def compute_returns(self, gamma: float) -> Tensor:
        """returns_PGK, as exact as the rewards are."""
        return _look_ahead(self.parts_PGK, gamma).to(self.rewards_PG.dtype)

    def bound_rounding(self) -> float:
        """How far apart parts may lie that are equal on paper: the rest of a reward has the reward's own
        rounding, however small it is itself. 0 where no turn earned by itself: nothing was taken off."""
        if not torch.where(self.scored_PGK & ~self.lasts_PGK, self.parts_PGK, 0.0).any():
            return 0.0
        sizes_PG = torch.where(self.scored_PGK, self.parts_PGK.abs(), 0.0).sum(2)
        return 4 * torch.finfo(self.rewards_PG.dtype).eps * float(sizes_PG.max())


def _compare_returns(groups: _Groups, config: AdvantageConfig) -> Tensor:
    returns_PGK = groups.compute_returns(config.turn_gamma)
    return _compare_by_number(returns_PGK, groups.scored_PGK, config, groups.bound_rounding())


def _compare_parts(groups: _Groups, config: AdvantageConfig) -> Tensor:
    plain, scored_PGK, lasts_PGK = replace(config, normalise_batch=False), groups.scored_PGK, groups.lasts_PGK
    parts_PGK, rounding = groups.parts_PGK.to(groups.rewards_PG.dtype), groups.bound_rounding()
    rest_PGK = torch.where(lasts_PGK, parts_PGK, 0.0)
    rest_PG = compute_group_advantages(rest_PGK.sum(2), ~lasts_PGK.any(2), plain, rounding)
    # All of a group, as long as one goes on: ended ones earn 0, or what turns cost would cost no one.
    going_PGK = lasts_PGK.any(2, keepdim=True) & (scored_PGK & ~lasts_PGK).any(1, keepdim=True)
    earned_PGK = _compare_by_number(parts_PGK - rest_PGK, going_PGK, plain, rounding)
    own_PGK = torch.where(lasts_PGK, rest_PG[:, :, None] + earned_PGK, earned_PGK)
    return _normalise(_look_ahead(own_PGK, config.turn_gamma), scored_PGK, config)


def _compare_same(groups: _Groups, config: AdvantageConfig) -> Tensor:
    plain, scored_PGK = replace(config, normalise_batch=False), groups.scored_PGK
    whole_PG = compute_group_advantages(groups.rewards_PG, ~scored_PGK.any(2), plain)
    returns_PGK = groups.compute_returns(config.turn_gamma)
    heard_N = groups.heard_PGK[scored_PGK]
    same_N = _compare_sets(returns_PGK[scored_PGK], heard_N, plain, groups.bound_rounding())
    same_PGK = torch.zeros_like(returns_PGK)
    same_PGK[scored_PGK] = config.turn_weight * same_N
    several_P11 = scored_PGK[:, :, 1:].any(2).any(1)[:, None, None]
    whole_PGK = whole_PG[:, :, None].expand_as(same_PGK)
    return _normalise(torch.where(several_P11, whole_PGK + same_PGK, whole_PGK), scored_PGK, config)


def _look_ahead(values_PGK: Tensor, gamma: float) -> Tensor:
    return compute_returns(values_PGK.flatten(0, 1), gamma).view(values_PGK.shape)


def _compare_by_number(
    values_PGK: Tensor, counted_PGK: Tensor, config: AdvantageConfig, rounding: float
) -> Tensor:
    """Advantages of the turns k of a group among each other."""
    prompts, group, turns = values_PGK.shape
    values_RG = values_PGK.permute(0, 2, 1).reshape(-1, group)
    missing_RG = ~counted_PGK.permute(0, 2, 1).reshape(-1, group)
    advantages_RG = compute_group_advantages(values_RG, missing_RG, config, rounding)
    return advantages_RG.view(prompts, turns, group).permute(0, 2, 1)


def _compare_sets(values_N: Tensor, sets_N: Tensor, config: AdvantageConfig, rounding: float) -> Tensor:
    """Advantages within each set of turns. sets_N: the number of the set that each is in."""
    _, set_N, count_R = sets_N.unique(return_inverse=True, return_counts=True)
    order_N = set_N.argsort(stable=True)
    place_N = torch.empty_like(order_N)
    place_N[order_N] = torch.arange(len(order_N), device=order_N.device)
    place_N -= (count_R.cumsum(0) - count_R)[set_N]
    width = max(2, int(count_R.max())) if len(count_R) else 2
    values_RM = values_N.new_zeros(len(count_R), width)
    missing_RM = torch.ones_like(values_RM, dtype=torch.bool)
    values_RM[set_N, place_N], missing_RM[set_N, place_N] = values_N, False
    return compute_group_advantages(values_RM, missing_RM, config, rounding)[set_N, place_N]


def _normalise(advantages_PGK: Tensor, scored_PGK: Tensor, config: AdvantageConfig) -> Tensor:
    """Over all turns of the batch where that is asked for, those of a group with nothing to compare apart."""
    if not config.normalise_batch:
        return advantages_PGK
    enough_P = scored_PGK.any(2).sum(1) >= (2 if config.needs_group else 1)
    counted_PGK = scored_PGK & enough_P[:, None, None]
    # Terms that cancel leave the rounding of their sum.
    several = advantages_PGK.shape[2] > 1
    rounding = 16 * torch.finfo(advantages_PGK.dtype).eps * advantages_PGK.abs().max() if several else 0.0
    normalised_NK = normalise_over_batch(
        advantages_PGK.flatten(0, 1), counted_PGK.flatten(0, 1), config, rounding
    )
    return torch.where(counted_PGK, normalised_NK.view(scored_PGK.shape), 0.0)
