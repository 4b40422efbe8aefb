"""Sets of problems for programs, on rows of our own with the published columns."""

import base64
import json
import pickle
import zlib
from pathlib import Path

import pytest
from palaestra import tasks
from palaestra.tasks import DataError, TaskError
from palaestra.tasks.kodcode import read_tests
from palaestra.tasks.livecodebench import unpack_text

FIXTURES = Path(__file__).parents[1] / "fixtures"
SETS = {"apps": 4, "taco": 4, "code_contests": 3, "livecodebench": 4}
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


def find(name):
    places = (FIXTURES / name, FIXTURES / f"{name}.jsonl")
    return next(place for place in places if place.exists())


def load(name, path=None):
    task = tasks.get(name, {"data": str(path or find(name))})
    splits = task.splits if path is None else task.splits[:1]
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
    source = find(name)
    source = source / "train.jsonl" if source.is_dir() else source
    row = json.loads(source.read_text().splitlines()[0])
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


def pack(content):
    return base64.b64encode(zlib.compress(content)).decode()


class Runs:
    def __reduce__(self):
        return (print, ("it ran",))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_private_tests_are_one_text(protocol):
    assert unpack_text(pack(pickle.dumps('[{"input": "\u00e9"}]', protocol))) == '[{"input": "\u00e9"}]'


@pytest.mark.parametrize(
    "packed",
    [
        *(pack(pickle.dumps(thing)) for thing in (Runs(), ["a"], 1, ("a", "b"), {"a": "b"})),
        pack(b"cos\nsystem\n(S'echo it ran'\ntR."),
        pack(b"I" + b"9" * 100_000 + b"\n."),
        pack(b"X" + b"\xff" * 4 + b"a."),
        pack(pickle.dumps("a"))[:-8],
        pack(pickle.dumps("no JSON")),
        pack(b""),
        "no base64!",
        base64.b64encode(b"not compressed").decode(),
    ],
)
def test_any_other_pickle_is_refused_and_never_executed(packed, tmp_path, capfd):
    with pytest.raises(DataError, match="line 1"):
        load("livecodebench", write(tmp_path, "livecodebench", private_test_cases=packed))
    assert "it ran" not in capfd.readouterr().out


def test_private_tests_have_a_bound(monkeypatch):
    monkeypatch.setattr("palaestra.tasks.livecodebench.MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        unpack_text(pack(pickle.dumps("a" * 2000)))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        (
            "kodcode",
            ["def every_second(items):\n    return items", "def count_vowels(text):\n    return 100"],
        ),
        ("bigcodebench", ['def task_func(text):\n    return \'["c", "b", "a"]\'']),
    ],
)
def test_functions_are_tested_as_published(name, wrong):
    task, problems = load(name)
    assert len(problems) == len(wrong)  # pytest's own means, and a library that is not here, are left out
    for problem, source in zip(problems, wrong, strict=True):
        assert task.score(task.solution(problem), problem).reward == 1
        assert not task.score(fence(source), problem).passed
        assert "return" not in problem.text


def test_a_test_that_nobody_could_pass_or_fail_is_none():
    for source in ("", "x = 1", "import pytest\ndef test_a(): pass", "def test_a(fixture): pass"):
        with pytest.raises(ValueError, match=r"tests|pytest|plain"):
            read_tests(source)


def test_bigcodebench_is_not_trained_on():
    assert tasks.get("bigcodebench").splits == ("test",)
