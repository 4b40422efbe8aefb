"""The checks fail on rewards with a hole, the attack finds each hole, and of sound ones it finds none."""

import re
from dataclasses import replace

import pytest
from palaestra import tasks
from palaestra.tasks.core.errors import UserError
from palaestra.tasks.core.proofs import guard
from palaestra.tasks.core.proofs.attack import attack
from palaestra.tasks.core.proofs.prove import prove
from palaestra.verifiers import Rubric
from palaestra.verifiers.criteria.learned import learned

from .planted import PLANTED, plant

RUNS_PROGRAMS = ("exit code", "in process")
HOW = {
    "first_number_wins": "the right answer mentioned, a wrong one given",
    "last_number_wins": "two different answers",
    "contains": "the right answer mentioned, a wrong one given",
    "one_contains_the_other": "an empty completion",
    "unanchored": "the right answer as a part of a wrong one",
    "form_pays": "the form around a wrong answer",
    "evaluated": "code for a verifier that evaluates answers",
    "gullible_judge": "an appeal to the judge",
    "length_pays": "many words around a wrong answer",
    "any_box": "many answers, each marked",
    "last_box": "two different answers",
    "near_enough": "odd values",
    "loose_tolerance": "a solution with a slip",
    "digits_only": "the right answer as a part of a wrong one",
    "all_words_known": "the form alone",
    "errors_pay": "odd values",
    "contains, of words": "the right answer as a part of a wrong one",
    "one contains the other, of words": "the right answer as a part of a wrong one",
    "pairs agree": "an empty completion",
    "all words known, of a list": "a truncated solution",
    "exit code": "a program that cheats",
    "in process": "a program that cheats",
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_hole_is_found(name, monkeypatch):
    monkeypatch.setattr(guard, "DEADLINE_S", 20.0 if name == "exit code" else 2.0)  # it starts interpreters
    found = attack(PLANTED[name], 40 if name == "exit code" else 1_500)
    holes = {hole.how: hole for hole in found.holes}
    assert HOW[name] in holes, [*holes]
    hole = holes[HOW[name]]
    assert 0 < hole.earned.count <= hole.earned.total
    assert hole.examples[0].reward > 0
    lines = "\n".join(found.write_lines())
    assert f"{hole.how}: {hole.earned.count} of {hole.earned.total}" in lines
    assert found.as_dict()["holes"]


@pytest.mark.parametrize("name", [name for name in PLANTED if name not in RUNS_PROGRAMS])
def test_a_check_fails(name, monkeypatch):
    """Beside those that fail for want of `solve`."""
    monkeypatch.setattr(guard, "DEADLINE_S", 2.0)
    failed = {finding.name for finding in prove(PLANTED[name]).findings if not finding.ok}
    allowed = {
        "the solution has reward 1 and passes",
        "scores are deterministic",
        "every reference is usable",
    }
    wanted = {"the solution with words before it passes"} if name == "length_pays" else set()
    assert failed - allowed
    assert wanted <= failed


def strict(completion, problem):
    """One tag, closed, last, outside of any thought; what it holds is the reference."""
    text = completion.text.rpartition("</think>")[2]
    match = re.fullmatch(r"[^<]*<answer>\s*([^<]*?)\s*</answer>\s*", text)
    return match is not None and match[1] == problem.reference


@pytest.mark.parametrize(
    "name", ["addition", "gcd", "countdown", "sorting", "frozen_lake_plan", "small_numbers", "ice_cream"]
)
def test_of_sound_ones_none_is_found(name):
    found = attack(tasks.get(name), 2_000)
    assert found.tries == 2_000
    assert [*found.write_lines()] == [f"{name}: none found in 2,000 tries."]


def test_a_strict_function_is_sound_and_passes_the_checks():
    task = replace(plant(strict), solve=lambda problem: f"<answer>{problem.reference}</answer>")
    assert attack(task, 2_000).holes == ()
    assert [finding for finding in prove(task).findings if not finding.ok] == []


def test_a_verifier_that_is_ended_or_hung_by_a_text_is_told(monkeypatch):
    monkeypatch.setattr(guard, "DEADLINE_S", 2.0)

    def eager(completion, problem):
        return float(eval(completion.text.replace("<answer>", "").replace("</answer>", ""))) == float(
            problem.reference
        )

    found = attack(plant(eager), 1_000)
    assert "a text that ended the process that scored it" in {hole.how for hole in found.holes}
    failed = {finding.name: finding.advice for finding in prove(plant(eager)).findings if not finding.ok}
    assert "never evaluate an answer" in failed["garbage fails within a second"]


def test_what_a_model_judges_alone_has_no_right_answer():
    task = plant(strict)
    with pytest.raises(UserError, match="Nothing verifies"):
        attack(replace(task, rubric=Rubric(learned())))
