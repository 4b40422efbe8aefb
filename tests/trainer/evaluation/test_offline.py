"""Completions that were sampled somewhere else: what is read of a file, what is counted, what is refused."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from palaestra.sandbox import SandboxUnavailable
from palaestra.tasks import DataError, export_rows, get, names
from palaestra.tasks.core.reach import find_reach
from palaestra.trainer.evaluation.offline import FileScores, Verdict, score_file

GCD = get("gcd")
IDS = [problem.id for problem in GCD.problems("test", 4)]
RIGHT = {problem.id: GCD.solution(problem) for problem in GCD.problems("test", 4)}
Write = Callable[..., Path]
FIXTURES = {path.stem: path for path in (Path(__file__).parents[2] / "fixtures").iterdir()}


def is_here(name: str) -> bool:
    task = get(name)
    if name in FIXTURES or find_reach(task) not in ("procedural", "packaged"):
        return name in FIXTURES
    try:
        task.source.size(task.splits[-1])
    except DataError:  # the package that holds its data is not installed
        return False
    return task.episode is None


BUNDLED = [name for name in names() if is_here(name)]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(*rows: Any, name: str = "said.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


@pytest.mark.parametrize("name", BUNDLED)
@pytest.mark.parametrize("columns", ["id alone", "all"])
def test_the_reference_solutions_of_exported_problems_pass(write: Write, name: str, columns: str):
    task = get(name, {"data": str(FIXTURES[name])} if name in FIXTURES else {})
    split = "test" if "test" in task.splits else task.splits[0]
    problems = task.problems(split, 6)
    rows = json.loads(json.dumps(export_rows(task, split, 6), default=str))
    assert [row["id"] for row in rows] == [problem.id for problem in problems]
    kept = {"id"} if columns == "id alone" else {*rows[0]}
    answers = [
        {**{key: row[key] for key in kept}, "completions": [task.solution(problem), ""]}
        for row, problem in zip(rows, problems, strict=True)
    ]
    try:
        scores = score_file(task, write(*answers))
    except SandboxUnavailable as failure:
        pytest.skip(str(failure))
    assert (scores.problems, scores.completions, scores.passed) == (len(rows), 2 * len(rows), len(rows))
    assert (scores.pass_at[1].value, scores.pass_at[2].value, scores.by_reference) == (0.5, 1, 0)


def test_at_least_the_tasks_that_need_no_network_make_the_round_trip():
    assert {"addition", "countdown", "frozen_lake_plan", "gcd", "ice_cream", "small_numbers", "sorting"} <= {
        *BUNDLED
    }


def test_texts_lists_chats_and_several_rows_of_a_problem_are_read(write: Write):
    first, second = IDS[:2]
    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": RIGHT[second]}]
    path = write(
        {"id": first, "completion": RIGHT[first]},
        {"id": first, "completions": ["no", RIGHT[first]]},
        {"id": second, "completion": chat},
        {"id": second, "completions": [chat, [{"role": "assistant", "content": None}]]},
        {"id": first, "completion": "", "completions": None},
    )
    verdicts: list[Verdict] = []
    scores = score_file(GCD, path, keep=verdicts.append)
    assert (scores.completions, scores.problems, scores.passed) == (7, 2, 4)
    assert [(verdict["id"], verdict["sample"]) for verdict in verdicts] == [
        *[(first, 0), (first, 1), (first, 2)], *[(second, 0), (second, 1), (second, 2), (first, 3)],
    ]  # fmt: skip
    assert scores.pass_at[1].value == pytest.approx((2 / 4 + 2 / 3) / 2)
    assert scores.extracted == pytest.approx(4 / 7)


def test_pass_at_k_counts_the_problems_with_k_completions(write: Write):
    path = write(
        {"id": IDS[0], "completions": ["no", RIGHT[IDS[0]]]},
        {"id": IDS[1], "completion": RIGHT[IDS[1]]},
    )
    scores = score_file(GCD, path)
    assert sorted(scores.pass_at) == [1, 2]
    assert (scores.pass_at[2].value, scores.pass_at[2].problems, scores.pass_at[2].excluded) == (1, 1, 1)
    assert "1 problem(s) with fewer than 2 scored completions left out" in str(scores)
    assert scores.pass_at[1].low < 0.75 < scores.pass_at[1].high


def test_another_column_may_hold_the_completions(write: Write):
    path = write({"id": IDS[0], "response": RIGHT[IDS[0]], "completion": "of another model"})
    assert score_file(GCD, path, column="response").passed == 1


def test_a_reference_of_its_own_serves_where_no_id_is_the_tasks(write: Write):
    path = write(
        {"reference": "6", "completion": "<answer>6</answer>"},
        {
            "id": "mine/7",
            "prompt": "gcd?",
            "reference": "6",
            "metadata": None,
            "completion": "<answer>5</answer>",
        },
    )
    scores = score_file(GCD, path)
    assert (scores.problems, scores.passed, scores.by_reference) == (2, 1, 2)
    assert "2 row(s) judged by the reference that they bring" in str(scores)


def test_a_reference_that_is_not_the_problems_is_refused(write: Write):
    """Whoever samples can't say what is right; and options that differ from the export's would fail all."""
    path = write({"id": IDS[0], "reference": "999", "completion": "<answer>999</answer>"})
    with pytest.raises(DataError, match=r"line 1: its reference is '999', that of gcd/test/0/1/0 is '\d+'"):
        score_file(GCD, path)


def test_problems_of_a_data_set_that_have_no_row_are_named(write: Write):
    train = get("ice_cream")
    path = write(*({"id": f"ice_cream/train/{row}", "completion": " cream"} for row in range(90)))
    scores = score_file(train, path)
    assert scores.missing == {"train": 6}
    assert "6 problem(s) of the train split have no completion" in str(scores)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"id": IDS[0], "response": "x"}, "no completion and no completions; it has id, response"),
        ({"id": IDS[0], "completion": "x", "completions": ["y"]}, "both completion and completions"),
        ({"id": IDS[0], "completion": 3}, "completion is 3, which is no text"),
        ({"id": IDS[0], "completion": None}, "no completion and no completions"),
        ({"id": IDS[0], "completions": []}, "which is no text"),
        ({"id": IDS[0], "completions": ["a", 3]}, "which is no text"),
        ({"id": "gcd/test/0/1", "completion": "x"}, "has no problem 'gcd/test/0/1'"),
        ({"id": "gsm8k/test/3", "completion": "x"}, "has no problem 'gsm8k/test/3'"),
        ({"id": "gcd/test/0/99/0", "completion": "x"}, "there is no level 99"),
        ({"completion": "x"}, "neither id nor reference"),
        ({"completion": "x", "reference": "1", "metadata": "m"}, "metadata is 'm'"),
        ([1], "a row is a JSON object"),
    ],
)
def test_a_bad_row_names_file_and_line_and_loses_nothing_before_it(write: Write, row: Any, says: str):
    path = write({"id": IDS[1], "completion": RIGHT[IDS[1]]}, row)
    verdicts: list[Verdict] = []
    with pytest.raises(DataError) as refused:
        score_file(GCD, path, keep=verdicts.append)
    assert f"{path}, line 2" in str(refused.value)
    assert says in str(refused.value)
    assert [verdict["passed"] for verdict in verdicts] == [True]


def test_a_file_that_is_missing_or_empty_is_a_sentence(write: Write, tmp_path: Path):
    with pytest.raises(DataError, match="There is no file"):
        score_file(GCD, tmp_path / "none.jsonl")
    with pytest.raises(DataError, match=r"holds no row\. A row has `completion`"):
        score_file(GCD, write())


def test_the_lines_for_a_person(write: Write):
    scores = score_file(GCD, write({"id": IDS[0], "completion": RIGHT[IDS[0]]}))
    assert isinstance(scores, FileScores)
    assert str(scores).splitlines() == [
        "gcd: 1 completions of 1 problems, 1 passed",
        "  pass@1   100.0 % [20.7, 100.0]   (95 % interval)",
        f"  answer extracted 100.0%, unscorable 0.0%, mean reward {scores.reward}",
        f"  criteria: number {scores.criteria['number']}, answer_tag {scores.criteria['answer_tag']}",
    ]
    assert scores.reward.value == 1 > scores.reward.low


def test_each_criterion_has_its_mean_over_problems(write: Write):
    tagged = RIGHT[IDS[0]].replace("<answer>", "\\boxed{").replace("</answer>", "}")
    rows = [{"id": IDS[0], "completions": [RIGHT[IDS[0]], tagged]}, {"id": IDS[1], "completion": "no"}]
    scores = score_file(GCD, write(*rows))
    assert {name: mean.value for name, mean in scores.criteria.items()} == {"number": 0.5, "answer_tag": 0.25}


def test_no_torch_is_needed(write: Write):
    path = write({"id": IDS[0], "completion": "x"})
    code = (
        "import sys, palaestra; palaestra.score_file('gcd', sys.argv[1]);"
        "print({'torch', 'transformers', 'datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
