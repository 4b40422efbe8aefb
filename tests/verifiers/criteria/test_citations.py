"""Sources that a completion cites."""

import pytest
from palaestra import Completion, Problem, Rubric, criteria
from palaestra.verifiers import Status

ROW = {"sources": ["Bees dance.", "Ants dig.", "Owls see."], "bears": ["1", 3]}


def judge(text, row=ROW, **settings):
    return criteria.citations(**settings).check(Completion(text), Problem("p", "", row))


def test_sources_that_are_there_pass_and_invented_ones_do_not():
    for text in ("Bees dance [1].", "Both do [1, 3].", "They dig [2][3] (see [sic] and [a link](http://x.org/9)).",
                 "<think>[9] maybe</think>Bees dance[1]", "All do [1-3].",
                 "All do [1\u20133].", "Some do [1, 2 - 3]."):  # fmt: skip
        assert judge(text).status is Status.CORRECT, text
    for text in (
        "Bees dance [4].",
        "Bees dance [1, 7].",
        "Bees dance [1-7].",
        "Bees dance [3-1].",
        "Bees dance [0].",
        "Bees dance.",
        "Bees [sic] dance.",
    ):
        assert judge(text).status is Status.WRONG, text
    assert judge("Bees dance [1].", least=2).status is Status.WRONG
    assert judge("Bees dance.", least=0).status is Status.CORRECT


@pytest.mark.parametrize("text", ["", "[1]", " [1] [2]. ", "<think>Bees dance [1]."])
def test_marks_alone_say_nothing(text):
    assert judge(text).status is Status.NO_ANSWER


def test_those_that_bear_it_out_are_paid_by_f1_so_that_citing_all_is_not_right():
    values = {
        text: judge(text, wanted="bears").value for text in ("x [1][3]", "x [1]", "x [1][2][3]", "x [2]")
    }
    assert [*values.values()] == pytest.approx([1, 2 / 3, 4 / 5, 0])
    assert judge("x [3, 1]", wanted="bears").status is Status.CORRECT
    assert judge("x [1-3]", wanted="bears").value == pytest.approx(4 / 5)
    assert judge("x", wanted="bears", least=0).status is Status.WRONG


def test_sources_may_have_names_and_case_does_not_count():
    row = {"docs": {"smith2020": "...", "doe21b": "..."}}
    assert judge("Bees dance [Smith2020; doe21b].", row, column="docs").status is Status.CORRECT
    assert judge("Bees dance [smith2021].", row, column="docs").status is Status.WRONG
    assert judge("Bees dance [doe21b] [or so].", row, column="docs").status is Status.CORRECT
    row = {"docs": {"Smith 2020": "...", "Doe, Jane": "..."}}
    for mark in ("Smith 2020", "Doe, Jane", "smith 2020; Smith 2020"):
        assert judge(f"Bees dance [{mark}].", row, column="docs").status is Status.CORRECT


def test_a_row_without_sources_is_the_row_s_fault():
    for row, settings in (({}, {}), ({"sources": "x"}, {}), (ROW, {"wanted": "no"}),
                          ({**ROW, "bears": ["8"]}, {"wanted": "bears"})):  # fmt: skip
        scored = Rubric(criteria.citations(**settings)).score(Completion("x [1]"), Problem("p", "", row))
        assert scored.abstained
    with pytest.raises(ValueError, match="0 or more"):
        criteria.citations(least=-1)
