"""The curriculum over a rubric's weights: what a schedule says and refuses, and that a run follows it."""

import json
from dataclasses import asdict

import pytest
from palaestra.tasks import get
from palaestra.tasks.core.errors import UserError
from palaestra.tasks.core.mixture import mix
from palaestra.trainer.reports.curves import read_metrics
from palaestra.trainer.runs.checks import check_train
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train
from palaestra.trainer.runs.weights import (
    MEMORY,
    Rates,
    check_ramps,
    find_factors,
    read_ramps,
    weigh_groups,
)

from ..support.groups import DEAD, LIVE, TASK, make_group
from ..support.runs import SMALL, have_same_weights, say_nothing

BY_STEP = read_ramps(["answer_tag=1:0.2:4"])
BY_RATE = read_ramps(["answer_tag=2:0:50%"])


def test_by_steps_the_factor_lies_on_a_line_and_stays():
    found = [find_factors(BY_STEP, step, Rates())["answer_tag"] for step in (0, 2, 4, 40)]
    assert found == pytest.approx([1, 0.6, 0.2, 0.2])


def test_by_its_own_pass_rate_the_factor_goes_both_ways():
    found = [BY_RATE[0].at(9, rate) for rate in (0, 0.25, 0.5, 1, 0.25)]
    assert found == [2, 1, 0, 0, 1]


def test_rates_are_of_the_last_steps_and_plain():
    rates = Rates()
    for _ in range(3):
        rates.add([make_group(LIVE, 0)], BY_RATE)
    share = rates.passed["answer_tag"]
    assert 0 < share < 1
    for _ in range(10 * MEMORY):
        rates.add([make_group(DEAD, 0)], BY_RATE)
    assert rates.passed["answer_tag"] == pytest.approx(0, abs=1e-3)
    assert Rates(**json.loads(json.dumps(asdict(rates)))) == rates


def test_rewards_are_weighed_anew_and_passed_stays():
    group = make_group(LIVE, 0)
    (got,) = weigh_groups([group], TASK, {"answer_tag": 0.0})
    for before, after in zip(group.scores_G, got.scores_G, strict=True):
        assert (after.passed, after.parts) == (before.passed, before.parts)
        assert after.reward == float(before.passed)
        assert after.weights == {"number": 1.0, "answer_tag": 0.0}
    assert weigh_groups([group], TASK, {}) == [group]
    mixed = weigh_groups([group], mix({"gcd": 1, "sorting": 1}), {"answer_tag": 0.0})
    assert mixed[0].scores_G == got.scores_G


@pytest.mark.parametrize(
    ("text", "said"),
    [("answer_tag", "can't be read"), ("answer_tag=1:0", "can't be read"), ("answer_tag=1:x:3", "can't be"),
     ("answer_tag=1:-1:3", "0 or more"), ("answer_tag=1:0:0", "1 or more"), ("answer_tag=1:0:101%", "100 %"),
     ("answer_tag=nan:0:3", "0 or more"), ("=1:0:3", "NAME="),
     ("answer_tga=1:0:3", "did you mean 'answer_tag'"), ("number=1:0:3", "")],
)  # fmt: skip
def test_what_no_run_can_follow_is_refused_before_it_begins(text, said):
    settings = SMALL.but(task="gcd", option=(), criterion_weight=(text,))
    if not said:  # the tag keeps its weight
        check_train(settings)
        return
    with pytest.raises(UserError, match=said):
        check_train(settings)


def test_weights_that_all_fade_and_names_twice_are_refused():
    with pytest.raises(UserError, match="nothing would be paid"):
        check_ramps(read_ramps(["number=1:0:5", "answer_tag=0:1:50%"]), get("gcd"))
    with pytest.raises(UserError, match="twice"):
        read_ramps(["number=1:0:5", "number=1:0:50%"])


@pytest.mark.slow
def test_a_run_follows_its_schedule_and_is_resumed_to_the_bit(warm_model, tmp_path):
    settings = SMALL.but(
        model=str(warm_model), task="gcd", option=(), preflight_problems=0, max_new_tokens=8,
        criterion_weight=("answer_tag=1:0:50%",),
    )  # fmt: skip
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    train(settings.but(out=str(whole)), say=say_nothing)
    train(settings.but(out=str(parted), stop_after=2), say=say_nothing)
    resume(parted, {}, say=say_nothing)
    assert have_same_weights(parted / "model", whole / "model")
    steps, again = (
        [line["criteria"] for line in read_metrics(path) if line["kind"] == "step"]
        for path in (whole, parted)
    )
    assert steps == again
    assert steps[0]["answer_tag"]["weight"] == pytest.approx(0.1 / 1.1)
    assert steps[-1]["answer_tag"]["weight"] < steps[0]["answer_tag"]["weight"]
    with pytest.raises(UserError, match="paid by another reward"):
        resume(whole, {"criterion_weight": ("answer_tag=1:0:5",), "steps": 9}, say=say_nothing)
