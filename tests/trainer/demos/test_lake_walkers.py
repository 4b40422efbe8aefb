"""The two habits that the demo of the frozen lake shows: one always arrives, the other often falls in."""

from dataclasses import replace

from palaestra import play, tasks
from palaestra.trainer.demos import lake_walkers


def test_a_plan_sweeps_until_the_walker_knows_its_move():
    assert lake_walkers.sweep(["AFHG", "FFFF"]) == ["AFHG", "FFFU"]
    assert lake_walkers.plan(["AFHG", "FFFF"]) == (
        "<think>AFHG\nFFFU\n\nAFHG\nFFRU\n\nAFHG\nFRRU\n\nADHG\nRRRU\n\nR</think>R"
    )
    # What a sweep has found already counts in it, to the right and below.
    assert lake_walkers.plan(["GFFF", "HHHF", "HHHA"]) == "<think>GLLL\nHHHU\nHHHU</think>U"


def test_planned_walks_arrive_and_hasty_ones_often_fall_in():
    task = replace(tasks.get("frozen_lake"), player=lake_walkers.mix_habits)
    problems = task.problems("train", 300, level=1)
    walks = [(play(task, problem), problem) for problem in problems]
    passed = {True: [], False: []}
    for walk, problem in walks:
        passed["<think>" in walk.turns[0].text].append(task.score(walk, problem).passed)
    assert 0.1 < len(passed[True]) / len(problems) < 0.3
    assert all(passed[True])
    assert 0.3 < sum(passed[False]) / len(passed[False]) < 0.6
