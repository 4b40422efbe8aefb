"""How many: integers that some numbers divide, committees of several groups, ways through a grid.

Level 1: two divisors of which one or both divide, three groups, one field to pass or to keep away from. Level
2: exactly one of two divisors, four groups, two fields to pass. Level 3: three divisors, five groups, three
fields. Half of the problems are of the first kind (10^9), a quarter of each other kind: at level 1 there are
700,000 committees and 100,000 grids, so that two problems are the same as rarely as among 10^6.
"""

import math
import random
from itertools import pairwise

from ...verifiers import Rubric, answer_tag
from ..common.answers import written_number
from ..common.worked import Posed, err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

GROUPS = ("juniors", "seniors", "guests", "trainers", "founders")
DIVIDED = (
    "How many integers from {low} to {high} are divisible by {said}?",
    "Count the integers n with {low} <= n <= {high} that are divisible by {said}.",
)
CHOSEN = (
    "A club has {have}. A committee needs {need}. How many different committees are possible?",
    "From {have}, {need} are chosen. In how many ways can that be done?",
)
WALKED = (
    "A robot walks on a grid from (0, 0) to ({x}, {y}). Each step adds 1 to one of the two "
    "coordinates.{passing} How "
    "many different ways are there?",
    "How many shortest lattice paths lead from (0, 0) to ({x}, {y}) with steps of 1 to the right or "
    "up{passed}?",
)


def count_between(low: int, high: int, divisor: int) -> int:
    """The multiples of a number from `low` to `high`."""
    return high // divisor - (low - 1) // divisor


def count_divisible(rng: random.Random, level: int) -> Posed:
    """Inclusion and exclusion."""
    low = rng.randint(1, 999)
    high = low + rng.randint(500, 9_000)
    divisors = sorted(rng.sample(range(3, 40), 3 if level == 3 else 2))
    singles = [count_between(low, high, each) for each in divisors]
    steps = [f"by {each}: {count}" for each, count in zip(divisors, singles, strict=True)]
    pairs, all_of_them = 0, math.lcm(*divisors)
    for index, one in enumerate(divisors):
        for two in divisors[index + 1 :]:
            shared = count_between(low, high, math.lcm(one, two))
            steps.append(f"by {one} and {two}, so by {math.lcm(one, two)}: {shared}")
            pairs += shared
    both = count_between(low, high, all_of_them)
    if level == 3:
        said = f"at least one of {divisors[0]}, {divisors[1]} and {divisors[2]}"
        value = sum(singles) - pairs + both
        steps += [f"by all, so by {all_of_them}: {both}", f"{sum(singles)} - {pairs} + {both} = {value}"]
    elif level == 2:
        said, value = f"exactly one of {divisors[0]} and {divisors[1]}", sum(singles) - 2 * both
        steps.append(f"{sum(singles)} - 2 * {both} = {value}")
    else:
        said, value = f"{divisors[0]} or {divisors[1]}, or by both of them", sum(singles) - both
        steps.append(f"{sum(singles)} - {both} = {value}")
    prompt = rng.choice(DIVIDED).format(low=low, high=high, said=said)
    return Posed(prompt, value, steps, f"divisible {level} {low} {high} {divisors}")


def count_committees(rng: random.Random, level: int) -> Posed:
    """A product of binomial coefficients."""
    sizes = [rng.randint(6, 60) for _ in range(level + 2)]
    chosen = [rng.randint(2, 4) for _ in sizes]
    ways = [math.comb(size, each) for size, each in zip(sizes, chosen, strict=True)]
    steps = [f"C({size}, {each}) = {way}" for size, each, way in zip(sizes, chosen, ways, strict=True)]
    steps += multiply_in_turn(ways)
    have, need = (
        ", ".join(f"{count} {group}" for count, group in zip(counts[:-1], GROUPS, strict=False))
        + f" and {counts[-1]} {GROUPS[len(counts) - 1]}"
        for counts in (sizes, chosen)
    )
    prompt = rng.choice(CHOSEN).format(have=have, need=need)
    return Posed(prompt, math.prod(ways), steps, f"committee {sorted(zip(sizes, chosen, strict=True))}")


def multiply_in_turn(factors: list[int]) -> list[str]:
    """The steps of a product, a factor at a time."""
    total, steps = factors[0], []
    for factor in factors[1:]:
        steps.append(f"{total} * {factor} = {total * factor}")
        total *= factor
    return steps


def count_ways(rng: random.Random, level: int) -> Posed:
    """Shortest ways through given fields of a grid; with one field, also those that keep away from it."""
    points = [(0, 0)]
    for _ in range(level + 1):
        x, y = points[-1]
        points.append((x + rng.randint(2, 16), y + rng.randint(2, 16)))
    steps, ways = [], []
    for (x, y), (right, up) in pairwise(points):
        ways.append(math.comb(right - x + up - y, up - y))
        steps.append(f"({x}, {y}) to ({right}, {up}): C({right - x + up - y}, {up - y}) = {ways[-1]}")
    steps += multiply_in_turn(ways)
    (x, y), through = points[-1], " and then ".join(map(str, points[1:-1]))
    value, key = math.prod(ways), f"ways {points}"
    if level == 1 and rng.random() < 0.5:
        total = math.comb(x + y, y)
        steps += [f"all: C({x + y}, {y}) = {total}", f"{total} - {value} = {total - value}"]
        value, key = total - value, f"around {points}"
        said = {
            "passing": f" It must not pass through {through}.",
            "passed": f", not passing through {through}",
        }
    else:
        said = {"passing": f" It has to pass through {through}.", "passed": f", passing through {through}"}
    return Posed(rng.choice(WALKED).format(x=x, y=y, **said), value, steps, key)


KINDS = (count_divisible, count_divisible, count_committees, count_ways)


@task(
    "counting",
    rubric=Rubric(written_number(whole=True), answer_tag(weight=0.1)),
    levels=3,
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=170),
    licence="Apache-2.0",
)
def counting(rng: random.Random, level: int) -> Problem:
    """How many: integers that some numbers divide, committees of several groups, ways through a grid."""
    posed = rng.choice(KINDS)(rng, level)
    return Problem(posed.prompt, str(posed.value), {"steps": posed.steps}, key=posed.key)
