"""TextArena's games for one player as episodes, against the package itself."""

import random

import pytest
from palaestra import UserError, play, tasks
from palaestra.tasks.core.episode import World

pytest.importorskip("textarena", reason="the package textarena is not installed")


def test_a_number_is_guessed_and_garbage_loses():
    task = tasks.get("textarena:GuessTheNumber-v0")
    problem = task.problem("test", 0)
    won = play(task, problem, halve)
    assert task.score(won, problem).reward == 1
    world = World(task.episode, problem)
    replies = [world.answer("nonsense") for _ in range(3)]
    assert replies[-1].text is None
    assert replies[-1].state["reward"] == 0


def halve(_problem):
    low, high = 1, 20
    while True:
        middle = (low + high) // 2
        said = (yield f"[{middle}]").lower()
        low, high = (middle + 1, high) if "higher" in said else (low, middle - 1)


def test_games_beside_each_other_do_not_disturb_one_another_nor_the_process():
    task = tasks.get("textarena:FrozenLake-v0-random")
    problem = task.problem("train", 0)
    before = random.getstate()
    first, second = World(task.episode, problem), World(task.episode, problem)
    for word in ("[down]", "[right]", "[up]"):
        replies = [world.answer(word) for world in (first, second)]
        assert replies[0] == replies[1]
    assert random.getstate() == before


def test_what_is_not_for_one_player_is_refused():
    for name in ("Nope-v0", "ConnectFour-v0"):
        with pytest.raises(UserError, match="textarena"):
            tasks.get(f"textarena:{name}")


@pytest.mark.parametrize("name", ["Countdown-v0", "Cryptarithm-v0", "Slitherlink-v0", "ThreeCardMonte-v0"])
def test_games_that_mix_their_fields_up_are_lost_by_garbage(name):
    task = tasks.get(f"textarena:{name}")
    played = play(task, task.problem("test", 0), say_garbage)
    assert played.finish_reason == "stop"
    score = task.score(played, task.problem("test", 0))
    assert (score.passed, score.abstained) == (False, False)
    assert all("garbage" not in turn.text for turn in played.turns if turn.role == "world")


def say_garbage(_problem):
    while True:
        yield "garbage"
