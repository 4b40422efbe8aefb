"""Rollouts of a run in several processes: each samples and verifies its share of the problems, and all have
the groups of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...tasks.core.errors import UserError
from ...tasks.core.seeds import digest
from ..distributed.world import find_world
from ..engines.base import Sampling
from .group import Group
from .rollouts import Ask, EngineT, Rollouts, Scored


class SharedRollouts(Rollouts[EngineT]):
    """As `Rollouts`, called by every process for the same problems. In a run of one process it is the same.

    A completion depends on the seed, its problem and its number alone, so it is the one that a single process
    would draw. A problem is one process's with all of its samples.

    Raises UserError where the processes are not asked the same: another seed, or other data on one machine.
    """

    @property
    def rows(self) -> int:
        """Completions that are decoded at once, in all processes together."""
        return super().rows * find_world().size

    def begin(
        self, asked: Sequence[Ask], sampling: Sampling, seed: object, scored: Scored | None = None
    ) -> Callable[[], list[Group]]:
        world = find_world()
        if world.size == 1:
            return super().begin(asked, sampling, seed, scored)
        mine, asked_for = world.take(asked), _sum_up(asked, sampling, seed)
        with world.phase("sample"):
            finish_mine = super().begin(mine, sampling, seed) if mine else list

        def finish() -> list[Group]:
            with world.phase("verify"):
                groups = finish_mine()
            # The problems are known everywhere; what was drawn and scored is not.
            told = world.gather((asked_for, [(group.completions_G, group.scores_G) for group in groups]))
            _check_same([each for each, _ in told])
            found = [pairs for _, pairs in told]
            shared = [
                Group(ask.problem, completions_G, scores_G)
                for ask, (completions_G, scores_G) in zip(asked, world.merge(found), strict=True)
            ]
            if scored is not None:
                for number, group in enumerate(shared):
                    for place, pair in enumerate(zip(group.completions_G, group.scores_G, strict=True)):
                        scored(number, place, *pair)
            return shared

        return finish


def _sum_up(asked: Sequence[Ask], sampling: Sampling, seed: object) -> int:
    """A hash of what is asked for: the problems by what stands for them in every process."""
    named = [(ask.problem.id, ask.problem.text, ask.samples, ask.first) for ask in asked]
    return digest("asked", named, sampling, seed)


def _check_same(sums: Sequence[int]) -> None:
    """sums: of each rank. Raises UserError where they are not one."""
    others = [rank for rank, found in enumerate(sums) if found != sums[0]]
    if others:
        named = f"Rank{'' if len(others) == 1 else 's'} {', '.join(map(str, others[:8]))}"
        raise UserError(
            f"{named} of {len(sums)} would sample other problems, or by other settings, than rank 0: start "
            "all by the same command, with the same data and the same code of the task on every machine."
        )
