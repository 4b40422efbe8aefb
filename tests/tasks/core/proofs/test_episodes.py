"""What `task check` finds of bad worlds, each with one fault, and that a good one has none."""

import random
import time
from itertools import count

import pytest
from palaestra import Problem, Rubric, Task, UserError, attack, criteria, prove
from palaestra.tasks.core.episode import EpisodeLimits
from palaestra.tasks.core.proofs import episodes
from palaestra.tasks.core.proofs.card import pick_examples
from palaestra.tasks.core.sources import Procedural


class Guess:
    """Say the number that is double the prompt's; five turns at most."""

    def __init__(self, problem):
        self.secret, self.turns, self.state = problem.reference, 0, {"reward": 0.0}

    def reply(self, said):
        self.turns += 1
        if said == self.secret:
            self.state = {"reward": 1.0}
            return None
        return self.wrong(said) if self.turns < 5 else None

    def wrong(self, said):
        return "No."


class Hangs(Guess):
    def wrong(self, said):
        time.sleep(3_600 if "answer" in said else 0)
        return "No."


class Random(Guess):
    def wrong(self, said):
        return f"No. {random.random()}"


class Shared(Guess):
    """It draws from the process's random numbers, which it seeds: right alone, not beside another."""

    def __init__(self, problem):
        super().__init__(problem)
        random.seed(problem.id)

    def wrong(self, said):
        return f"No. {random.random()}"


class Leaks(Guess):
    def wrong(self, said):
        return f"No, it is not {self.secret}, I mean {said[:3]!r}."


class Bribes(Guess):
    def wrong(self, said):
        self.state = {"reward": 0.2}
        return "Well done."


class Raises(Guess):
    def wrong(self, said):
        return f"{int(said)} is wrong."


class Quits(Guess):
    def wrong(self, said):
        if said.startswith("<answer>" * 9):
            raise SystemExit
        return "No."


class Stateful(Guess):
    """What one episode does is seen in the next."""

    met = count()

    def wrong(self, said):
        return f"No, for the {next(self.met)}th time."


def say(rng, level):
    number = rng.randrange(10**5, 10**6)
    return Problem(f"Twice {number}?", str(2 * number))


def know(problem):
    yield "0"
    yield problem.reference


def make(world, **about):
    given = {"player": know, "limits": EpisodeLimits(turns=9, reply_seconds=1.0), "rubric": None, **about}
    rubric = given.pop("rubric") or Rubric(criteria.reached())
    return Task("bad", Procedural("bad", say), rubric, episode=world, **given)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(episodes, "SLACK_S", 1.0)


def failed(task):
    return {finding.name: finding.advice for finding in prove(task, 4).findings if not finding.ok}


ENDS, SAME, PLAYER, IDLE, LEAKS, ALONE, TWICE = episodes.CHECKS


def test_a_good_world_has_no_fault():
    assert failed(make(Guess)) == {}


@pytest.mark.parametrize(
    ("world", "name", "says"),
    [
        (Hangs, ENDS, "took over"),
        (Raises, ENDS, "ValueError"),
        (Quits, ENDS, "ended the process"),
        (Random, SAME, "random.Random"),
        (Shared, SAME, "random.Random"),
        (Stateful, SAME, "heard the same"),
        (Leaks, LEAKS, "of the reference"),
        (Bribes, IDLE, "reward 0.2"),
    ],
)
def test_a_bad_world_is_found(world, name, says):
    found = failed(make(world))
    assert says in found[name]
    assert set(found) <= {name, TWICE}


def test_a_player_who_loses_is_found():
    assert "does not win" in failed(make(Guess, player=lambda problem: iter_once("0")))[PLAYER]


def iter_once(text):
    yield text


def test_one_thing_that_wins_everywhere_is_found():
    class Easy(Guess):
        def __init__(self, problem):
            super().__init__(problem)
            self.secret = "please"

    found = failed(make(Easy, player=lambda problem: iter_once("please")))
    assert "again and again" in found[IDLE]


def test_an_abstention_that_silence_buys_is_found():
    class Untold(Guess):
        def __init__(self, problem):
            super().__init__(problem)
            self.state = {}  # until it is won

    assert "silence abstains: The world's last state has no goal" in failed(make(Untold))[IDLE]


def test_turns_that_pay_whatever_is_said_are_found():
    class Cheers(Guess):
        reward = 0.1

    paid = Rubric(criteria.reached(), criteria.turn_rewards())
    assert "turns of silence earn 0.25 of the reward" in failed(make(Cheers, rubric=paid))[IDLE]
    assert failed(make(Cheers)) == {}, "no criterion pays them"


def test_a_rubric_that_reads_what_is_written_is_found():
    def says_it(completion, problem):
        return problem.reference in completion.text

    assert "without having been played" in failed(make(Guess, rubric=Rubric(says_it)))[ALONE]


def test_short_secrets_are_told_from_chance():
    def say_short(rng, level):
        number = rng.randrange(10**5, 10**6)
        return Problem(f"What is on card {number}?", str(rng.randrange(4)))

    def draw(world):
        return Task("cards", Procedural("cards", say_short), Rubric(criteria.reached()), episode=world)

    class Counts(Guess):
        def wrong(self, said):
            return f"No. {self.turns} of 5."

    assert LEAKS not in failed(draw(Counts))
    assert "their own problem's secret" in failed(draw(Leaks))[LEAKS]


def test_a_card_shows_the_conversation_and_an_attack_is_refused():
    task = make(Guess)
    assert pick_examples(task)[0].solution.startswith(
        "policy, turn 1\n  | 0\nworld, turn 1\n  | No.\npolicy, turn 2\n  | "
    )
    with pytest.raises(UserError, match="palaestra task check bad"):
        attack(task)
