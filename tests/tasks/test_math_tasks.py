"""The math tasks: what they make of rows, and how their rubrics score. Real files where they lie at hand."""

import json
from pathlib import Path

import pytest
from palaestra import tasks
from palaestra.tasks import DataError

HERE = Path(__file__).parent.parent
DATA = HERE.parent.parent / "shared" / "data"
REAL = {
    "svamp": ("svamp/SVAMP.json", 1_000),
    "gsm_hard": ("gsm_hard/gsmhardv2.jsonl", 1_319),
    "aqua": ("aqua/test.json", 254),
    "theoremqa": ("theoremqa/theoremqa_test.json", 747),
    "olympiadbench": ("olympiadbench/test.jsonl", 675),
}


def problems(name: str, path: Path, split: str = "test"):
    task = tasks.get(name, {"data": str(path)})
    return task, task.problems(split)


@pytest.mark.parametrize("name", REAL)
def test_every_real_row_makes_a_problem_whose_reference_scores_full_reward(name):
    file, count = REAL[name]
    if not (DATA / file).is_file():
        pytest.skip(f"needs ../shared/data/{file}")
    task, found = problems(name, DATA / file)
    assert len(found) >= 0.99 * count  # some questions are there twice
    failed = [problem.id for problem in found if task.score(task.solution(problem), problem).reward != 1.0]
    assert failed == []


@pytest.mark.parametrize("name", REAL)
def test_the_reference_of_another_row_fails_unless_it_is_the_same(name):
    file, _ = REAL[name]
    if not (DATA / file).is_file():
        pytest.skip(f"needs ../shared/data/{file}")
    task, found = problems(name, DATA / file)
    pairs = [
        (a, b)
        for a, b in zip(found, found[7:], strict=False)
        if json.dumps(a.reference) != json.dumps(b.reference)
    ]
    passed = [(a.reference, b.reference) for a, b in pairs if task.score(task.solution(b), a).passed]
    close = {"theoremqa": 0.03, "olympiadbench": 0.01, "gsm_hard": 0.001}.get(
        name, 0.0
    )  # tolerance; 2 and $2$
    assert len(passed) <= close * len(pairs), passed[:20]


def score(name: str, text: str, index: int = 0, split: str = "test", **options):
    folder, single = HERE / "fixtures" / name, HERE / "fixtures" / f"{name}.jsonl"
    task = tasks.get(name, {"data": str(folder if folder.is_dir() else single), **options})
    return task.score(text, task.problem(split, index))


def test_math_takes_the_last_box_of_the_solution():
    assert score("math", r"So it is $\boxed{100.0}$.").passed
    assert not score("math", r"So it is $\boxed{0}$.").passed
    assert score("math", r"\boxed{\sqrt{2}+1}", 1).passed


def test_math_leaves_problems_of_test_out_of_train_and_those_of_a_named_file(tmp_path):
    folder = HERE / "fixtures" / "math"
    task = tasks.get("math", {"data": str(folder)})
    train, test = ({problem.key for problem in task.problems(split)} for split in ("train", "test"))
    assert train
    assert test
    assert not train & test
    held_out = tmp_path / "math500.jsonl"
    held_out.write_text(json.dumps({"problem": task.problem("train", 0).text.replace(" ", "  ")}) + "\n")
    smaller = tasks.get("math", {"data": str(folder), "exclude": str(held_out)})
    assert len(smaller.problems("train")) == len(train) - 1


def test_math_has_its_seven_subjects_on_the_hub():
    hub = tasks.get("math").source.hub
    assert len(hub.config) == 7
    assert str(hub).startswith("EleutherAI/hendrycks_math (algebra, ")


def test_a_solution_without_a_box_is_a_sentence(tmp_path):
    file = tmp_path / "test.jsonl"
    file.write_text(
        json.dumps({"problem": "1+1?", "level": "Level 1", "type": "Algebra", "solution": "2"}) + "\n"
    )
    with pytest.raises(DataError, match=r"line 1.*no .*boxed"):
        tasks.get("math", {"data": str(file)}).problems("test")


def test_aime_answers_may_have_leading_zeros():
    assert score("aime24", r"\boxed{22}").passed
    assert score("aime24", r"\boxed{022}").passed
    assert not score("aime24", r"\boxed{23}").passed


def test_aqua_wants_the_letter():
    assert score("aqua", "<answer>B</answer>").passed
    assert score("aqua", "<answer>(B) 66</answer>").passed
    assert not score("aqua", "<answer>A</answer>").passed
    assert not score("aqua", "<answer>A or B</answer>").passed


def test_gsm_hard_and_theoremqa_have_tolerances_and_exact_kinds(tmp_path):
    file = tmp_path / "test.jsonl"
    rows = [
        {"Question": "a", "Answer": 100.0, "Answer_type": "float", "Picture": None},
        {"Question": "b", "Answer": 100, "Answer_type": "integer", "Picture": None},
        {"Question": "c", "Answer": True, "Answer_type": "bool", "Picture": None},
        {"Question": "d", "Answer": [1, 2], "Answer_type": "list of integer", "Picture": None},
        {"Question": "e", "Answer": "(b)", "Answer_type": "option", "Picture": None},
        {"Question": "f", "Answer": 1, "Answer_type": "integer", "Picture": "PIL"},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task, found = problems("theoremqa", file)
    assert len(found) == 5
    answers = [("103.9", "104.1"), ("100", "103"), ("yes", "False"), ("(1, 2)", "[2, 1]"), ("B", "(a)")]
    for problem, (right, wrong) in zip(found, answers, strict=True):
        assert task.score(f"<answer>{right}</answer>", problem).passed, problem.reference
        assert not task.score(f"<answer>{wrong}</answer>", problem).passed, problem.reference


def test_olympiadbench_wants_every_answer_and_knows_units_and_errors(tmp_path):
    file = tmp_path / "test.jsonl"
    rows = [
        {"question": "a", "final_answer": ["$69$,$84$"], "unit": None, "error": None},
        {"question": "b", "final_answer": ["45"], "unit": "minute", "error": None},
        {"question": "c", "final_answer": ["4.2"], "unit": "%", "error": "1e-1"},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task, found = problems("olympiadbench", file)
    right = [["84, 69", r"\{69,84\}"], ["45", "0.75 hours", r"45\text{ minutes}"], ["4.25", "4.2"]]
    wrong = [["69", "84, 69, 1"], ["45 hours", "46"], ["4.31", "5"]]
    for problem, yes, no in zip(found, right, wrong, strict=True):
        assert all(task.score(rf"\boxed{{{text}}}", problem).passed for text in yes), problem.reference
        assert not any(task.score(rf"\boxed{{{text}}}", problem).passed for text in no), problem.reference
