"""Every interval of an evaluation holds the truth about as often as it says: 95 % of the time.

Problems are drawn anew in each repeat, each with a chance of its own (Beta), and its samples share it. With
few problems, or rates near 0 and 1, intervals hold it more often (tests/trainer/test_intervals.py).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from palaestra.tasks import Problem
from palaestra.trainer import intervals
from palaestra.trainer.evaluation.breakdown import break_down
from palaestra.trainer.evaluation.evaluate import summarise
from palaestra.trainer.evaluation.winrate import compute_win_rate
from palaestra.trainer.intervals import Difference, Estimate, Interval, paired_difference
from palaestra.trainer.rollouts.group import Group
from palaestra.verifiers import Completion, Criterion, Rubric, Score
from palaestra.verifiers.types import correct, partial, wrong

PROBLEMS, SAMPLES, REPEATS = 200, 8, 1000
SHAPES = [(0.3, 0.7), (0.5, 0.5), (1.0, 1.0)]  # of the problems' chances; most are easy or hard
RIGHT, OTHER = correct("42"), [wrong("1"), wrong("2")]
RUBRIC = Rubric(
    Criterion("answer", lambda completion, problem: correct()),
    Criterion("form", lambda completion, problem: partial(0.5)),
)
STOPPED, CUT = Completion("a"), Completion("a", finish_reason="length")
PROBLEM = Problem("p")


def mix(shape: tuple[float, float], i: int, j: int) -> float:
    """The mean of p ** i * (1 - p) ** j over p ~ Beta(shape)."""
    a, b = shape
    return math.exp(
        math.lgamma(a + i) + math.lgamma(b + j) - math.lgamma(a + b + i + j)
        - math.lgamma(a) - math.lgamma(b) + math.lgamma(a + b)
    )  # fmt: skip


def draw_groups(rng: np.random.Generator, shape: tuple[float, float], samples: int = SAMPLES) -> list[Group]:
    """Each sample is right with its problem's chance, else one of two wrong answers; its form's value is 0 to
    1 in quarters, and it is cut off, by the same chance."""
    groups = []
    for chance in rng.beta(*shape, size=PROBLEMS):
        right = rng.random(samples) < chance
        other = rng.integers(2, size=samples)
        form = rng.binomial(4, chance, size=samples) / 4
        cut = rng.random(samples) < chance
        scores = [make_score(*each) for each in zip(right, other, form, strict=True)]
        groups.append(Group(PROBLEM, [CUT if each else STOPPED for each in cut], scores))
    return groups


def make_score(right: bool, other: int, form: float) -> Score:
    answer = RIGHT if right else OTHER[other]
    parts = {"answer": answer, "form": correct() if form == 1 else partial(float(form))}
    return Score(answer.value / 2 + form / 2, bool(right), parts, criterion="answer")


@dataclass(frozen=True)
class Said:
    """What an evaluation says, and what is true."""

    interval: Interval | Estimate | Difference
    truth: float


def evaluate_once(rng: np.random.Generator, shape: tuple[float, float]) -> dict[str, Said]:
    groups = draw_groups(rng, shape)
    whole = summarise(groups, SAMPLES, 0, RUBRIC, 0.0, [1, 3, 5])
    parts = break_down(groups, RUBRIC, [3])
    single = summarise(draw_groups(rng, shape, 1), 1, 0, RUBRIC, 0.0, [1])
    rate = mix(shape, 1, 0)
    # Of three samples: two or three right; or one right and the two wrong ones apart, a tie of three.
    majority = mix(shape, 3, 0) + 3 * mix(shape, 2, 1) + mix(shape, 1, 2) / 2
    return {
        "one sample": Said(single.pass_at[1], rate),
        "pass@1": Said(whole.pass_at[1], rate),
        "pass@3": Said(whole.pass_at[3], 1 - mix(shape, 0, 3)),
        "pass@5": Said(whole.pass_at[5], 1 - mix(shape, 0, 5)),
        "maj@3": Said(parts.majority[3], majority),
        "criterion": Said(parts.criteria["form"], rate),
        "reward": Said(whole.reward_interval, rate),
        "truncated": Said(parts.truncated, rate),
    }


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_intervals_of_an_evaluation_cover(shape: tuple[float, float], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(intervals, "DRAWS", 1_000)
    assert_covers(lambda rng: evaluate_once(rng, shape), REPEATS)


def compare_once(rng: np.random.Generator) -> dict[str, Said]:
    """Two models on the same problems: the second's chance is a tenth higher where there is room."""
    first_P = rng.uniform(0, 0.9, size=PROBLEMS)
    draws = [rng.binomial(4, chance_P) / 4 for chance_P in (first_P, first_P + 0.1)]
    rewards = [{str(n): [float(value)] for n, value in enumerate(values)} for values in draws]
    return {
        "difference": Said(paired_difference(draws[0].tolist(), draws[1].tolist()), 0.1),
        "win-rate": Said(compute_win_rate(rewards[1], rewards[0]).rate, WIN_RATE),
    }


def compute_win_rate_by_sum() -> float:
    """The chance that the second's of four is higher, a tie counting half, over the first one's chance."""
    total = 0.0
    chances = (np.arange(9000) + 0.5) / 10_000
    ways = [math.comb(4, k) for k in range(5)]
    first = [way * chances**k * (1 - chances) ** (4 - k) for k, way in enumerate(ways)]
    second = [way * (chances + 0.1) ** k * (0.9 - chances) ** (4 - k) for k, way in enumerate(ways)]
    for one in range(5):
        for other in range(5):
            weight = 0.5 if one == other else float(other > one)
            total += weight * float(np.mean(first[one] * second[other]))
    return total


WIN_RATE = compute_win_rate_by_sum()


@pytest.mark.slow
def test_the_intervals_of_comparisons_cover(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(intervals, "DRAWS", 1_000)
    assert_covers(compare_once, REPEATS)


def test_the_intervals_of_an_evaluation_cover_in_short(monkeypatch: pytest.MonkeyPatch):
    """As above with fewer repeats, so that a broken interval is seen at once."""
    monkeypatch.setattr(intervals, "DRAWS", 500)
    assert_covers(lambda rng: evaluate_once(rng, SHAPES[0]) | compare_once(rng), 60, low=0.85, high=1.0)


def assert_covers(
    once: Callable[[np.random.Generator], dict[str, Said]],
    repeats: int,
    low: float = 0.93,
    high: float = 0.98,
) -> None:
    """Of each interval, that the share of repeats in which it holds the truth is in [low, high]."""
    rng, held = np.random.default_rng(11), dict[str, int]()
    for _ in range(repeats):
        for name, said in once(rng).items():
            held[name] = held.get(name, 0) + (said.interval.low <= said.truth <= said.interval.high)
    shares = {name: count / repeats for name, count in held.items()}
    assert all(low <= share <= high for share in shares.values()), shares


def test_an_interval_that_took_samples_for_problems_would_be_found_out():
    def count_samples(rng: np.random.Generator) -> dict[str, Said]:
        groups = draw_groups(rng, SHAPES[0])
        passed = sum(score.passed for group in groups for score in group.scores_G)
        low, high = intervals.wilson(passed, PROBLEMS * SAMPLES)
        return {"pass@1": Said(Interval(passed / PROBLEMS / SAMPLES, low, high, 0), mix(SHAPES[0], 1, 0))}

    with pytest.raises(AssertionError):
        assert_covers(count_samples, 60, low=0.85)
