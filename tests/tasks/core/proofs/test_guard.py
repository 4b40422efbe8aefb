"""A text that hangs a verifier, or ends its process, is found out and the rest is scored."""

import os
import time

from palaestra.tasks.core.proofs import guard

from .planted import plant


def fragile(completion, problem):
    if completion.text == "end":
        os._exit(3)
    if completion.text == "leave":
        raise SystemExit
    if completion.text == "hang":
        time.sleep(3_600)
    print("noise")
    return completion.text == "right"


def test_what_is_lost_is_said_and_the_rest_scored(monkeypatch, capfd):
    monkeypatch.setattr(guard, "DEADLINE_S", 5.0)
    task = plant(fragile)
    problem = task.problem("train", 0)
    texts = ["right", "end", "wrong", "hang", "right", "leave", "right"]
    outcomes = list(guard.score_apart(task, [(text, problem) for text in texts]))
    assert [outcome.score.passed if outcome.score else outcome.lost for outcome in outcomes] == [
        True, "ended the process that scored it", False, "took over 5 s", True,
        "ended the process that scored it", True,
    ]  # fmt: skip
    assert capfd.readouterr().out == ""


def test_it_gives_up_where_too_much_is_lost():
    task = plant(fragile)
    problem = task.problem("train", 0)
    outcomes = list(guard.score_apart(task, [("end", problem)] * 10))
    assert len(outcomes) == guard.MOST_LOST


def test_what_each_check_raises_is_told_where_it_is_asked():
    def trip(completion, problem):
        if completion.text == "trip":
            raise ValueError("over a stone")
        return completion.text == "right"

    task = plant(trip)
    texts = [(text, task.problem("train", 0)) for text in ("right", "trip")]
    told = [outcome.raised for outcome in guard.score_apart(task, texts, each_check=True)]
    assert told == [(), ("trip: ValueError: over a stone",)]
    assert [outcome.raised for outcome in guard.score_apart(task, texts)] == [(), ()]
