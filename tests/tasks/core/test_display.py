"""What problems and tasks look like to a person."""

import palaestra as pal

HOSTILE = "<script>alert(1)</script>"


def test_a_problem_is_short_in_a_terminal_and_whole_in_a_notebook():
    problem = pal.Problem("q" * 500, reference={"a": 1}, metadata={"reference": HOSTILE}, id="mine/test/3")
    assert repr(problem) == f"Problem('mine/test/3', '{'q' * 60}'... (500 characters), reference={{'a': 1}})"
    html = problem._repr_html_()
    assert "q" * 500 in html
    assert "&lt;script&gt;" in html
    assert HOSTILE not in html
    assert html.count("<tr>") == 3


def test_a_chat_is_shown_turn_by_turn():
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": HOSTILE}]
    problem = pal.Problem(chat, "1")
    assert problem._repr_html_().count("<tr>") == 3
    assert HOSTILE not in problem._repr_html_()
    broken = pal.Problem([{"role": "user"}], "1")  # its mistake is told where it is used
    assert "&#x27;role&#x27;: &#x27;user&#x27;" in broken._repr_html_()
    assert repr(broken) == "Problem([{'role': 'user'}], reference='1')"


def test_a_task_says_what_it_is():
    gcd = pal.tasks.get("gcd")
    assert repr(gcd) == "Task('gcd', math, train, test, Rubric(number 0.909, answer_tag 0.0909))"
    html = gcd._repr_html_()
    assert "Greatest common divisor" in html
    assert "&lt;answer&gt;" in html
    assert gcd.facts["licence"] == "Apache-2.0"
