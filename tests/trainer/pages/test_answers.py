"""The questions at the top of a page: yes and no only where an interval says so."""

import json

import pytest
from palaestra.trainer.intervals import Interval
from palaestra.trainer.pages.answers import (
    answer_better,
    answer_ending,
    answer_hacking,
    answer_learning,
    judge,
    show_span,
)
from palaestra.trainer.pages.rows import Table

from ..support.run_folders import make_evaluation, make_row, make_run, make_step

NONE = Table()
CONFIG = {"steps": 20}


def step_lines(count=20, **more):
    rows = [make_row(1, 1, 0, passed=True)]
    return [make_step(step, rows, **more) for step in range(1, count + 1)]


@pytest.mark.parametrize(
    ("values", "verdict"),
    [((0.2, 0.8), "yes"), ((0.8, 0.2), "no"), ((0.5, 0.52), "unsure"), ((0.5,), "unsure")],
)
def test_learning_by_the_held_out_problems(values, verdict):
    answer = answer_learning([make_evaluation(10 * n, value) for n, value in enumerate(values)], NONE, 0)
    assert answer.verdict == verdict
    if verdict == "yes":
        assert "+60.0 points" in answer.headline
        assert any("20.0 % [12.0, 28.0] at step 0" in detail for detail in answer.details)


def test_learning_by_the_rollouts_where_nothing_was_evaluated(tmp_path):
    table = Table()
    table.add_file(make_run(tmp_path / "run", steps=60) / "rollouts.jsonl", 0)
    answer = answer_learning([], table, 0)
    assert answer.verdict == "yes"
    assert "pass-rate in training" in answer.headline


@pytest.mark.parametrize(
    ("end", "since", "said"),
    [
        ({"state": "finished"}, 9e9, "came to its end: 20 of 20"),
        ({"state": "stopped", "reason": "SIGTERM"}, 9e9, "Somebody stopped it (SIGTERM)"),
        ({"state": "halted", "reason": "Step 3: broken"}, 9e9, "A guard halted it"),
        ({"state": "failed", "reason": "KeyError: 'x'"}, 9e9, "An error ended it"),
        ({}, 9e9, "It came to its end"),
    ],
)
def test_endings(end, since, said):
    answer = answer_ending(step_lines(), CONFIG, end, {}, since)
    assert said in answer.headline
    assert end.get("state") not in ("halted", "failed") or answer.details == [end["reason"]]


def test_a_run_without_a_word_of_its_end_goes_on_or_was_killed():
    lines = step_lines(5)
    assert "It has not: 5 of 20" in answer_ending(lines, CONFIG, {}, {}, 30.0).headline
    killed = answer_ending(lines, CONFIG, {}, {}, 7200.0)
    assert "killed" in killed.headline
    assert "2 hours ago" in killed.details[0]


def test_a_tripwire_is_named():
    tripped = {"step": 5, "tripped": ["entropy"], "best": "run/checkpoints/step-000003"}
    answer = answer_ending(step_lines(5), CONFIG, {"state": "halted", "reason": "long"}, tripped, 9e9)
    assert "tripwire stopped it after 5 of 20 steps: entropy" in answer.headline


def test_a_gap_that_grows_is_a_sign_and_a_quiet_run_has_none():
    calm = answer_learning([make_evaluation(0, 0.2), make_evaluation(9, 0.8)], NONE, 0)
    quiet = answer_hacking(step_lines(), "none", calm, [])
    assert quiet.verdict == "yes"
    early, late = step_lines(10, shadow={"gap": 0.0}), step_lines(10, shadow={"gap": 0.6})
    gamed = answer_hacking(early + late, "none", calm, [])
    assert gamed.verdict == "no"
    assert "+0.600 above a stricter rubric" in gamed.headline
    risen = [{**line, "reward": 0.9, "pass_rate": 0.1} for line in late]
    fallen = [{**line, "reward": 0.1, "pass_rate": 0.1} for line in early]
    assert answer_hacking(fallen + risen, "none", calm, []).verdict == "no"
    assert "control arm" in answer_hacking(step_lines(), "random", calm, []).headline
    assert "made/train/3" in answer_hacking(step_lines(), "none", calm, ["made/train/3"]).headline


def test_better_pairs_the_problems_that_both_drew(tmp_path):
    table = Table()
    for number, name in enumerate(("a", "b")):
        path = make_run(tmp_path / name, steps=20) / "rollouts.jsonl"
        if name == "b":
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            path.write_text("".join(json.dumps({**row, "passed": False}) + "\n" for row in rows))
        table.add_file(path, number)
    answer = answer_better(["a", "b"], [[], []], table, 1, "")
    assert answer.verdict == "no"
    assert "paired" in answer.headline
    held = [[make_evaluation(20, 0.2)], [make_evaluation(20, 0.8)]]
    assert answer_better(["a", "b"], held, table, 1, "").verdict == "yes"
    assert "can't be compared: name is" in answer_better(["a", "b"], held, table, 1, "name is 'x'").headline
    assert answer_better(["a", "b"], [[], []], NONE, 1, "").verdict == "unsure"


def test_an_interval_that_holds_zero_judges_nothing():
    assert judge(Interval(0.1, -0.01, 0.2, 10)) == "unsure"
    assert judge(Interval(0.1, 0.01, 0.2, 10)) == "yes"
    assert judge(Interval(-0.1, -0.2, -0.01, 10)) == "no"


def test_spans():
    assert [show_span(s) for s in (30, 600, 7200, 400000)] == [
        "30 seconds",
        "10 minutes",
        "2 hours",
        "5 days",
    ]
