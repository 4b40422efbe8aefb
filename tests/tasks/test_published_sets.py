"""Data set tasks whose rows are not at hand, on rows of our own with the same columns."""

import json
import random
from pathlib import Path

import pytest
from palaestra import tasks
from palaestra.tasks import DataError

FIXTURES = Path(__file__).parent.parent / "fixtures"
MATH = ("deepmath", "big_math", "numina_math", "openr1_math", "dapo_math_full", "skywork_math")
CHOICE = ("mmlu_pro", "gpqa", "ai2_arc", "ai2_arc_easy", "zebra_logic")


def find(name):
    folder = FIXTURES / name
    return folder if folder.is_dir() else FIXTURES / f"{name}.jsonl"


def read(name):
    task = tasks.get(name, {"data": str(find(name))})
    return task, task.problems(task.splits[-1])


@pytest.mark.parametrize("name", MATH + CHOICE + ("bbh",))
def test_solutions_pass_and_those_of_other_problems_do_not(name):
    task, problems = read(name)
    assert len(problems) == 5
    for problem in problems:
        assert task.score(task.solution(problem), problem).reward == 1.0
        others = [other for other in problems if other.reference != problem.reference]
        assert others
        assert not any(task.score(task.solution(other), problem).passed for other in others)


@pytest.mark.parametrize("name", MATH + CHOICE + ("bbh",))
def test_a_missing_column_is_a_sentence(name, tmp_path):
    file = find(name) / "test.jsonl" if find(name).is_dir() else find(name)
    row = json.loads(file.read_text().splitlines()[0])
    task = tasks.get(name)
    for column in task.source.columns:
        file = tmp_path / f"{column}.jsonl"
        file.write_text(json.dumps({key: value for key, value in row.items() if key != column}) + "\n")
        with pytest.raises(DataError, match=f"no column '{column}'"):
            task.with_options({"data": str(file)}).problems(task.splits[-1])


@pytest.mark.parametrize("name", CHOICE)
def test_the_options_stand_in_the_prompt_and_their_texts_count(name):
    task, problems = read(name)
    for problem in problems:
        given = problem.metadata["choices"]
        texts, labels = (given["text"], given["label"]) if isinstance(given, dict) else (given, "ABCD")
        for text, label in zip(texts, labels, strict=True):
            assert f"({label}) {text}" in problem.prompt
            passed = task.score(f"<answer>{text}</answer>", problem).passed
            assert passed == (label == problem.reference)


def test_gpqa_draws_the_order_by_the_question_alone():
    random.seed(1)
    first = [problem.prompt for problem in read("gpqa")[1]]
    random.seed(2)
    assert [problem.prompt for problem in read("gpqa")[1]] == first
    assert len({problem.reference for problem in read("gpqa")[1]}) > 1


def test_numina_leaves_out_what_has_no_answer_to_check():
    asked = [problem.prompt for problem in read("numina_math")[1]]
    assert not {"Prove it.", "Which? A) 1 B) 2", "Odd."} & set(asked)


def test_countdown_finds_solutions_through_fractions_too_and_wants_each_number_once():
    task, problems = read("countdown_3to4")
    assert len(problems) == 5
    assert all(task.score(task.solution(problem), problem).reward == 1.0 for problem in problems)
    hard = next(problem for problem in problems if problem.reference["target"] == 24)
    assert task.score("<answer>8 / (3 - 8 / 3)</answer>", hard).passed
    assert not task.score("<answer>8 * 3</answer>", hard).passed
    assert not task.score(task.solution(problems[0]), problems[1]).passed
    hopeless = tasks.Problem("", {"numbers": [1, 1, 1], "target": 99})
    with pytest.raises(tasks.TaskError, match="can't make 99"):
        task.solution(hopeless)


def test_bbh_reads_letters_with_and_without_parentheses():
    task, problems = read("bbh")
    right = {"(A)": "a", "False": "false", "apple fig pear": "Apple  fig pear", "7": "7", "} ] )": "} ] )"}
    for problem in problems:
        said = right[problem.reference]
        assert task.score(f"<answer>{said}</answer>", problem).passed
        assert not task.score(f"<answer>{said} {said}</answer>", problem).passed


def test_every_task_names_its_licence_and_what_others_made_is_cited():
    for name in tasks.names():
        task = tasks.get(name)
        assert task.licence == "unknown" or task.licence.split("-")[0] in ("Apache", "MIT", "CC", "ODC"), name
        if task.origin != "procedural" and name != "livecodebench":
            assert task.citation, name
