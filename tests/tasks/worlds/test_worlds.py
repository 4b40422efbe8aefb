"""The bundled worlds: who plays them well wins, who plays them badly does not, and each level is harder."""

import random
from itertools import pairwise
from statistics import mean

import pytest
from palaestra import play, tasks
from palaestra.tasks.core.episode import World
from palaestra.tasks.worlds import frozen_lake, search, tic_tac_toe, wordle

NAMES = (
    *("frozen_lake", "number_guess", "twenty_questions", "tic_tac_toe", "wordle", "maze", "search"),
    "repair",
)
FAST = NAMES[:-1]


def converse(name, problem, *said):
    """The last reply of a problem's world to what is said."""
    world = World(tasks.get(name).episode, problem)
    return [world.answer(text) for text in said][-1]


@pytest.mark.parametrize("name", FAST)
def test_the_player_wins_at_every_level_and_needs_more_turns_at_each(name):
    task = tasks.get(name)
    turns = []
    for level in range(1, task.source.levels + 1):
        problems = task.problems("test", 30, level=level)
        played = [play(task, problem) for problem in problems]
        scores = [task.score(each, problem) for each, problem in zip(played, problems, strict=True)]
        assert [score.reward for score in scores] == [1.0] * len(problems)
        turns.append(mean(len(each.turns) for each in played))
    assert turns == sorted(turns)
    assert turns[-1] > 1.2 * turns[0]


@pytest.mark.parametrize("name", FAST)
def test_no_turn_is_free_and_the_turns_run_out(name):
    task = tasks.get(name)
    problem = task.problem("test", 0)
    world, replies = World(task.episode, problem), 0
    while (reply := world.answer("I think " + "\u202e" * 300)).text is not None:
        replies += 1
        assert replies <= task.limits.turns
    assert (reply.fault, reply.state["reward"]) == ("", 0)
    assert reply.state["ended"] == "The turns are used up."
    assert world.answer("R").text is None


def test_slippery_ice_is_walked_as_well_as_value_iteration_promises():
    task = tasks.get("frozen_lake", {"slippery": True, "hole": -1})
    problems = task.problems("train", 150, level=1)
    earned = [task.score(play(task, problem), problem).reward for problem in problems]
    assert {-1.0, 1.0} <= set(earned) <= {-1.0, 0.0, 1.0}
    assert mean(earned) == pytest.approx(mean(problem.metadata["optimum"] for problem in problems), abs=0.25)


def test_value_iteration_by_hand():
    # Two steps from S: only D at first, then R or D, comes to G, each with one chance in three.
    values = frozen_lake.compute_values(("SH", "FG"), 2, 0.0)
    assert values[1][1, 0] == pytest.approx(1 / 3)
    assert values[2][0, 0] == pytest.approx(1 / 3 * (1 / 3))
    assert frozen_lake.compute_values(("SH", "FG"), 1, -1.0)[1][0, 0] == pytest.approx(0)


def test_a_hole_costs_what_the_option_says():
    for hole, least in ((0, 0.0), (-1, -1.0)):
        task = tasks.get("frozen_lake", {"hole": hole})
        walks = [(problem, random.Random(problem.id)) for problem in task.problems("train", 20)]
        rewards = [
            task.score(play(task, problem, lambda _, rng=rng: wander(rng)), problem).reward
            for problem, rng in walks
        ]
        assert min(rewards) == least
    with pytest.raises(tasks.TaskError, match="-1 to 0"):
        tasks.get("frozen_lake", {"hole": -2}).problem("train", 0)


def wander(rng):
    while True:
        yield rng.choice("UDLR")


def test_marks_of_a_guess_count_each_letter_once():
    assert wordle.mark("speed", "abide") == "--Y-Y"
    assert wordle.mark("eerie", "there") == "Y-Y-G"
    assert wordle.mark("crane", "crane") == "GGGGG"


def test_the_opponent_wins_blocks_and_else_takes_what_its_order_says():
    problem = tasks.get("tic_tac_toe").problem("train", 0)
    game = tic_tac_toe.TicTacToe(problem)
    game.order = [8, 7, 6, 5, 4, 3, 2, 1, 0]
    for board, square in (("OO.XX....", 2), ("XX.O.....", 2), ("X...O....", 8)):
        game.board = board
        assert game.pick() == square
    assert tic_tac_toe.count_moves("." * 9) is None
    assert tic_tac_toe.count_moves("XX.OO....") == 1


def test_a_search_takes_any_words_for_words():
    texts = ["Ada works for Boro.", "Boro was founded by Cela.", "Dana grew up in Elo."]
    assert search.find_documents(texts, ["boro"]) == texts[:2]
    for odd in ("NEAR", "OR", "AND", "not"):
        assert search.find_documents(texts, [odd]) == []
    problem = tasks.get("search").problem("train", 0)
    answer = problem.reference["answer"]
    assert converse("search", problem, f"answer {answer}").state["reward"] == 1
    assert converse("search", problem, f"answer {answer} or Boro").state["reward"] == 0
    assert "Say `search`" in converse("search", problem, 'search "*)(').text


def test_the_next_name_of_a_chain_is_found_by_the_one_before():
    task = tasks.get("search")
    for problem in task.problems("test", 20, level=4):
        chain = problem.reference["chain"]
        for subject, named in pairwise(chain):
            assert named in converse("search", problem, f"search {subject}").text


def test_repair_tells_what_came_of_a_program_and_nothing_of_the_tests():
    task = tasks.get("repair")
    problem = task.problem("test", 0)
    assert task.score(play(task, problem), problem).passed
    leak = "```python\ndef f(x):\n    raise ValueError(f'given {x}')\n```"
    reply = converse("repair", problem, leak)
    assert "raised ValueError" in reply.text
    assert "given" not in reply.text
    assert "could not be loaded" in converse("repair", problem, "```python\ndef f(x:\n```").text
    assert "took too long" in converse("repair", problem, "```python\ndef f(x):\n    while 1: pass\n```").text
    assert "whole program" in converse("repair", problem, "I would sort it.").text
