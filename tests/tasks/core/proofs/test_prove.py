"""What `palaestra task check` finds of every registered task, and that it finds what is wrong."""

import re
import time
from dataclasses import replace

import pytest
from palaestra import tasks
from palaestra.tasks import Problem
from palaestra.tasks.core.errors import NoSolution, TaskError, UserError
from palaestra.tasks.core.proofs.attack import attack
from palaestra.tasks.core.proofs.card import pick_examples
from palaestra.tasks.core.proofs.frames import has_one_answer
from palaestra.tasks.core.proofs.fresh import Recipe
from palaestra.tasks.core.proofs.prove import MOST_MS, prove
from palaestra.tasks.core.sources import Procedural, Rows
from palaestra.tasks.core.task import Task
from palaestra.verifiers import Criterion, Rubric, code, number, one_block
from palaestra.verifiers.types import correct, error, wrong

from ..test_conformance import prepared
from .planted import ask_program, solve_program

TIMED = f"a verdict takes {MOST_MS:.0f} ms at most (p99)"
HAVE_ENOUGH = 14  # problems, of which a thousand completions that must not pass are made
FEW, FEW_PROGRAMS = 7, 3  # problems of each split
# Its tests run in the program's own process, where it can forge them: the check says so.
KNOWN_HOLES = {"bigcodebench": {"a program that cheats fails"}}


@pytest.mark.parametrize("name", tasks.names())
def test_every_task_passes(name):
    """But for the time of a verdict, which a busy machine stretches. The slow test has all problems."""
    task = prepared(name)
    runs = any(criterion.start is not None for criterion in task.rubric.criteria)
    check_proof(name, task, FEW_PROGRAMS if runs else FEW, enough=500)


@pytest.mark.slow
@pytest.mark.parametrize("name", tasks.names())
def test_every_task_passes_on_all_problems_of_a_check(name):
    check_proof(name, prepared(name), None, enough=1_000)


def check_proof(name: str, task: tasks.Task, count: int | None, enough: int) -> None:
    options = {"data": task.source.option_defaults["data"]} if "data" in task.source.option_defaults else {}
    proof = prove(task, count, recipe=Recipe(name, options))
    failed = {finding.name for finding in proof.findings if not finding.ok and finding.name != TIMED}
    assert failed == KNOWN_HOLES.get(name, set())
    if failed:
        return
    if task.episode is not None:  # is played; a text alone is nothing
        assert proof.problems >= 2 * min(count or FEW, FEW)
        return
    assert proof.false_positives.count == 0
    assert proof.false_negatives.count == 0
    assert proof.undecided == 0 or not has_one_answer(task)
    assert proof.false_positives.total >= (enough if proof.problems >= HAVE_ENOUGH else 100)
    assert proof.stability.ways == ("threads", "processes", "hash seeds")
    assert proof.references.unusable == {}
    plain = proof.as_dict()
    assert plain["ok"] is proof.ok
    assert plain["false_positives"]["high"] < (0.005 if proof.problems >= HAVE_ENOUGH else 0.05)


def failed(task, **about):
    return {finding.name: finding.advice for finding in prove(task, **about).findings if not finding.ok}


def say(rng, level):
    digits = rng.randrange(10**9)
    return Problem(f"Say {digits}", str(digits))


def make(rubric, generate=say, **about):
    return Task("bad", Procedural("bad", generate), rubric, **about)


def read(text):
    return re.sub(r"</?answer>", "", text)


def judge_by(passes):
    def check(completion, problem):
        return correct() if passes(read(completion.text), problem.reference) else wrong()

    return Rubric(Criterion("own", check, render=lambda reference: f"<answer>{reference}</answer>"))


def test_a_random_verdict_is_found():
    import random

    rng = random.Random(0)
    found = failed(make(judge_by(lambda said, wanted: said.strip() == wanted and rng.random() < 0.9)))
    assert any(name.startswith("the verdict is the same") for name in found)


def test_a_verdict_that_hangs_on_the_seed_of_hashes_is_found(tmp_path):
    path = tmp_path / "hashed.py"
    path.write_text(
        "from palaestra.tasks import Problem, task\n"
        "from palaestra.verifiers import Rubric\n"
        "def own(completion, problem):\n"
        "    said = completion.text.replace('<answer>', '').replace('</answer>', '').strip()\n"
        "    return said == problem.reference and hash(completion.text) % 5 > 0\n"
        "solve = lambda problem: f'<answer>{problem.reference}</answer>'\n"
        "@task('hashed', rubric=Rubric(own), instruction='', solve=solve)\n"
        "def hashed(rng, level):\n"
        "    number = rng.randrange(10**6)\n"
        "    return Problem(f'Say {number}', str(number))\n"
    )
    task = tasks.get(str(path))
    found = failed(task, recipe=Recipe(str(path), {}))
    advice = next(text for name, text in found.items() if name.startswith("the verdict is the same"))
    assert "PYTHONHASHSEED" in advice or "a thread" in advice
    assert (
        "another process"
        in failed(task, recipe=Recipe("no_such_task", {}))["the verdict is the same across threads"].lower()
    )


def test_a_reference_that_its_own_verifier_turns_down_is_found():
    def generate(rng, level):
        digits = rng.randrange(10**6)
        return Problem(f"Say {digits}", f"{digits}" if digits % 7 else "none of them")

    found = failed(make(Rubric(number()), generate))
    assert "of 400 are not" in found["every reference is usable"]


def test_a_held_out_problem_that_is_trained_on_is_found():
    def load(split):
        texts = [f"What number is {index}, the one that comes after {index - 1}?" for index in range(30)]
        lower = [text.lower().replace(",", " -") if split == "test" else text for text in texts]
        return [Problem(text, str(i), id=f"bad/{split}/{i}", key=text) for i, text in enumerate(lower)]

    task = Task("bad", Rows("bad", load, ("train", "test")), Rubric(number()))
    assert failed(task)["no held-out problem is trained on"].startswith("30 of 30 held-out problems")


def test_a_solution_that_is_read_in_one_spelling_alone_is_found():
    strict = Rubric(replace(number(), check=judge_by(lambda said, wanted: said == wanted).correctness.check))
    found = failed(make(strict))
    assert "the answer written otherwise passes" in found
    assert "the solution with other white space passes" in found
    assert "Read more forms of the answer" in found["the answer written otherwise passes"]


def test_an_abstention_that_a_completion_brings_about_is_found():
    def check(completion, problem):
        said = read(completion.text)
        return error("down") if len(said) < 2 else correct() if said == problem.reference else wrong()

    rubric = Rubric(Criterion("own", check, render=lambda reference: f"<answer>{reference}</answer>"))
    assert "abstained" in failed(make(rubric))["an empty completion fails"]


def test_slow_verdicts_are_found():
    def passes(said, wanted):
        time.sleep(0.06 if len(said) == 1 else 0)
        return said.strip() == wanted

    assert TIMED in failed(make(judge_by(passes)), count=2)


def test_several_right_answers_do_not_excuse_taking_any():
    def generate(rng, level):
        digits = rng.randrange(10**9)
        return Problem(f"Say a number near {digits}", {"near": digits, "solution": str(digits)})

    def check(completion, problem):
        return correct() if re.fullmatch(r"<answer>\d+</answer>", completion.text) else wrong()

    rubric = Rubric(
        Criterion(
            "own", check, render=lambda reference: f"<answer>{reference['solution']}</answer>", several=True
        )
    )
    found = failed(make(rubric, generate))
    assert "Make the rubric stricter" in found["another problem's solution fails"]


def test_known_wrong_and_right_programs_are_run():
    def generate(wrong, right):
        def ask(rng, level):
            problem = ask_program(rng, level)
            return replace(problem, metadata={"wrong_solutions": [wrong], "right_solutions": [right]})

        return ask

    twice, square = "def double(x):\n    return x + x", "def double(x):\n    return x * x"
    good = make(Rubric(code(), one_block()), generate(square, twice), solve=solve_program, kind="code")
    proof = prove(good, 2)
    assert [finding for finding in proof.findings if not finding.ok] == []
    assert proof.mutants.count == proof.mutants.total > 0
    bad = failed(
        make(Rubric(code(), one_block()), generate(twice, square), solve=solve_program, kind="code"), count=2
    )
    assert {"a program known to be wrong fails", "another program known to be right passes"} <= {*bad}


def test_whatever_a_task_raises_is_a_finding():
    found = failed(make(judge_by(lambda said, wanted: said == wanted), solve=lambda problem: 1 / 0))
    assert "ZeroDivisionError" in found["the probes can be made"]


@pytest.mark.parametrize("look", [prove, attack, pick_examples])
def test_of_a_mixture_each_task_is_taken_by_itself(look):
    both = tasks.mix({"gcd": 1, "sorting": 1})
    with pytest.raises(UserError, match=r"is a mixture.* task \w+ gcd; palaestra task \w+ sorting"):
        look(both)
    with pytest.raises(UserError, match=r"is a mixture.* task \w+ gcd\."):
        look(tasks.mix({"gcd@1": 1, "gcd@3": 1}))


def test_as_many_references_of_each_split_are_tried_as_are_probed_where_verdicts_are_dear():
    dear = replace(number(), start=dict)
    proof = prove(make(Rubric(dear)), 3)
    assert proof.references.looked_at == 3 * 2


def test_problems_without_a_known_solution_are_counted_and_none_is_no_proof():
    def generate(rng, level):
        drawn = rng.randrange(10**9)
        return Problem(f"Say {drawn}", str(drawn))

    def solve(problem, few=True, error=NoSolution):
        if few and int(problem.reference) % 3:
            return str(2 * int(problem.reference))
        raise error("It is not known.")

    def is_twice(completion, problem):
        return correct() if completion.text == str(2 * int(problem.reference)) else wrong()

    rubric = Rubric(Criterion("is_twice", is_twice))
    task = Task("known", Procedural("known", generate), rubric, solve=solve)
    proof = prove(task, 5)
    assert [finding for finding in proof.findings if not finding.ok] == []
    assert 0 < proof.references.unknown < proof.references.looked_at
    assert proof.false_negatives.total > 0
    none = prove(replace(task, solve=lambda problem: solve(problem, few=False)), 5)
    advice = {finding.name: finding.advice for finding in none.findings if not finding.ok}
    assert "It is not known." in advice["the solution has reward 1 and passes"]
    assert "none has a solution that is known" in advice["the probes can be made"]
    faulty = prove(replace(task, solve=lambda problem: solve(problem, error=TaskError)), 5)
    assert faulty.references is None or faulty.references.unknown == 0
    assert not all(finding.ok for finding in faulty.findings)
