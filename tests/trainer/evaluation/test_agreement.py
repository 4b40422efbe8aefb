"""How far a rubric says what people say of the same completions."""

import json
import math

import pytest
from palaestra import score_file
from palaestra.tasks import DataError

ROWS = [  # 42 is right: label beside what the rubric makes of it
    {"reference": "42", "prompt": "a", "completions": ["<answer>42</answer>", "42"], "human": [True, True]},
    {"reference": "42", "prompt": "b", "completion": "<answer>42</answer>", "human": False},
    {"reference": "42", "prompt": "c", "completion": "<answer>41</answer>", "human": 0},
    {"reference": "42", "prompt": "d", "completion": "<answer>42</answer>", "human": None},
]


def score(tmp_path, rows, **settings):
    path = tmp_path / "said.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return score_file("gcd", path, workers=1, **settings)


def test_agreement_and_both_ways_to_err_have_an_interval_over_problems(tmp_path):
    found = score(tmp_path, ROWS, label="human")
    agreement = found.agreement
    assert agreement.labelled == 4
    assert (agreement.agreed.value, agreement.agreed.problems) == (pytest.approx((0.5 + 0 + 1) / 3), 3)
    assert (agreement.wrong_passed.value, agreement.wrong_passed.problems) == (0.5, 2)
    assert (agreement.right_failed.value, agreement.right_failed.problems) == (0.5, 1)
    assert agreement.agreed.low < agreement.agreed.value < agreement.agreed.high
    assert agreement.kappa == pytest.approx(0)  # 2 of 4 agree, as chance has it
    assert "agrees with the labels of 4 completions: 0.500 [" in str(found)


def test_one_verdict_alone_has_no_kappa_and_without_labels_nothing_is_said(tmp_path):
    same = score(tmp_path, [{**ROWS[1], "human": True}], label="human").agreement
    assert (same.agreed.value, same.wrong_passed.problems) == (1, 0)
    assert math.isnan(same.kappa)
    assert "kappa" not in str(same)
    assert "labelled wrong" not in str(same)
    assert score(tmp_path, ROWS).agreement is None
    assert score(tmp_path, ROWS[3:], label="human").agreement is None


def test_a_table_has_labels_as_words(tmp_path):
    path = tmp_path / "said.csv"
    labels = ["true", "False", "1", "0", ""]
    path.write_text(
        "reference,completion,human\n" + "".join(f"42,<answer>42</answer>,{label}\n" for label in labels)
    )
    agreement = score_file("gcd", path, workers=1, label="human").agreement
    assert (agreement.labelled, agreement.agreed.value) == (4, 0.5)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**ROWS[1], "human": "yes"}, r"line 1: the label 'yes' in 'human' is neither true nor false"),
        ({**ROWS[1], "human": 2}, "neither true nor false"),
        ({**ROWS[0], "human": [True]}, "1 labels in 'human' for 2 completions"),
        ({**ROWS[0], "human": True}, "1 labels in 'human' for 2 completions"),
        (
            {"reference": "42", "completion": "42"},
            "no column 'human' with labels; the row has reference, completion",
        ),
    ],
)
def test_other_labels_are_a_sentence_with_their_line(tmp_path, row, said):
    with pytest.raises(DataError, match=said):
        score(tmp_path, [row], label="human")
