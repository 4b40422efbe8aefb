"""Gymnasium's text worlds as episodes, against the package itself."""

import pytest
from palaestra import UserError, play, tasks
from palaestra.tasks.core.episode import World

pytest.importorskip("gymnasium", reason="the package gymnasium is not installed")


def test_a_taxi_is_driven_to_the_end_and_others_lose():
    task = tasks.get("gymnasium:Taxi-v4")
    problem = task.problem("train", 0)
    played = play(task, problem)
    assert task.score(played, problem).passed
    assert {turn.text for turn in played.turns if turn.role == "policy"} >= {"pickup", "dropoff"}
    assert {turn.reward for turn in played.turns[:-1] if turn.role == "policy"} == {-1.0}
    assert played.turns[-1].reward == 20.0
    assert "[" in problem.text
    assert "\x1b" not in problem.text
    lost = play(task, problem, lambda _: iter_words("north", 300))
    assert not task.score(lost, problem).passed
    assert lost.finish_reason == "stop"


def iter_words(word, times):
    for _ in range(times):
        yield word


def test_a_lake_is_one_of_its_own_and_the_same_for_the_same_problem():
    task = tasks.get("gymnasium:FrozenLake-v1", {"is_slippery": False})
    first, second = (task.problem("train", index) for index in (0, 1))
    assert first.text != second.text
    assert task.player is None  # slippery by default: no plan is sure
    walks = [World(task.episode, first) for _ in range(2)]
    for word in ("down", "Nonsense", "<answer>right</answer>", "3"):
        assert walks[0].answer(word) == walks[1].answer(word)
    assert "left, down, right, up" in World(task.episode, first).answer("jump").text


@pytest.mark.parametrize(
    ("name", "says"),
    [("CartPole-v1", "text world"), ("Nope-v1", "can't make"), ("Blackjack-v1", "text world")],
)
def test_what_is_no_text_world_is_refused(name, says):
    with pytest.raises(UserError, match=says):
        tasks.get(f"gymnasium:{name}")
