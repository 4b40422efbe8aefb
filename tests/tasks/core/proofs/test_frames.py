"""A completion is taken apart at its answer, and put together with another one."""

import pytest
from palaestra import tasks
from palaestra.tasks.core.proofs.frames import find_frame, find_solution, fold, has_one_answer, say_same

from .planted import PLANTED


@pytest.mark.parametrize(
    ("text", "answer", "mark", "last"),
    [
        ("So <answer>4</answer>", "4", "tag", "<answer>4</answer>"),
        ("<answer>3</answer> no, <answer>4</answer>.", "4", "tag", "<answer>4</answer>."),
        ("It is \\boxed{\\frac{1}{2}}", "\\frac{1}{2}", "box", "\\boxed{\\frac{1}{2}}"),
        ("x\n```python\nreturn 1\n```\n", "return 1", "block", "```python\nreturn 1\n```\n"),
        (" 42 ", "42", "bare", "42 "),
        ("<think>7</think>\n42", "42", "bare", "42"),
        ("", "", "bare", ""),
        ("<answer></answer>", "", "tag", "<answer></answer>"),
        ("\\boxed{}", "", "box", "\\boxed{}"),
    ],
)
def test_the_parts_of_a_completion(text, answer, mark, last):
    frame = find_frame(text)
    assert (frame.answer, frame.mark, frame.last) == (answer, mark, last)
    assert frame.put(answer) == text
    assert frame.put("X") == frame.before + "X" + frame.after
    assert frame.mark_alone(answer) == last


def test_texts_that_say_the_same():
    assert fold("1,000.0") == fold("1000")
    assert fold("\\dfrac{1}{2}") == fold("0.5") == fold("$\\frac12$")
    assert say_same("x = 3", "$3$")
    assert say_same(" New  York", "newyork")
    assert not say_same("12", "21")
    assert say_same([1, 2], [1, 2])


def test_a_solution_is_found_for_a_reward_that_names_no_form():
    task = PLANTED["form_pays"]
    problem = task.problem("train", 0)
    assert find_solution(task, problem) == f"<answer>{problem.reference}</answer>"
    boxed = PLANTED["any_box"]
    assert find_solution(boxed, problem) == f"\\boxed{{{problem.reference}}}"
    gcd = tasks.get("gcd")
    assert find_solution(gcd, gcd.problem("train", 0)) == gcd.solution(gcd.problem("train", 0))


@pytest.mark.parametrize(
    ("name", "one"),
    [
        ("gcd", True),
        ("binary_search", True),
        ("dates", True),
        ("zebra", True),
        ("sudoku", False),
        ("diophantine", False),
        ("function_synthesis", False),
        ("sql_query", False),
    ],
)
def test_a_verifier_says_whether_several_answers_may_be_right(name, one):
    assert has_one_answer(tasks.get(name)) == one
