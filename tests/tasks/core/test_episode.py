"""Episodes played in this process: turns, limits, and whose fault it is that a world gives no reply."""

import json
import math

import pytest
from palaestra.tasks import Problem, TaskError
from palaestra.tasks.core.episode import EpisodeLimits, World, play
from palaestra.tasks.core.sources import Procedural
from palaestra.tasks.core.task import Task
from palaestra.verifiers import Rubric, Turn, number
from palaestra.verifiers.types import Status, Unavailable

PROBLEM = Problem("Which number?", "7", id="guess/test/0")


class Guess:
    """Says higher or lower; words that are no number make it fail."""

    def __init__(self, problem):
        self.secret, self.state = int(problem.reference), {"tries": 0}

    def reply(self, said):
        if said == "7":
            self.state["tries"] += 1
            return None
        if said == "long":
            return "x" * 50
        wanted = "higher" if int("".join(filter(str.isdigit, said))) < self.secret else "lower"
        self.state["tries"] += 1
        return wanted


def make_task(episode, **limits):
    def generate(rng, level):
        yield PROBLEM

    return Task(
        "guess",
        Procedural("guess", generate, 1),
        Rubric(number()),
        episode=episode,
        limits=EpisodeLimits(**limits),
    )


def say(*texts):
    def player(problem):
        for text in texts:
            heard = yield text
            assert isinstance(heard, str)

    return player


def test_what_was_said_is_read_turn_by_turn():
    completion = play(make_task(Guess), PROBLEM, say("3", "9", "7", "never said"))
    assert completion.turns == (
        Turn("policy", "3"), Turn("world", "higher"), Turn("policy", "9"), Turn("world", "lower"),
        Turn("policy", "7"),
    )  # fmt: skip
    assert (completion.text, completion.state, completion.finish_reason) == ("3\n9\n7", {"tries": 3}, "stop")


def test_limits_end_an_episode_and_cut_what_is_read():
    task = make_task(Guess, turns=2, observation_chars=20)
    completion = play(task, PROBLEM, say("long", "3", "7"))
    assert (completion.finish_reason, completion.state) == ("turns", {"tries": 1})
    assert completion.turns[1].text.startswith("x" * 20 + "\n[The rest is left out: 30 more")


@pytest.mark.parametrize(
    "wrong",
    [
        {"turns": 0},
        {"turns": 1.5},
        {"turns": True},
        {"turns": None},
        {"tokens": 2.5},
        {"tokens_per_turn": "8"},
        {"observation_chars": -1},
        {"reply_seconds": 0},
        {"reply_seconds": math.inf},
        {"reply_seconds": math.nan},
        {"reply_seconds": "5"},
    ],
)
def test_limits_that_are_none_are_refused(wrong):
    with pytest.raises(ValueError, match="1 or more, and its seconds a number above 0"):
        EpisodeLimits(**wrong)


def test_words_that_make_the_world_fail_count_against_them():
    task = make_task(Guess)
    completion = play(task, PROBLEM, say("3", "banana"))
    assert completion.finish_reason == "raised"
    score = task.score(completion, PROBLEM)
    assert (score.reward, score.abstained) == (0.0, False)
    assert score.parts["number"].status is Status.MALFORMED
    assert "ValueError" in score.parts["number"].reason


class Broken(Guess):
    def reply(self, said):
        raise KeyError("no table")


class Away(Guess):
    def reply(self, said):
        raise Unavailable("the service is down")


class Late(Guess):
    calls = 0

    def reply(self, said):
        type(self).calls += 1
        if type(self).calls == 2:
            raise Unavailable("once")
        return super().reply(said)


class Weighed:
    """Takes a number, and fails from then on where it is large."""

    def __init__(self, problem):
        self.heavy = False

    def reply(self, said):
        if self.heavy:
            raise ValueError("too heavy")
        self.heavy = said == "99"
        return None if said == "0" else "ok"


class Tired(Weighed):
    """Fails at its second turn, whatever was said."""

    def reply(self, said):
        super().reply("99")
        return "ok"


@pytest.mark.parametrize(("world", "ending"), [(Weighed, "raised"), (Tired, "unavailable")])
def test_words_that_make_every_later_turn_fail_buy_no_abstention(world, ending):
    task = make_task(world)
    completion = play(task, PROBLEM, say("5", "99", "5") if ending == "raised" else say("5", "5"))
    assert completion.finish_reason == ending
    assert task.score(completion, PROBLEM).abstained == (ending == "unavailable")


@pytest.mark.parametrize("world", [Broken, Away])
def test_a_world_that_fails_in_any_case_abstains(world):
    task = make_task(world)
    completion = play(task, PROBLEM, say("3"))
    assert completion.finish_reason == "unavailable"
    assert task.score(completion, PROBLEM).abstained


def test_what_fails_once_is_made_anew_and_hears_all_again():
    world = World(Late, PROBLEM)
    assert [world.answer(text).text for text in ("3", "9")] == ["higher", "lower"]
    assert world.answer("7").state == {"tries": 3}


def test_a_state_that_is_no_plain_data_is_the_worlds_fault():
    class Opaque(Guess):
        def reply(self, said):
            self.state = {1, 2}
            return "so"

    class Numberless(Guess):
        def reply(self, said):
            self.state = {"odds": [math.nan]}  # which JSON doesn't have: no record could hold it
            return "so"

    for world in (Opaque, Numberless):
        reply = World(world, PROBLEM).answer("3")
        assert reply.fault == "unavailable"
        assert "no plain data" in reply.reason


def test_a_state_that_words_nest_too_deep_counts_against_them():
    """What no record could hold is no way out of a verdict."""

    class Nesting(Guess):
        def reply(self, said):
            self.state = json.loads(said)
            return "so"

    world = World(Nesting, PROBLEM)
    assert world.answer("[" * 100 + "]" * 100).text == "so"
    reply = world.answer("[" * 600 + "]" * 600)
    assert reply.fault == "raised"
    assert "nested more than 100 deep" in reply.reason


class Paid:
    """Says what each turn earned: whatever its words are, as Python."""

    def __init__(self, _problem):
        self.reward = None

    def reply(self, said):
        self.reward = {"nan": float("nan"), "text": "1", "huge": 1e300, "none": None, "yes": True}.get(
            said, 0.25
        )
        return None if said == "end" else "on"


def test_what_turns_earn_stands_beside_what_was_said():
    completion = play(make_task(Paid), PROBLEM, say("a", "none", "yes", "end"))
    said = [turn for turn in completion.turns if turn.role == "policy"]
    assert [turn.reward for turn in said] == [0.25, None, 1.0, 0.25]
    assert all(turn.reward is None for turn in completion.turns if turn.role == "world")
    assert type(said[2].reward) is float


@pytest.mark.parametrize("words", ["nan", "text", "huge"])
def test_a_reward_that_is_no_number_counts_against_the_words_that_make_it(words):
    completion = play(make_task(Paid), PROBLEM, say("a", words, "b"))
    assert completion.finish_reason == "raised"
    assert "The reward of Paid is" in completion.fault
    assert [turn.reward for turn in completion.turns] == [0.25, None, None]


def test_a_task_without_episode_or_player_says_so():
    with pytest.raises(TaskError, match="no episode"):
        play(make_task(None), PROBLEM, say("3"))
    with pytest.raises(TaskError, match="no player"):
        play(make_task(Guess), PROBLEM)
    with pytest.raises(TaskError, match="returned str: let it `yield`"):
        play(make_task(Guess), PROBLEM, lambda problem: "7")
    with pytest.raises(TaskError, match="said 7, which is no text"):
        play(make_task(Guess), PROBLEM, say(7))
