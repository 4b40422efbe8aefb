"""Probes are what they say they are, without asking a rubric."""

from collections import Counter
from dataclasses import replace

import pytest
from palaestra import tasks
from palaestra.tasks import Problem
from palaestra.tasks.core.proofs.frames import find_frame
from palaestra.tasks.core.proofs.perturb import perturb
from palaestra.tasks.core.proofs.probes import RIGHT, WRONG, Case, draw, list_slips, make_cases, make_probes
from palaestra.verifiers import Rubric, math_answer


@pytest.mark.parametrize(
    ("answer", "among"),
    [
        ("42", {"43", "41", "-42", "420", "4", "24", "42.5", "84", "0"}),
        ("0", {"1", "-1", "0.5"}),
        ("1,000", {"1001", "999", "-1000"}),
        ("-3/4", {"0.25", "-1.75", "0.75", "-7.5"}),
        ("B", {"A", "C", "D", "E"}),
        ("x^2+1", {"x^3+1", "x^2+2"}),
        ("[1, 2]", {"[1]", "[1, 2, 987]"}),
        ("3 5 8", {"3 5", "5 8", "3 5 8 987"}),
        ("cream", {"crea", "creamm", "caerm", "not cream"}),
    ],
)
def test_slips(answer, among):
    found = list(perturb(answer))
    assert among <= {*found}
    assert answer not in found
    assert len(found) == len({*found})


@pytest.mark.parametrize("answer", ["", "\\infty", "001", "1000_2"])
def test_no_slip_means_the_same(answer):
    assert not {"", answer, "0x01", "1"} & {*perturb(answer)}


def test_every_kind_is_made_for_a_usual_task():
    task = tasks.get("countdown")
    probes = [probe for case in make_cases(task, draw(task, "train", 10)) for probe in make_probes(case)]
    made = Counter(probe.kind for probe in probes)
    assert {*made} == {*WRONG, *RIGHT}
    assert len(probes) >= 800
    assert {probe.right for probe in probes if probe.kind in RIGHT} == {True}
    assert {probe.right for probe in probes if probe.kind in WRONG} == {False}


def test_others_have_other_answers():
    task = tasks.get("gcd")
    for case in make_cases(task, draw(task, "train", 40)):
        assert len(case.others) == 3
        assert case.frame.answer not in {other.answer for other in case.others}


def test_where_several_answers_are_right_another_one_proves_nothing():
    lake, sums = tasks.get("frozen_lake_plan"), tasks.get("addition")
    kinds = ("another problem's solution", "a solution with a slip", "an answer taken back")
    for task, sure in ((lake, False), (sums, True)):
        probes = [probe for case in make_cases(task, draw(task, "train", 5)) for probe in make_probes(case)]
        assert {probe.sure for probe in probes if probe.kind in kinds} == {sure}
        assert {probe.sure for probe in probes if probe.kind not in kinds} == {True}


def test_a_form_that_happens_to_be_the_answer_is_no_probe():
    task = tasks.get("ice_cream")
    problem = task.problem("train", 0)
    empty = replace(problem, reference="[]")
    as_list = replace(task, solve=lambda problem: f"<answer>{problem.reference}</answer>")
    texts = {
        probe.text for case in make_cases(as_list, [empty]) for probe in make_probes(case) if not probe.right
    }
    assert "<answer>[]</answer>" not in texts
    assert "<answer>{}</answer>" in texts


def test_a_slip_is_no_answer_within_a_tolerance():
    """With 4 per cent to either side, 101 is as right as 100."""
    gcd = tasks.get("gcd")
    loose = replace(gcd, rubric=Rubric(math_answer(tolerance=0.04)))
    exact = replace(gcd, rubric=Rubric(math_answer()))
    problem, frame = Problem("?", "100"), find_frame("<answer>100</answer>")
    own = Problem("?", {"answer": "100", "tolerance": 0.04})
    coarse = ["-100", "1000", "200"]
    assert list(list_slips(Case(loose, problem, "", frame, ()))) == coarse
    assert list(list_slips(Case(exact, own, "", frame, ()))) == coarse
    assert "101" in list(list_slips(Case(exact, problem, "", frame, ())))
    assert list(perturb("2.5e-05", coarse=True)) == ["-1/40000", "1/4000", "1/20000"]
    assert list(perturb("[3.14, 27.5]", coarse=True))[:2] == ["[4.14, 27.5]", "[3.14, 37.5]"]
