"""What verdicts, scores, completions and rubrics look like to a person, whatever stands in them."""

import palaestra as pal
import pytest
from palaestra.verifiers.display import ROWS, SHOWN, quote, write_html, write_html_table
from palaestra.verifiers.types import Misreturned, Status, partial

HOSTILE = "<script>alert(1)</script>&\x1b[31m\u202e\ud800"
RUBRIC = pal.Rubric(pal.criteria.number(), pal.criteria.answer_tag(weight=0.1))
SCORE = RUBRIC.score(pal.Completion("<answer>42</answer> <b>"), pal.Problem("7 * 6?", "42"))


@pytest.mark.parametrize(
    ("thing", "shown"),
    [
        (pal.verify("1/2", "0.5"), "Verdict(correct, answer='0.5')"),
        (partial(0.25, "x", "A quarter."), "Verdict(partial 0.25, answer='x', 'A quarter.')"),
        (Misreturned(Status.ERROR, 0.0, None, "No."), "Misreturned(error, 'No.')"),
        (pal.Completion("Hi"), "Completion('Hi', stop)"),
        (pal.Completion("Hi", ids=[4, 5], finish_reason="length"), "Completion('Hi', 2 tokens, length)"),
        (SCORE, "Score(reward 0.909, passed, number: correct, answer_tag: malformed)"),
        (pal.Score(0.0, False, abstained=True), "Score(reward 0, abstained)"),
        (RUBRIC, "Rubric(number 0.909, answer_tag 0.0909)"),
    ],
)
def test_a_repr_is_short_and_says_what_matters(thing: object, shown: str):
    assert repr(thing) == shown


def test_a_long_text_is_cut_in_a_repr_and_its_length_said():
    assert repr(pal.Completion("a" * 5000)) == f"Completion('{'a' * 60}'... (5,000 characters), stop)"
    assert quote({"x": "y" * 100}, 10) == "{'x': 'yyy..."


def test_nothing_in_a_text_acts():
    for html in (
        write_html(HOSTILE),
        pal.Completion(HOSTILE)._repr_html_(),
        pal.Score(0.0, False, {HOSTILE: partial(0.5, HOSTILE, HOSTILE)})._repr_html_(),
        write_html_table(HOSTILE, (HOSTILE,), [(HOSTILE,)]),
    ):
        assert "<script" not in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;\\x1b[31m\\u202e\\ud800" in html
        assert html.encode("utf-8").isascii()
    assert repr(pal.Completion(HOSTILE)).isascii()
    assert repr(pal.Completion(HOSTILE)).isprintable()


def test_a_notebook_is_not_flooded():
    assert len(write_html("<" * 10**6)) < 5 * SHOWN + 200
    assert "1,000,000 characters" in write_html("<" * 10**6)
    table = write_html_table("t", ("n",), [(n,) for n in range(10 * ROWS)])
    assert table.count("<tr>") == ROWS + 1
    assert f"{9 * ROWS} more" in table


def test_a_score_and_a_rubric_are_tables():
    assert SCORE._repr_html_().count("<tr>") == 3
    assert "malformed" in SCORE._repr_html_()
    assert "decides `passed`" in RUBRIC._repr_html_()


@pytest.mark.parametrize(
    ("text", "extracted"), [("<answer>42</answer>", True), ("<answer>1</answer>", True), ("no", False)]
)
def test_whether_an_answer_was_found(text: str, extracted: bool):
    score = RUBRIC.score(pal.Completion(text), pal.Problem("7 * 6?", "42"))
    assert score.extracted is extracted


def test_what_became_of_a_completion():
    assert (SCORE.outcome, pal.Score(0.0, False).outcome) == ("passed", "not passed")


def test_an_episode_is_a_table_with_policy_and_world_apart():
    turns = (
        pal.Turn("policy", HOSTILE),
        pal.Turn("world", f"{HOSTILE} ho", "tool"),
        pal.Turn("policy", "b", reward=0.25),
    )
    said = pal.Completion(f"{HOSTILE}\nb", turns=turns, finish_reason="raised", fault=HOSTILE, state=HOSTILE)
    html = said._repr_html_()
    assert html.count("<tr>") == 3 + 4
    assert "<script" not in html
    assert html.encode("utf-8").isascii()
    cell = '<td style="text-align: left"><span style="white-space: pre-wrap">'
    assert f"{cell}1</span></td>{cell}</span></td>{cell}(tool) &lt;script" in html
    assert "It ended (raised)" in html
    assert "3 turns, raised" in repr(said)
    assert "2, earned 0.25" in said._repr_html_()
    long = pal.Completion("x", turns=(pal.Turn("policy", "x"),) * 1000)
    assert long._repr_html_().count("<tr>") == 2 + 1 + ROWS
    assert "951 turns left out" in long._repr_html_()
