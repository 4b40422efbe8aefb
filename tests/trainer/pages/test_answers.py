"""The questions at the top of a page: yes and no only where an interval says so."""

import json
import os
import time

import numpy as np
import pytest
from palaestra.trainer.intervals import Interval
from palaestra.trainer.pages.answers import (
    answer_better,
    answer_ending,
    answer_hacking,
    answer_learning,
    compare_ends,
    judge,
    pair_rollouts,
    show_span,
)
from palaestra.trainer.pages.gather import gather
from palaestra.trainer.pages.rows import Table, group_by_step
from palaestra.trainer.storage.starts import hold_folder

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
    table.read_new()
    answer = answer_learning([], table, 0)
    assert answer.verdict == "yes"
    assert "pass-rate in training" in answer.headline


@pytest.mark.parametrize(
    ("end", "since", "said"),
    [
        ({"state": "finished"}, 9e9, "came to its end: 20 of 20"),
        ({"state": "stopped", "reason": "SIGTERM"}, 9e9, "Somebody stopped it (SIGTERM)"),
        (
            {"state": "disk", "reason": "x could not be written."},
            9e9,
            "Its disk was full, or refused, after 20",
        ),
        ({"state": "halted", "reason": "Step 3: broken"}, 9e9, "A guard halted it"),
        ({"state": "failed", "reason": "KeyError: 'x'"}, 9e9, "An error ended it"),
        ({}, 9e9, "It came to its end"),
    ],
)
def test_endings(end, since, said):
    answer = answer_ending(step_lines(), CONFIG, end, {}, since)
    assert said in answer.headline
    assert end.get("state") not in ("disk", "halted", "failed") or answer.details == [end["reason"]]


def test_a_run_without_a_word_of_its_end_goes_on_or_was_killed():
    lines = step_lines(5)
    assert "It has not: 5 of 20" in answer_ending(lines, CONFIG, {}, {}, 30.0).headline
    killed = answer_ending(lines, CONFIG, {}, {}, 7200.0)
    assert "killed" in killed.headline
    assert "2 hours ago" in killed.details[0]


def test_a_run_whose_folder_is_held_goes_on_however_long_it_is_silent(tmp_path):
    run = make_run(tmp_path / "run", steps=12, end="")
    past = time.time() - 7200
    os.utime(run / "metrics.jsonl", (past, past))
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "steps": 40}))

    def read_answer():
        return gather([run]).to_head()["runs"][0]["answers"][1]["headline"]

    assert "killed" in read_answer()
    with hold_folder(run):
        assert "It has not: 12 of 40" in read_answer()
    assert "killed" in read_answer()


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
        table.read_new()
    answer = answer_better(["a", "b"], [[], []], table, 1, "")
    assert answer.verdict == "no"
    assert "paired" in answer.headline
    held = [[make_evaluation(20, 0.2)], [make_evaluation(20, 0.8)]]
    assert answer_better(["a", "b"], held, table, 1, "").verdict == "yes"
    assert "can't be compared: name is" in answer_better(["a", "b"], held, table, 1, "name is 'x'").headline
    assert answer_better(["a", "b"], [[], []], NONE, 1, "").verdict == "unsure"


def make_visits(generator: np.random.Generator, rates: np.ndarray, run: int, steps: range) -> dict[str, list]:
    """Columns of a run that draws every problem at every step, four completions each."""
    columns: dict[str, list] = {
        name: [] for name in ("run", "step", "problem", "abstained", "held_out", "passed")
    }
    for step in steps:
        for problem, rate in enumerate(rates):
            passed = (generator.random(4) < rate).astype(int).tolist()
            for name, value in (
                ("run", run),
                ("step", step),
                ("problem", problem),
                ("abstained", 0),
                ("held_out", 0),
            ):
                columns[name] += [value] * 4
            columns["passed"] += passed
    return columns


def test_intervals_cover_however_often_a_problem_is_drawn():
    """Twelve problems, each with an effect of its own whose mean in the population is 0."""
    generator = np.random.default_rng(0)
    covered, problems = [0, 0], set()
    for _ in range(40):
        before = generator.uniform(0.3, 0.7, 12)
        after = np.clip(before + generator.normal(0, 0.25, 12), 0, 1)
        table = Table()
        late = [
            make_visits(generator, rates, run, range(81, 101)) for run, rates in enumerate((before, after))
        ]
        table.columns = {name: late[0][name] + late[1][name] for name in late[0]}
        paired = pair_rollouts(table, 0, 1)
        problems.add(paired.problems)
        covered[0] += paired.low <= 0 <= paired.high
        ends = [
            make_visits(generator, before, 0, range(20)),
            make_visits(generator, after, 0, range(80, 100)),
        ]
        between = make_visits(generator, before[:1], 0, range(20, 80))
        table.columns = {name: ends[0][name] + between[name] + ends[1][name] for name in between}
        compared = compare_ends(group_by_step(table, 0, "passed"))
        problems.add(compared.last.problems)
        covered[1] += compared.difference.low <= 0 <= compared.difference.high
    assert problems == {12}
    assert min(covered) >= 35  # of 40, where 38 are expected; by visits it were half of them


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
