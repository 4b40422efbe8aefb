"""reasoning-gym's generators as tasks: seeded by us, split by us, judged by their own scorers, which run
nothing of the model's."""

import json
import sys
from types import ModuleType

import pytest
from fresh import run_under_seed
from palaestra.tasks import TaskError, UnknownTask, get, mix
from palaestra.verifiers import Completion, Status

pytest.importorskip("reasoning_gym")
from palaestra.tasks.packages import reasoning_gym_scoring as scoring
from palaestra.tasks.packages.reasoning_gym import LEFT_OUT, names

FEW = (
    "chain_sum",
    "spell_backward",
    "n_queens",
    "simple_integration",
    "countdown",
    "graph_color",
    "gsm_symbolic",
)
WITHOUT_AN_ANSWER = {"reasoning_gym:boxnet", "reasoning_gym:rush_hour"}


@pytest.mark.parametrize("name", FEW)
def test_a_generator_s_own_answer_passes_and_no_other_text(name):
    task = get(f"reasoning_gym:{name}")
    problem, other = (task.problem("test", index) for index in (0, 1))
    assert task.score(task.solution(problem), problem).reward == 1
    for text in (
        "zzz",
        "",
        "0 or 1",
        str(other.reference["answer"]) + " or " + str(problem.reference["answer"]),
    ):
        score = task.score(f"<answer>{text}</answer>", problem)
        assert not score.passed, text
        assert not score.abstained


def test_splits_share_no_question_and_the_same_place_is_the_same_problem():
    task = get("reasoning_gym:chain_sum")
    train, test = ({task.problem(split, index).key for index in range(200)} for split in ("train", "test"))
    assert not train & test
    assert task.problem("train", 7, seed=3) == task.problem("train", 7, seed=3)
    assert task.problem("train", 7, seed=3) != task.problem("train", 7, seed=4)


def test_options_are_those_of_the_package_s_configuration():
    task = get("reasoning_gym:chain_sum", {"min_terms": "9", "max_terms": "9"})
    problem = task.problem("train", 0)
    assert problem.prompt.count("+") + problem.prompt.count(" - ") == 8
    assert task.score(task.solution(problem), problem).passed
    with pytest.raises(TaskError, match="min_terms"):
        get("reasoning_gym:chain_sum", {"min_term": 3})
    with pytest.raises(TaskError, match="can't make a problem"):
        get("reasoning_gym:chain_sum", {"min_terms": 9, "max_terms": 2}).problem("train", 0)


HOSTILE = (
    "__import__('os').system('touch {path}')", "[__import__('os').system('touch {path}')]",
    "exec(\"open('{path}', 'w')\")", "().__class__.__base__.__subclasses__()", "x.__class__",
    "open('{path}', 'w')", "(lambda: 0)()", "S('__import__(\"os\").system(\"touch {path}\")')",
)  # fmt: skip


@pytest.mark.parametrize(
    "name", ["string_insertion", "binary_matrix", "spiral_matrix", "n_queens", "simple_integration",
             "intermediate_integration", "countdown"],
)  # fmt: skip
def test_a_scorer_that_evaluates_answers_evaluates_none_of_the_model_s(name, tmp_path):
    task, path = get(f"reasoning_gym:{name}"), tmp_path / "touched"
    problem = task.problem("test", 0)
    for text in HOSTILE:
        score = task.score(f"<answer>{text.format(path=path)}</answer>", problem)
        assert not score.passed
        assert not score.abstained
    assert not path.exists()
    assert task.score(task.solution(problem), problem).passed


def test_a_module_that_is_imported_later_evaluates_nothing_either(monkeypatch):
    from sympy.parsing import sympy_parser

    with scoring.disarmed():
        pass
    later = ModuleType("reasoning_gym.imported_later")
    vars(later)["read"] = sympy_parser.parse_expr
    monkeypatch.setitem(sys.modules, later.__name__, later)
    with scoring.disarmed():
        assert vars(later)["eval"] is scoring.evaluate
        with pytest.raises(ValueError, match="no plain expression"):
            vars(later)["read"]("__import__('os')")
    assert vars(later)["read"] is sympy_parser.parse_expr
    assert "eval" not in vars(later)


def test_an_answer_that_makes_its_scorer_work_too_long_has_timed_out(monkeypatch):
    monkeypatch.setattr("palaestra.tasks.packages.reasoning_gym.DEADLINE_S", 0.5)
    task = get("reasoning_gym:binary_matrix")
    score = task.rubric.score(Completion("<answer>9**9**9</answer>"), task.problem("test", 0))
    assert score.parts["answer"].status is Status.TIMEOUT
    assert not score.abstained


def test_what_is_not_served_says_why():
    for name in LEFT_OUT:
        with pytest.raises(TaskError, match="not served"):
            get(f"reasoning_gym:{name}")
    with pytest.raises(UnknownTask, match="Did you mean chain_sum"):
        get("reasoning_gym:chainsum")
    assert len(names()) > 90
    assert "reasoning_gym:chain_sum" in names()


def test_its_tasks_can_be_mixed():
    both = mix({"reasoning_gym:chain_sum": 2, "gcd": 1})
    problems = both.problems("test", 3)
    assert [both.score(both.solution(problem), problem).passed for problem in problems] == [True] * 3


REPEAT = """
import json
from palaestra.tasks import get
from palaestra.tasks.packages.reasoning_gym import names
found = {}
for name in names():
    problem = get(name).problem("test", 5)
    found[name] = [problem.prompt, problem.reference]
print(json.dumps(found))
"""


@pytest.mark.slow
def test_every_problem_is_the_same_in_any_process_and_every_answer_passes():
    one, other = (json.loads(run_under_seed(REPEAT, seed).splitlines()[-1]) for seed in (1, 2))
    assert one == other
    failed = []
    for name in names():
        task = get(name)
        problem = task.problem("test", 5)
        if name in WITHOUT_AN_ANSWER:
            with pytest.raises(TaskError, match="gives no right answer"):
                task.solution(problem)
            continue
        if (
            not task.score(task.solution(problem), problem).passed
            or task.score("<answer>zzz</answer>", problem).passed
        ):
            failed.append(name)
    assert failed == []
