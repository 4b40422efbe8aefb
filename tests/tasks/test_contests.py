"""Sets of contest problems, on rows of our own with the published columns."""

import json
from pathlib import Path

import pytest
from palaestra import tasks
from palaestra.tasks import TaskError

FIXTURES = Path(__file__).parents[1] / "fixtures"
SETS = {"apps": 4, "taco": 4, "code_contests": 3}
RIGHT = [
    "n = int(input())\nprint(sum(x for x in map(int, input().split()) if x % 2 == 0))",
    "word = input().strip()\nprint(len(set(word)), word[::-1])",
    "import math\na, b = map(int, input().split())\nprint(a * b // math.gcd(a, b))",
    "class Solution:\n    def spread(self, nums):\n        return max(nums) - min(nums)",
]
WRONG = [
    "n = int(input())\nprint(sum(map(int, input().split())))",
    "word = input().strip()\nprint(len(word), word[::-1])",
    "a, b = map(int, input().split())\nprint(a * b)",
    "class Solution:\n    def spread(self, nums):\n        return max(nums)",
]


def load(name, path=None):
    task = tasks.get(name, {"data": str(path or FIXTURES / name)})
    splits = task.splits if path is None else ("train",)
    found = [sorted(task.problems(split), key=lambda problem: problem.id) for split in splits]
    return task, [problem for problems in found for problem in problems]


def fence(source):
    return f"```python\n{source}\n```"


@pytest.mark.parametrize("name", SETS)
def test_right_programs_pass_and_wrong_ones_fail(name):
    task, problems = load(name)
    assert len(problems) == SETS[name]  # a row without tests is left out
    for problem, right, wrong in zip(problems, RIGHT, WRONG, strict=False):
        assert task.score(fence(right), problem).passed
        score = task.score(fence(wrong), problem)
        assert not score.passed
        assert not score.abstained
        assert "solution" not in problem.text


def test_programs_known_to_be_wrong_are_kept_in_python_alone():
    task, problems = load("code_contests")
    for problem, wrong in zip(problems, WRONG, strict=False):
        assert [source.strip() for source in problem.metadata["wrong_solutions"]] == [wrong]
        assert task.score(task.solution(problem), problem).passed


def write(folder, name, **changed):
    row = json.loads((FIXTURES / name / "train.jsonl").read_text().splitlines()[0])
    path = folder / f"{name}.jsonl"
    path.write_text(json.dumps({**row, **changed}) + "\n")
    return path


@pytest.mark.parametrize("name", ["apps", "taco"])
@pytest.mark.parametrize(
    "table",
    [
        {"inputs": ["1"], "outputs": []},
        {"fn_name": "f", "inputs": [1], "outputs": [2]},
        {"inputs": [], "outputs": []},
    ],
)
def test_rows_whose_tests_do_not_fit_together_are_left_out(tmp_path, name, table):
    with pytest.raises(TaskError, match="holds no problem"):
        load(name, write(tmp_path, name, input_output=json.dumps(table)))


def test_a_row_without_a_solution_is_a_problem_all_the_same(tmp_path):
    task, (problem,) = load("apps", write(tmp_path, "apps", solutions=""))
    assert task.score(fence(RIGHT[0]), problem).passed
    with pytest.raises(TaskError, match="no published solution"):
        task.solution(problem)
