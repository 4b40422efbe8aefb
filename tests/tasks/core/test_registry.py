"""Tasks are found by name, by entry point and by path; what is not found is a sentence with the fix."""

import subprocess
import sys

import pytest
from palaestra import tasks
from palaestra.tasks import TaskError, UnknownTask, UserError

TWENTY_LINES = '''"""Greatest common divisor of two numbers; each level adds a digit."""
import math
from palaestra.tasks import Problem, task
from palaestra.verifiers import Rubric, answer_tag, number

@task("{name}", rubric=Rubric(number(), answer_tag(weight=0.1)), levels=3)
def gcd(rng, level):
    a, b = (rng.randrange(2, 10 ** (level + 1)) for _ in range(2))
    yield Problem(prompt=f"What is the greatest common divisor of {{a}} and {{b}}?", \
reference=str(math.gcd(a, b)))
'''


@pytest.fixture
def my_task(tmp_path):
    path = tmp_path / "my_task.py"
    path.write_text(TWENTY_LINES.format(name="my_gcd"))
    yield path
    tasks.core.task.REGISTERED.pop("my_gcd", None)


def test_the_bundled_tasks_are_found():
    assert {"addition", "countdown", "frozen_lake", "gcd", "gsm8k", "sorting"} <= set(tasks.names())


def test_tasks_in_the_folder_of_a_subject_are_found_like_any_other():
    assert {"arithmetic", "factor", "clocks"} <= set(tasks.names())
    code = "import sys; from palaestra import tasks; tasks.get('clocks');"
    code += "print('palaestra.tasks.math.clocks' in sys.modules, 'palaestra.tasks.math.dates' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]  # a name brings its own file alone
    with pytest.raises(UnknownTask, match="no task named 'common'"):
        tasks.get("common")


def test_a_file_is_found_by_its_path_and_works(my_task):
    task = tasks.get(str(my_task))
    problem = task.problem("train", 0)
    assert task.summary.startswith("Greatest common divisor")
    assert task.score(task.solution(problem), problem).reward == 1
    assert tasks.get(str(my_task)).problem("train", 0) == problem


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("countdwn", r"Did you mean countdown or counting or countdown_3to4\?.*\./my_task\.py"),
        ("zzzzzz", "Known tasks: addition"),
        ("nowhere.py", "no task file nowhere.py"),
        ("core", "no task named 'core'"),
        ("core.task", "no task named"),
        ("../x", "no task named"),
        ("", "no task named"),
    ],
)
def test_an_unknown_name_is_a_sentence(name, says):
    with pytest.raises(UnknownTask, match=says) as caught:
        tasks.get(name)
    assert isinstance(caught.value, UserError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "defines 0 tasks"),
        ("def (", "SyntaxError"),
        ("import no_such_module_x", "ModuleNotFoundError"),
    ],
)
def test_a_broken_task_file_is_a_sentence(tmp_path, text, says):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(UnknownTask, match=says):
        tasks.get(str(path))


def test_options_splits_and_levels_are_checked():
    assert len(tasks.get("addition", {"digits": "3"}).problem("train", 0).metadata["operands"]) == 3
    with pytest.raises(TaskError, match="Did you mean digits"):
        tasks.get("addition", {"digit": 3})
    with pytest.raises(TaskError, match="has no split 'dev'"):
        tasks.get("gcd").problem("dev", 0)
    with pytest.raises(TaskError, match="levels 1 to 3"):
        tasks.get("gcd").problem("train", 0, level=4)


def test_an_installed_package_brings_a_task_by_its_entry_point(tmp_path):
    (tmp_path / "their_tasks.py").write_text(TWENTY_LINES.format(name="their_gcd"))
    info = tmp_path / "their-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[palaestra.tasks]\ntheir_gcd = their_tasks\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom palaestra import tasks\n"
    code += "print('their_gcd' in tasks.names(), tasks.get('their_gcd').name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "their_gcd"]


@pytest.mark.parametrize("name", ["gcd:2", "gcd@2", "gcd@2:3", "gcd:x", "gcd:"])
def test_a_weight_or_a_level_of_one_task_is_told_from_a_misspelt_name(name):
    with pytest.raises(UnknownTask, match=r"as gcd@1:2,sorting:1\. Of one task name gcd alone"):
        tasks.get(name)
