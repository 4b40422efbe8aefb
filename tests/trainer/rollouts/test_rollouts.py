"""Completions are told of as they are scored, whatever else is still on its way."""

import threading
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from palaestra import tasks
from palaestra.trainer.engines.base import Request
from palaestra.trainer.rollouts.rollouts import Ask, Rollouts
from palaestra.verifiers import Completion, Rubric, number

GCD = tasks.get("gcd")
PROBLEMS = GCD.problems("test", 3)
PROMPTS = SimpleNamespace(encode=lambda problem, instruction: [1, 2])


class Scripted:
    """Gives the number of each sample as its text. after: called once each has been handed over."""

    rows, version = 8, 0

    def __init__(self, after=lambda: None):
        self.after, self.asked = after, list[Request]()

    def sample(self, requests: Sequence[Request], sampling, finished):
        self.asked += requests
        groups = []
        for index, request in enumerate(requests):
            groups.append([Completion(f"{request.first + n}") for n in range(request.samples)])
            for place, completion in enumerate(groups[-1]):
                finished(index, place, completion)
                self.after()
        return groups


def make_rollouts(engine, task=GCD) -> Rollouts:
    return Rollouts(engine, PROMPTS, task, 99, workers=2)


def test_any_samples_of_a_problem_can_be_asked_for():
    engine = Scripted()
    asks = [Ask(PROBLEMS[0], 2, first=3), Ask(PROBLEMS[1], 1), Ask(PROBLEMS[0], 1, first=7)]
    told = []
    groups = make_rollouts(engine).sample(asks, None, "seed", lambda *each: told.append(each))
    assert [[c.text for c in group.completions_G] for group in groups] == [["3", "4"], ["0"], ["7"]]
    assert [group.problem for group in groups] == [ask.problem for ask in asks]
    assert engine.asked[0].stream == engine.asked[2].stream != engine.asked[1].stream
    assert sorted((ask, place, completion.text) for ask, place, completion, _ in told) == [
        (0, 0, "3"), (0, 1, "4"), (1, 0, "0"), (2, 0, "7"),
    ]  # fmt: skip
    assert all(score == groups[ask].scores_G[place] for ask, place, _, score in told)


def test_a_completion_is_told_of_before_slower_ones():
    told: list[str] = []
    another_was_told = threading.Event()

    def check(completion, problem):
        if completion.text == "0":
            assert another_was_told.wait(60)
        return True

    def tell(ask, place, completion, score):
        told.append(completion.text)
        another_was_told.set()

    rollouts = make_rollouts(Scripted(), tasks.Task("slow", GCD.source, Rubric(check)))
    [group] = rollouts.sample([Ask(PROBLEMS[0], 40)], None, 0, tell)
    assert sorted(told, key=int) == [str(n) for n in range(40)]
    assert told[0] != "0"
    assert all(score.passed for score in group.scores_G)


def test_a_completion_is_told_of_while_others_are_sampled():
    told, seen = list[str](), list[int]()
    rollouts = make_rollouts(Scripted(lambda: seen.append(len(told))))
    score_at_once(rollouts)
    rollouts.sample([Ask(PROBLEMS[0], 3)], None, 0, lambda ask, place, c, score: told.append(c.text))
    assert seen == [1, 2, 3]


def score_at_once(rollouts: Rollouts) -> None:
    """Let a score be there when its completion has been handed over."""
    submit = rollouts._pool.submit

    def submit_and_wait(*given):
        future = submit(*given)
        future.result()
        return future

    rollouts._pool.submit = submit_and_wait


def test_what_was_scored_before_an_end_is_told():
    told = []

    def stop():
        raise KeyboardInterrupt

    rollouts = make_rollouts(Scripted(stop), tasks.Task("n", GCD.source, Rubric(number())))
    score_at_once(rollouts)
    with pytest.raises(KeyboardInterrupt):
        rollouts.sample([Ask(PROBLEMS[0], 3)], None, 0, lambda *each: told.append(each[:2]))
    assert told == [(0, 0)]


def test_the_next_are_sampled_while_the_verifiers_are_at_work():
    """The verifier of the first goes on only once the second is being sampled."""
    at_work, sampled, told = threading.Event(), threading.Event(), list[str]()

    def check(completion, problem):
        at_work.set()
        return sampled.wait(600)

    def go_on():
        assert at_work.wait(600)
        sampled.set()

    engine = Scripted()
    rollouts = make_rollouts(engine, tasks.Task("slow", GCD.source, Rubric(check)))
    finish = rollouts.begin([Ask(PROBLEMS[0], 2)], None, 0, lambda ask, place, c, score: told.append(c.text))
    assert told == []
    engine.after = go_on
    second = rollouts.begin([Ask(PROBLEMS[1], 1)], None, 0)
    assert [score.passed for score in finish()[0].scores_G] == [True, True]
    assert sorted(told) == ["0", "1"], "in whatever order two threads end"
    assert second()[0].scores_G[0].passed


def test_what_was_begun_before_a_failure_is_told_of_and_closed():
    told: list[str] = []
    engine = Scripted()
    rollouts = make_rollouts(engine)
    score_at_once(rollouts)
    rollouts.begin([Ask(PROBLEMS[0], 1)], None, 0, lambda ask, place, c, score: told.append(c.text))

    def fail() -> None:
        raise OSError("disk")

    engine.after = fail
    with pytest.raises(OSError, match="disk"):
        rollouts.begin([Ask(PROBLEMS[1], 1)], None, 0)
    assert told == ["0"]
    engine.after = lambda: None
    assert len(rollouts.sample([Ask(PROBLEMS[0], 1)], None, 0)) == 1
