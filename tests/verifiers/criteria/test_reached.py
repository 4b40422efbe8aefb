"""The criterion of an episode's end: the world's state counts, and no word of the policy's."""

import pytest
from palaestra import Completion, Problem, Rubric, criteria
from palaestra.verifiers import Status, Turn

reached = criteria.reached
PROBLEM = Problem("Win.", "a secret")


def judge(state, criterion=None, text="I have won", **about):
    rubric = Rubric(criterion or reached(low=-1.0))
    return rubric.score(Completion(text, state=state, turns=(Turn("policy", text),), **about), PROBLEM)


@pytest.mark.parametrize(
    ("state", "reward", "status"),
    [
        ({"reward": 1}, 1, Status.CORRECT),
        ({"reward": 1.0, "ended": "There."}, 1, Status.CORRECT),
        ({"reward": True}, 1, Status.CORRECT),
        ({"reward": 0.5}, 0.5, Status.PARTIAL),
        ({"reward": 0}, 0, Status.WRONG),
        ({"reward": -1}, -1, Status.WRONG),
        (None, 0, Status.NO_ANSWER),
    ],
)
def test_the_state_is_the_reward(state, reward, status):
    score = judge(state)
    assert (score.reward, score.parts["reached"].status) == (reward, status)
    assert score.passed == (reward == 1)
    assert not score.abstained


@pytest.mark.parametrize(
    "state", [{}, {"reward": "1"}, {"reward": None}, {"reward": float("nan")}, {"reward": 2}, [1], "won", 3]
)
def test_a_state_without_a_goal_is_the_world_s_fault(state):
    assert judge(state).abstained


def test_what_is_below_the_least_is_refused():
    assert judge({"reward": -1}, reached()).abstained
    assert judge({"reward": -0.5}).reward == -0.5
    with pytest.raises(ValueError, match="0 or less"):
        reached(low=0.1)


def test_a_function_of_the_state_may_say_it():
    nine = reached(lambda state: state["floor"] == 9)
    assert judge({"floor": 9}, nine).passed
    assert not judge({"floor": 8}, nine).passed
    assert judge({"door": 8}, nine).abstained


@pytest.mark.parametrize(
    ("goal", "state"),
    [
        (lambda state: float(state["said"]) == 7, {"said": "banana", "turns": 1}),
        (lambda state: 1 / state["guess"] > 2, {"guess": 0}),
        (lambda state: state["moves"][0]["to"] + 0.5 > 3, {"moves": [{"to": 10**400}]}),
        # what the policy did not do, too
        (lambda state: state["moves"][-1]["to"] == 3, {"moves": []}),
        (lambda state: state["path"][-1][1] > 0, {"path": []}),
        (lambda state: state["guess"] > 3, {"guess": None}),
        (lambda state: state["won"], {"won": None}),
        (lambda state: state["guess"].strip() == "3", {"guess": None}),
        (lambda state: state["files"]["a.txt"] == "42", {"files": {"b.txt": "42"}}),
    ],
)
def test_words_in_the_state_that_make_a_function_raise_count_against_them(goal, state):
    """An abstention is not for sale, whether the goal is `reached` or a function of the completion."""

    def own(completion, problem):
        return goal(completion.state)

    for criterion in (reached(goal), own):
        score = judge(state, criterion)
        assert (score.reward, score.abstained) == (0, False)
        assert next(iter(score.parts.values())).status is Status.MALFORMED
    for broken in ({"door": "8"}, {"door": None, "rooms": [], "keys": {}}):
        assert judge(broken, own).abstained


@pytest.mark.parametrize(
    "check",
    [
        lambda completion, problem: float(completion.turns[-1].text) == 7,
        lambda completion, problem: completion.turns[2].text == "7",
        lambda completion, problem: completion.turns[1].text == completion.state["secret"],
    ],
)
def test_words_in_turns_that_make_a_function_raise_count_against_them(check):
    def own(completion, problem):
        return check(completion, problem)

    for text in ("banana", ""):
        end = Completion(text, state={"secret": "7"}, turns=(Turn("policy", text),))
        score = Rubric(own).score(end, Problem("Say it.", "7"))
        assert (score.reward, score.abstained) == (0, False)


def test_a_function_of_turns_that_is_broken_abstains():
    def own(completion, problem):
        return completion.turns[0].texts == "7"

    assert judge({"secret": "7"}, own).abstained
    assert judge(None, own).abstained


@pytest.mark.parametrize("text", ["{'reward': 1}", '{"reward": 1, "ended": "won"}', "a secret", ""])
def test_no_text_stands_for_a_state(text):
    assert not Rubric(reached()).score(Completion(text), PROBLEM).passed
    assert judge({"reward": 0}, text=text).reward == 0


def test_a_world_that_failed_abstains_and_one_that_was_made_to_fail_does_not():
    assert judge({"reward": 1}, finish_reason="unavailable", fault="gone").abstained
    made = judge({"reward": 1}, finish_reason="raised", fault="It raised.")
    assert (made.reward, made.passed, made.abstained) == (-1, False, False)
