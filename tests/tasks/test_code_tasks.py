# ruff: noqa: E501
"""The code tasks on their published data: every reference solution passes, every wrong one fails."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from palaestra import tasks
from palaestra.sandbox import Limits, SandboxPool
from palaestra.sandbox import shared_pool as shared

DATA = Path(__file__).parents[3] / "shared" / "data"
COUNTS = {"humaneval": {"test": 164}, "mbpp": {"train": 373, "validation": 90, "test": 500, "prompt": 10}}
COUNTS["mbpp_sanitized"] = {"train": 120, "validation": 43, "test": 257, "prompt": 7}
COUNTS["cruxeval"] = {"test": 800}
needs_data = pytest.mark.skipif(not DATA.exists(), reason=f"the published data sets are not at {DATA}")


@pytest.fixture(scope="module", autouse=True)
def close_shared_pools():
    yield
    shared().close()
    shared(("numpy",)).close()


def failures(name: str, split: str, step: int = 1) -> tuple[int, list[str]]:
    folder = DATA / name.removesuffix("_sanitized")
    task = tasks.get(name, {"data": str(folder)})
    problems = task.problems(split)[::step]
    with ThreadPoolExecutor(4) as threads:
        scores = list(threads.map(lambda problem: task.score(task.solution(problem), problem), problems))
    bad = [f"{p.id}: {s.parts}" for p, s in zip(problems, scores, strict=True) if not s.passed or s.abstained]
    return len(problems), bad


@needs_data
@pytest.mark.parametrize(("name", "split"), [("humaneval", "test"), ("cruxeval", "test")])
def test_every_reference_solution_passes(name, split):
    assert failures(name, split) == (COUNTS[name][split], [])


@needs_data
@pytest.mark.parametrize("name", ["mbpp", "mbpp_sanitized"])
def test_reference_solutions_pass(name):
    assert failures(name, "test", 10)[1] == []


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize(("name", "split"), [(n, s) for n in ("mbpp", "mbpp_sanitized") for s in COUNTS[n]])
def test_every_mbpp_reference_solution_passes(name, split):
    assert failures(name, split) == (COUNTS[name][split], [])


@needs_data
@pytest.mark.parametrize("name", ["mbpp", "mbpp_sanitized", "humaneval"])
def test_no_row_is_tested_in_the_programs_own_process(name):
    task = tasks.get(name, {"data": str(DATA / name.removesuffix("_sanitized"))})
    assert not [p.id for split in COUNTS[name] for p in task.problems(split) if p.reference.get("weak")]


@needs_data
@pytest.mark.parametrize(("split", "task_id"), [("train", 601), ("test", 367)])
def test_rows_whose_tests_make_objects_can_not_be_forged(split, task_id):
    task = tasks.get("mbpp", {"data": str(DATA / "mbpp")})
    problem = next(p for p in task.problems(split) if p.metadata["task_id"] == task_id)
    assert task.score(task.solution(problem), problem).passed
    name, kind = problem.reference["entry_point"], problem.reference["classes"][0]
    equal = "class E:\n    def __eq__(self, o): return True\n"
    made = f"class {kind}:\n    def __init__(self, *a): self.left = self.right = None\n"
    for forged in (
        f"{equal}{made}def {name}(*a): return E()\n",
        f"{made}import builtins, sys\nbuiltins.AssertionError = Exception\nsys.modules['tests'] = None\ndef {name}(*a): return 99\n",
        f"{made}import os\ndef {name}(*a): os._exit(0)\n",
    ):
        score = task.score(f"```python\n{forged}```", problem)
        assert not score.passed
        assert not score.abstained


@needs_data
def test_right_and_wrong_solutions_of_humanevalpack():
    rows = [
        json.loads(line) for line in (DATA / "humanevalpack" / "humanevalpack.jsonl").read_text().splitlines()
    ]
    with SandboxPool(4, Limits(wall_s=3)) as pool, ThreadPoolExecutor(4) as threads:

        def passed(row: dict, key: str) -> bool:
            setup = row["prompt"] + "    pass\n"
            return pool.run_suite(
                row["prompt"] + row[key], [row["entry_point"]], [row["test"]], setup=setup
            ).passed

        right = sum(threads.map(lambda row: passed(row, "canonical_solution"), rows))
        wrong = sum(threads.map(lambda row: passed(row, "buggy_solution"), rows))
    assert (right, wrong) == (164, 0)


@needs_data
@pytest.mark.slow
def test_cruxeval_functions_give_the_published_outputs():
    """The inputs are source text: one names a list of the program's, hence the setup; two hold a lambda, which is no plain
    data, so their tests run in the program's own process and say so."""
    rows = [json.loads(line) for line in (DATA / "cruxeval" / "cruxeval.jsonl").read_text().splitlines()]
    lambdas = {"sample_344", "sample_364"}

    def run(row):
        test = f"assert f({row['input']}) == {row['output']}"
        return pool.run_suite(row["code"], ["f"], [test], setup=row["code"], weak=row["id"] in lambdas)

    with SandboxPool(4) as pool, ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(run, rows))
    assert [row["id"] for row, outcome in zip(rows, outcomes, strict=True) if not outcome.passed] == []
    assert {row["id"] for row, outcome in zip(rows, outcomes, strict=True) if outcome.weak} == lambdas


PLUS = """
import numpy as np
def assertion(out, exp, atol):
    assert out == exp or np.allclose(out, exp, rtol=1e-07, atol=1e-6)
inputs, results = [[i] for i in range(200)], [i / 10 for i in range(200)]
"""
LOOP = "for inp, exp in zip(inputs, results): assertion(tenth(*inp), exp, 0)\n"


def test_plus_tasks_grade_with_their_own_column_and_numpy(tmp_path):
    rows = {
        "mbpp_plus": {"task_id": 2, "prompt": "A tenth.", "code": "def tenth(x): return x * 0.1\n", "source_file": "",
                      "test_imports": [], "test_list": ["assert tenth(0) == 0"], "test": PLUS + LOOP},
        "humaneval_plus": {"task_id": "HumanEval/0", "prompt": 'def tenth(x):\n    """A tenth."""\n', "entry_point": "tenth",
                           "canonical_solution": "    return x * 0.1\n", "test": PLUS + "def check(tenth):\n    " + LOOP},
    }  # fmt: skip
    for name, row in rows.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text(json.dumps(row) + "\n")
        task = tasks.get(name, {"data": str(path)})
        problem = task.problem("test", 0)
        right, wrong = (
            task.solution(problem),
            task.solution(problem).replace("0.1", "0.100001 if x > 190 else x * 0.1"),
        )
        assert task.score(right, problem).passed, task.score(right, problem)
        assert not task.score(wrong, problem).passed
        empty = "```python\ndef tenth(x):\n    return []\n```"  # which numpy finds close to every number
        assert not task.score(empty, problem).passed
        assert "assert tenth(0) == 0" in problem.text or name == "humaneval_plus"
