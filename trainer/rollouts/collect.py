"""The next groups of a run: the train stream, the curriculum, and dynamic sampling (DAPO, arXiv:2503.14476,
eq. 11)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...tasks import Problem, Task
from ...tasks.core.errors import RunError
from ...tasks.core.seeds import digest
from ..config.train import TrainConfig
from .group import Group, has_signal
from .ledger import Ledger, name_level
from .stream import Position, locate

SKIP_SHARE = 0.75  # of the visits to a problem that the curriculum finds solved or hopeless
LEVEL_FLOOR = 0.1  # weight of a level that is always or never solved; one solved half the time has 1.1


@dataclass(frozen=True)
class Collected:
    """groups: `prompts_per_step` of them.  tried: groups sampled for them;
    more than kept when some had no signal.  tokens: sampled in all of those."""

    groups: Sequence[Group]
    tried: int
    tokens: int


@dataclass(frozen=True)
class Split:
    """live: groups with a signal.  dead: those without."""

    live: Sequence[Group]
    dead: Sequence[Group]


def collect(
    sample: Callable[[Sequence[Problem]], Sequence[Group]],
    problems: Callable[[int], list[Problem]],
    config: TrainConfig,
) -> Collected:
    """Sample a step's groups. Those without a signal are replaced by new problems, at most
    `objective.resample` times; what is still missing then is filled up with groups without a signal."""
    wanted, objective, longest = (
        config.rollouts.prompts_per_step,
        config.objective,
        config.rollouts.max_new_tokens,
    )

    def split(sampled: Sequence[Group]) -> Split:
        signals = [has_signal(group, objective, longest) for group in sampled]
        with_signal = [group for group, signal in zip(sampled, signals, strict=True) if signal]
        return Split(
            with_signal, [group for group, signal in zip(sampled, signals, strict=True) if not signal]
        )

    groups = list(sample(problems(wanted)))
    tried, tokens = len(groups), count_tokens(groups)
    for _ in range(objective.resample):
        kept = split(groups)
        if len(kept.live) == wanted:
            break
        fresh = list(sample(problems(wanted - len(kept.live))))
        tried, tokens = tried + len(fresh), tokens + count_tokens(fresh)
        groups = [*kept.live, *split(fresh).live, *kept.dead][:wanted]
    return Collected(groups, tried, tokens)


def count_tokens(groups: Sequence[Group]) -> int:
    """Of all completions."""
    return sum(completion.tokens for group in groups for completion in group.completions_G)


def take_next_problems(
    count: int,
    task: Task,
    config: TrainConfig,
    position: Position,
    ledger: Ledger,
    fits: Callable[[Problem], bool],
) -> list[Problem]:
    """The next `count` problems of the train stream. Prompts over the budget are passed over and counted,
    never cut."""
    problems: list[Problem] = []
    tried = 0
    while len(problems) < count:
        index = position.next
        place = locate(task, config, position, ledger)
        position.next += 1
        member = place.component.task
        level = place.component.level or choose_level(task, member, config, ledger, index)
        problem = member.problem("train", place.index, config.seed, level)
        finite = member.source.size("train") is not None
        if config.rollouts.curriculum and finite and _pass_over(ledger, problem, config.seed, index):
            position.skipped += 1
        elif fits(problem):
            problems.append(problem)
        else:
            position.refused += 1
        tried += 1
        if tried >= 100 * count:
            raise RunError(
                f"Of {tried} problems of task {task.name}, {tried - len(problems)} had prompts over "
                f"{config.rollouts.max_prompt_tokens} tokens or were passed over by the curriculum. "
                "Raise --max-prompt-tokens (or lower --max-new-tokens, where the model has no more "
                "positions), or drop --curriculum.",
                f"--max-prompt-tokens {2 * config.rollouts.max_prompt_tokens} --no-curriculum",
            )
    return problems


def choose_level(task: Task, member: Task, config: TrainConfig, ledger: Ledger, index: int) -> int | None:
    """The level of the stream's problem `index`, one of `member`'s: as set; under the curriculum of a
    procedural task drawn by how near its pass-rate is to one half; else None, the task's own order."""
    levels = getattr(member.source, "levels", 1)
    level = config.task.single_level
    if (
        level is not None
        or not config.rollouts.curriculum
        or levels == 1
        or member.source.size("train") is not None
    ):
        return level
    weights = []
    for level in range(1, levels + 1):
        item = ledger.items.get(name_level(task, member, level))
        rate = item.compute_recent_rate() if item is not None else None
        weights.append(LEVEL_FLOOR + (1.0 if rate is None else 4 * rate * (1 - rate)))
    return random.Random(digest("curriculum", config.seed, index)).choices(range(1, levels + 1), weights)[0]


def _pass_over(ledger: Ledger, problem: Problem, seed: int, index: int) -> bool:
    item = ledger.items.get(problem.id)
    rate = item.compute_recent_rate() if item is not None else None
    if rate is None or 0 < rate < 1:
        return False
    return random.Random(digest("curriculum", seed, index)).random() < SKIP_SHARE
