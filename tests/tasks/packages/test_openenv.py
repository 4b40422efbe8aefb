"""Environments of OpenEnv as episodes, against a server of the package itself."""

import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from palaestra import Completion, Problem, Rubric, UserError, criteria, play, tasks
from palaestra.tasks.common.games import hold_reward
from palaestra.tasks.core.episode import World
from palaestra.tasks.packages import openenv
from palaestra.tasks.packages.openenv import find_text, read_act, write_observation

SERVER = Path(__file__).parents[2] / "support" / "openenv_server.py"
here = pytest.mark.skipif(find_spec("openenv") is None, reason="the package openenv is not installed")


@contextmanager
def serve(*words):
    """A server of the package; its address."""
    server = subprocess.Popen([sys.executable, str(SERVER), *words], stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}", server
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.fixture(scope="module")
def task():
    with serve("64") as (url, _):
        yield tasks.get(f"openenv:{url}")


def count(_problem):
    for number in range(1, 9):
        yield str(number)


@here
def test_an_episode_is_won_and_each_seed_is_one_of_its_own(task):
    problem, other = task.problem("train", 0), task.problem("train", 1)
    assert problem.text != other.text
    played = play(task, problem, count)
    assert (task.score(played, problem).reward, played.state["ended"]) == (1.0, "yes")
    lost = play(task, problem, lambda _: iter_words("9", 3))
    assert task.score(lost, problem).reward == pytest.approx(0.1)


def iter_words(word, times):
    for _ in range(times):
        yield word


@here
def test_what_is_paid_is_summed_when_asked(task):
    summed = tasks.get(task.name, {"pays": "sum"})
    problem = summed.problem("train", 0)
    played = play(summed, problem, lambda _: iter_words("9", 3))
    assert summed.score(played, problem).reward == pytest.approx(0.3)
    paid = [turn.reward for turn in played.turns if turn.role == "policy"]
    assert paid == pytest.approx([0.1, 0.1, 0.1])
    with pytest.raises(UserError, match="'last' or 'sum'"):
        tasks.get(task.name, {"pays": "twice"}).problem("train", 0)


@here
@pytest.mark.parametrize(("word", "fault"), [("raise", "raised"), ("flood", "raised"), ("hang", "raised")])
def test_what_is_said_and_breaks_the_session_counts_against_it(task, word, fault, monkeypatch):
    monkeypatch.setattr(openenv, "STEP_S", 1.0)
    assert World(task.episode, task.problem("train", 0)).answer(word).fault == fault


@here
def test_an_action_that_is_an_object_is_told_and_what_is_none_takes_its_turn():
    with serve("8", "digits") as (url, _):
        task = tasks.get(f"openenv:{url}")
        problem = task.problem("train", 0)
        assert 'as a JSON object: {"guess": integer}' in problem.text
        world = World(task.episode, problem)
        assert "as a JSON object" in world.answer("eight").text
        assert "This is no action" in world.answer('{"guess": "eight"}').text
        assert world.answer('{"guess": 9}').text == "no"


def test_a_reward_is_held_to_what_there_is_to_win_and_one_that_is_no_number_abstains():
    assert [hold_reward(paid) for paid in (10.0, 0.5, -3.0, float("-inf"))] == [1.0, 0.5, -1.0, -1.0]
    played = Completion("x", state={"reward": hold_reward(float("nan"))})
    assert Rubric(criteria.reached(low=-1)).score(played, Problem("?")).abstained


@here
def test_a_server_that_is_gone_abstains():
    with serve("8") as (url, server):
        task = tasks.get(f"openenv:{url}")
        problem = task.problem("train", 0)
        world = World(task.episode, problem)
        assert world.answer("9").text == "no"
        server.kill()
        server.wait()
        assert world.answer("9").fault == "unavailable"
        with pytest.raises(UserError, match="begins no session"):
            task.problem("train", 1)


@here
@pytest.mark.parametrize(
    ("words", "says"), [(("1",), "max_concurrent_envs"), (("8", "unseeded"), "same seed in two ways")]
)
def test_a_server_whose_episodes_can_not_be_repeated_side_by_side_is_refused(words, says):
    with serve(*words) as (url, _), pytest.raises(UserError, match=says):
        tasks.get(f"openenv:{url}")


@here
def test_an_address_where_no_server_is_is_told():
    for name, says in (("nowhere", "no address"), ("http://127.0.0.1:9", "No OpenEnv server")):
        with pytest.raises(UserError, match=says):
            tasks.get(f"openenv:{name}")


def test_actions_are_one_text_or_an_object():
    text, call = {"message": {"type": "string"}}, {"tool": {"type": "string"}, "given": {"type": "object"}}
    assert (find_text(text), find_text(call), find_text({})) == ("message", "", "")
    assert read_act("<think>left?</think> right ", text) == {"message": "right"}
    assert read_act("  ", text) is None
    assert read_act('I say {"tool": "add", "metadata": {}}.', call) == {"tool": "add"}
    for said in ("add", "{", "[1]", '{"a": ' + "[" * 900 + "]" * 900 + "}"):
        assert read_act(said, call) is None


def test_observations_are_one_text_or_a_line_for_each_field():
    assert write_observation({"text": "no", "done": False, "reward": 0.1}) == "no"
    assert write_observation({"board": [1, 2], "hint": "up", "none": None}) == "board: [1, 2]\nhint: up"
