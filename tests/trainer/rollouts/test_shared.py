"""Several processes sample one batch: each its share, and only where all are asked the same."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from palaestra import tasks
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.distributed.world import World
from palaestra.trainer.rollouts import shared
from palaestra.trainer.rollouts.group import Group
from palaestra.trainer.rollouts.rollouts import Ask
from palaestra.trainer.rollouts.shared import SharedRollouts

from .test_rollouts import PROMPTS, Scripted

GCD = tasks.get("gcd")
PROBLEMS = GCD.problems("test", 3)


@dataclass
class Table:
    """What the threads of a test tell each other, as processes would."""

    said: dict[int, object] = field(default_factory=dict)
    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(2, timeout=60))

    def gather(self, rank: int, value: object) -> list:
        self.said[rank] = value
        self.barrier.wait()
        return [self.said[each] for each in range(2)]


def sample_as_two(monkeypatch, asked: list[list[Ask]], seeds: tuple[object, object]) -> list:
    """What each of two ranks has in the end: its groups, or its error."""
    table, own = Table(), threading.local()

    class Told(World):
        def gather(self, value):
            return table.gather(self.rank, value)

    monkeypatch.setattr(shared, "find_world", lambda: own.world)

    def be(rank: int) -> list[Group] | UserError:
        own.world = Told(rank, 2)
        rollouts = SharedRollouts(Scripted(), PROMPTS, GCD, 99, workers=1)
        try:
            return rollouts.sample(asked[rank], SimpleNamespace(), seeds[rank])
        except UserError as refusal:
            return refusal

    with ThreadPoolExecutor(2) as ranks:
        return list(ranks.map(be, range(2)))


def test_both_have_the_groups_of_all(monkeypatch):
    asked = [Ask(problem, 2) for problem in PROBLEMS]
    for groups in sample_as_two(monkeypatch, [asked, asked], ("seed", "seed")):
        assert [group.problem for group in groups] == PROBLEMS
        assert [[each.text for each in group.completions_G] for group in groups] == [["0", "1"]] * 3


@pytest.mark.parametrize(
    ("second", "seed"),
    [
        ([Ask(problem, 2) for problem in PROBLEMS], "another"),
        ([Ask(problem, 2) for problem in reversed(PROBLEMS)], "seed"),
        ([Ask(problem, 3) for problem in PROBLEMS], "seed"),
        ([Ask(problem, 2) for problem in PROBLEMS[:2]], "seed"),
    ],
    ids=["seed", "problems", "samples", "fewer"],
)
def test_ranks_that_are_asked_for_something_else_are_named(monkeypatch, second: list[Ask], seed: str):
    asked = [[Ask(problem, 2) for problem in PROBLEMS], second]
    for refusal in sample_as_two(monkeypatch, asked, ("seed", seed)):
        assert str(refusal).startswith("Rank 1 of 2 would sample other problems")
