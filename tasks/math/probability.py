"""Probabilities as exact fractions: draws without replacement, Bayes' rule, repeated trials.

Level 1: two draws. Level 2: three to nine draws of three colours. Level 3: Bayes' rule with four sources.
Level 4: so many successes or one more in 4 to 7 trials that may not take place at all. Level 1 has 149^3 /
6 urns for one question and three times as many for the other; the others have more than 10^6 as well.
"""

import math
import random
from collections.abc import Callable
from fractions import Fraction

from ...verifiers import Rubric, answer_tag
from ..common.answers import written_number
from ..common.worked import Posed, err_by_work, show_work
from ..core.problem import Problem
from ..core.task import task

COLOURS = ("red", "blue", "green", "white", "black", "yellow")
FORM = " Give the exact probability as a fraction."


def draw_two(rng: random.Random) -> Posed:
    """Two draws from an urn of three colours: of one colour, or of two given colours."""
    colours, counts = rng.sample(COLOURS, 3), [rng.randint(2, 150) for _ in range(3)]
    total = sum(counts)
    listed = f"{counts[0]} {colours[0]}, {counts[1]} {colours[1]} and {counts[2]} {colours[2]}"
    whole = total * (total - 1)
    if rng.random() < 0.5:
        same = [count * (count - 1) for count in counts]
        value, asked, kind = Fraction(sum(same), whole), "both have the same colour", "same"
        steps = [" + ".join(f"{count}*{count - 1}" for count in counts) + f" = {sum(same)}"]
        counts.sort()
    else:
        value = Fraction(2 * counts[0] * counts[1], whole)
        asked, kind = f"one is {colours[0]} and the other one {colours[1]}", "mixed"
        steps = [f"2 * {counts[0]} * {counts[1]} = {2 * counts[0] * counts[1]}"]
        counts[:2] = sorted(counts[:2])
    steps += [f"{total} * {total - 1} = {whole}", f"{value}"]
    prompt = rng.choice(
        (
            f"A bag holds {listed} balls. Two balls are drawn at random without replacement. What is the "
            f"probability that {asked}?",
            f"There are {listed} marbles in a box. Two of them are taken out at random, at once. How "
            "probable is "
            f"it that {asked}?",
        )
    )
    return Posed(prompt, value, steps, f"two {kind} {counts}")


def try_often(rng: random.Random) -> Posed:
    """The binomial distribution, at two values."""
    below, below_two, trials = rng.randint(20, 99), rng.randint(20, 99), rng.randint(4, 7)
    p, q = Fraction(rng.randint(1, below - 1), below), Fraction(rng.randint(1, below_two - 1), below_two)
    wanted = rng.randint(1, trials - 2)
    once, steps = Fraction(0), []
    for hits in (wanted, wanted + 1):
        part = math.comb(trials, hits) * p**hits * (1 - p) ** (trials - hits)
        steps.append(f"C({trials}, {hits}) = {math.comb(trials, hits)}")
        steps.append(f"times ({p})^{hits} * ({1 - p})^{trials - hits} = {part}")
        once += part
    prompt = rng.choice(
        (
            "A machine is switched on with probability {q}. If it is on, it makes {n} parts, each good with "
            "probability {p}, independently of each other; if it is off, it makes none. What is the "
            "probability "
            "that exactly {k} or exactly {more} good parts are made?",
            "A player takes part in a match with probability {q}. If so, the player throws {n} times "
            "and hits "
            "each time with probability {p}, independently. What is the probability of {k} or {more} "
            "hits in all?",
        )
    ).format(q=q, p=p, n=trials, k=wanted, more=wanted + 1)
    steps += [f"sum {once}", f"{once} * {q} = {once * q}"]
    return Posed(prompt, once * q, steps, f"trials {p} {q} {trials} {wanted}")


def draw_many(rng: random.Random) -> Posed:
    """The hypergeometric distribution of three colours."""
    colours, counts = rng.sample(COLOURS, 3), [rng.randint(4, 70) for _ in range(3)]
    chosen = [rng.randint(1, 3) for _ in range(3)]
    total, drawn = sum(counts), sum(chosen)
    ways = [math.comb(count, each) for count, each in zip(counts, chosen, strict=True)]
    value = Fraction(math.prod(ways), math.comb(total, drawn))
    have, want = (
        f"{c[0]} {colours[0]}, {c[1]} {colours[1]} and {c[2]} {colours[2]}" for c in (counts, chosen)
    )
    prompt = rng.choice(
        (
            f"A bag holds {have} balls. {drawn} balls are drawn at random without replacement. What is the "
            f"probability of drawing exactly {want} ones?",
            f"From a box with {have} marbles, {drawn} are taken at random, at once. How probable is it "
            "that these "
            f"are {want} ones?",
        )
    )
    steps = [f"C({count}, {each}) = {way}" for count, each, way in zip(counts, chosen, ways, strict=True)]
    steps += [
        f"C({total}, {drawn}) = {math.comb(total, drawn)}",
        f"{math.prod(ways)}/{math.comb(total, drawn)}",
    ]
    pairs = sorted(zip(counts, chosen, strict=True))
    return Posed(prompt, value, [*steps, f"= {value}"], f"many {pairs}")


def weigh_sources(rng: random.Random) -> Posed:
    """Bayes' rule over four sources."""
    made = [rng.randint(2, 60) * 10 for _ in range(4)]
    rates = [Fraction(rng.randint(1, 19), 100) for _ in range(4)]
    asked = rng.randrange(4)
    weights = [count * rate for count, rate in zip(made, rates, strict=True)]
    value = weights[asked] / sum(weights)
    names = ("A", "B", "C", "D")
    told = "; ".join(
        f"machine {name} made {count}, each faulty with probability {rate}"
        for name, count, rate in zip(names, made, rates, strict=True)
    )
    prompt = rng.choice(
        (
            "A store holds parts of four machines: {told}. One part is taken at random and is "
            "faulty. What is the "
            "probability that machine {name} made it?",
            "The parts in a box come from four machines: {told}. Somebody takes one at random and "
            "finds that it is "
            "faulty. How probable is it that it comes from machine {name}?",
        )
    ).format(told=told, name=names[asked])
    steps = [
        f"{name}: {count} * {rate} = {weight}"
        for name, count, rate, weight in zip(names, made, rates, weights, strict=True)
    ]
    steps += [
        " + ".join(map(str, weights)) + f" = {sum(weights)}",
        f"{weights[asked]} / ({sum(weights)}) = {value}",
    ]
    others = sorted((made[i], rates[i]) for i in range(4) if i != asked)
    return Posed(prompt, value, steps, f"sources {made[asked]} {rates[asked]} {others}")


KINDS: tuple[Callable[[random.Random], Posed], ...] = (draw_two, draw_many, weigh_sources, try_often)


@task(
    "probability",
    rubric=Rubric(written_number(), answer_tag(weight=0.1)),
    levels=len(KINDS),
    kind="math",
    solve=show_work,
    attempt=err_by_work(every=150),
    licence="Apache-2.0",
)
def probability(rng: random.Random, level: int) -> Problem:
    """Exact probabilities: two draws, draws of three colours, Bayes' rule, repeated trials."""
    posed = KINDS[level - 1](rng)
    return Problem(posed.prompt + FORM, str(posed.value), {"steps": posed.steps}, key=posed.key)
