"""Data of one's own as a task: what a stranger's file becomes, whatever its form and its columns."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from palaestra.tasks import DataError, UserError, dataset_task
from palaestra.tasks.core import registry
from palaestra.tasks.core.proofs.prove import prove
from palaestra.tasks.data.own import make_task, open_task
from palaestra.tasks.data.spec import DataSpec
from palaestra.verifiers import Rubric, answer_tag, number

ROWS = [{"question": f"What is {n} plus {n}?", "answer": str(2 * n)} for n in range(60)]


def write(path: Path, rows: Any = ROWS) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def own(data: Any, **said: Any):
    return make_task(DataSpec(data, **said))


def first(rows: list[dict[str, Any]], **said: Any):
    """The problem that one row becomes."""
    task = own(rows, test_share=1, **said)
    return task.problem("test", 0)


def write_csv(path: Path, **form: Any) -> None:
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, ["question", "answer"], **form)
        writer.writeheader()
        writer.writerows(ROWS)


def write_parquet(path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)


FORMS = {
    "mine.jsonl": write,
    "mine.ndjson": write,
    "mine.json": lambda path: path.write_text(json.dumps(ROWS)),
    "table.json": lambda path: path.write_text(json.dumps({"version": 1, "data": ROWS}, indent=1)),
    "mine.jsonl.gz": lambda path: path.write_bytes(
        gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode())
    ),
    "mine.csv": write_csv,
    "semicolons.csv": lambda path: write_csv(path, delimiter=";"),
    "mine.tsv": lambda path: write_csv(path, delimiter="\t"),
    "mine.parquet": write_parquet,
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_problems_on_the_same_sides(tmp_path, name):
    FORMS[name](tmp_path / name)
    task, whole = own(tmp_path / name), own(ROWS)
    assert task.name == name.partition(".")[0]
    for split in ("train", "test"):
        found = [(p.prompt, p.reference) for p in task.problems(split)]
        assert sorted(found) == sorted((p.prompt, p.reference) for p in whole.problems(split))
    assert len(task.problems("train")) + len(task.problems("test")) == 60
    assert task.score(
        "<answer>2</answer>", next(p for p in task.problems("train") if p.reference == "2")
    ).passed


def test_cells_of_a_csv_stay_texts_and_may_hold_lines_and_quotation_marks(tmp_path):
    text = 'question,answer,note\n"Say ""007"",\nplease",007,\nNext,1.50,x\n'
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    task = own(tmp_path / "a.csv", test_share=1, verify="exact")
    one, two = task.problems("test")
    assert (one.prompt, one.reference, one.metadata) == ('Say "007",\nplease', "007", {"note": None})
    assert (two.reference, two.metadata) == ("1.50", {"note": "x"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("question,answer\na,1\nb,2,3\n", r"bad\.csv, line 3: 3 cells under 2 columns"),
        ('question,answer\na,1\n"b"x,2\n', r"bad\.csv, line 3: not valid CSV"),
        ('question,answer\na,1\n"b,2\n', r"bad\.csv, line 3: not valid CSV"),
        ("a,a\n1,2\n", r"line 1: two columns are called 'a'"),
        ("question,answer\n", r"has no row"),
        ("", r"has no row"),
        ("question,answer\n\n,\n", r"has no row"),
    ],
)
def test_a_broken_csv_is_a_sentence_with_its_line(tmp_path, text, says):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(DataError, match=says):
        own(tmp_path / "bad.csv")


def test_objects_of_datasets_and_pandas_and_lists():
    import datasets
    import pandas

    table = datasets.Dataset.from_list(ROWS)
    both = datasets.DatasetDict({"train": table.select(range(40)), "test": table.select(range(40, 60))})
    assert len(own(table).problems("train")) == len(own(ROWS).problems("train"))
    assert len(own(pandas.DataFrame(ROWS)).problems("test")) == len(own(ROWS).problems("test"))
    assert [len(own(both).problems(split)) for split in ("train", "test")] == [40, 20]
    assert own({"train": ROWS[:40], "dev": ROWS[40:]}).splits == ("train", "test")
    with pytest.raises(DataError, match="not a int"):
        own(5)
    with pytest.raises(DataError, match="no row"):
        own([])


def test_a_saved_dataset_is_a_folder_of_its_splits(tmp_path):
    import datasets

    table = datasets.Dataset.from_list(ROWS)
    datasets.DatasetDict({"train": table, "test": table.select(range(3))}).save_to_disk(
        str(tmp_path / "saved")
    )
    task = own(tmp_path / "saved")
    assert (task.name, task.splits, len(task.problems("test"))) == ("saved", ("train", "test"), 3)
    assert len(task.problems("train")) == 57


CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}]
LAYOUTS = {
    "gsm8k": ({"question": "2+2?", "answer": "It is <<2+2=4>>4.\n#### 1,004"}, {}, "2+2?", "1004"),
    "math": ({"problem": "2+2?", "solution": "So \\boxed{4}."}, {"verify": "math"}, "2+2?", "4"),
    "alpaca": (
        {"instruction": "Add.", "input": "2 2", "output": "4"},
        {"prompt": "{instruction} {input}"},
        "Add. 2 2",
        "4",
    ),
    "verl": (
        {"prompt": CHAT, "reward_model": {"style": "rule", "ground_truth": "4"}, "data_source": "x"},
        {},
        CHAT,
        "4",
    ),
    "trl": ({"prompt": [CHAT[1]], "solution": "4"}, {}, "2+2?", "4"),
    "messages": ({"messages": [*CHAT, {"role": "assistant", "content": "4"}]}, {}, CHAT, "4"),
    "sharegpt": (
        {
            "conversations": [
                {"from": "human", "value": "2+2?"},
                {"from": "gpt", "value": "<answer>4</answer>"},
            ]
        },
        {},
        "2+2?",
        "4",
    ),
    "chat with an answer beside it": (
        {"messages": [*CHAT, {"role": "assistant", "content": "Four."}], "answer": 4},
        {},
        CHAT,
        "4",
    ),
    "a chat in a cell": ({"prompt": json.dumps(CHAT), "answer": "4"}, {}, CHAT, "4"),
    "a table as text": (
        {"question": "2+2?", "extra": '{"gold": "4"}'},
        {"answer": "extra.gold"},
        "2+2?",
        "4",
    ),
    "numbers": ({"Question": "2+2?", "Answer": 4.0}, {}, "2+2?", "4.0"),
    "tiny numbers": ({"Question": "2+2?", "Answer": 1e-07}, {}, "2+2?", "0.0000001"),
    "a list of one": ({"question": "2+2?", "final_answer": ["4"]}, {"verify": "math"}, "2+2?", "4"),
    "a list": ({"question": "roots?", "answer": ["1", "2"]}, {"verify": "math"}, "roots?", ["1", "2"]),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_columns_that_data_sets_have_are_read(name):
    row, said, prompt, reference = LAYOUTS[name]
    problem = first([row], **said)
    assert (problem.prompt, problem.reference) == (prompt, reference)


def test_a_worked_solution_is_what_sft_imitates():
    import random

    task = own([LAYOUTS["gsm8k"][0]], test_share=1)
    shown = task.demonstration(task.problem("test", 0), random.Random(0))
    assert shown == "It is 4.\n<answer>1004</answer>"
    assert task.score(shown, task.problem("test", 0)).reward == 1


def test_a_misspelt_column_names_the_nearest_and_an_unknown_table_its_columns(tmp_path):
    write(tmp_path / "mine.jsonl")
    with pytest.raises(
        DataError, match=r"no column 'quesion' \(--prompt\); it has .*\. Did you mean question\?"
    ):
        own(tmp_path / "mine.jsonl", prompt="quesion", verify="number").source.size("train")
    with pytest.raises(DataError, match=r"Did you mean reward_model\.ground_truth"):
        first([LAYOUTS["verl"][0]], answer="reward_model.groundtruth")
    with pytest.raises(
        DataError, match=r"no column is known to hold the prompt; it has foo, bar.*--prompt foo"
    ):
        own([{"foo": "1", "bar": "2"}])
    with pytest.raises(DataError, match=r"compares with a reference.*it has question.*--answer"):
        own([{"question": "2+2?"}], verify="math").source.size("test")


@pytest.mark.parametrize(
    ("answers", "judged"),
    [
        (["4", "1/2", "-3.5", "1,000"], "number"),
        ([4, 5.5], "number"),
        ([["assert f(1) == 2"], ["assert g(2) == 3"]], "code"),
    ],
)
def test_a_verifier_is_guessed_where_the_answers_show_it(answers, judged):
    task = own([{"question": f"f{n}?", "answer": answer} for n, answer in enumerate(answers)])
    assert task.source.judge.name == judged
    assert task.source.guessed


def test_where_nothing_shows_the_verifier_the_command_is_written_out(tmp_path):
    path = write(tmp_path / "mine.jsonl", [{"question": "Who?", "answer": "Ada Lovelace"}])
    with pytest.raises(
        DataError, match=r"such as 'Ada Lovelace'.*For example: --data .*mine\.jsonl --verify math"
    ):
        own(path)


@pytest.mark.parametrize(
    ("verify", "says"),
    [
        ("mth", r"Did you mean math\?"),
        ("regex:(", r"no regular expression"),
        ("regex:", r"names no pattern"),
        ("./nowhere.py:reward", r"no reward file nowhere\.py"),
        ("json:nothing", r"json has no 'nothing'"),
        ("", r"say how answers are judged"),
    ],
)
def test_a_verifier_that_is_none_is_a_sentence(verify, says):
    with pytest.raises(UserError, match=says):
        own([{"question": "Who?", "answer": "Ada"}], verify=verify)


def test_a_pattern_is_matched_by_the_whole_final_answer():
    rows = [{"question": "How much?", "answer": "3.5"}]
    task = own(rows, test_share=1, verify=r"regex:(?i){answer}( dollars)?")
    problem = task.problem("test", 0)
    passed = {text: task.score(text, problem).passed for text in (
        "<answer>3.5 Dollars</answer>", "<answer>3.5</answer>", "<answer>3x5</answer>", "3.5",
        "<answer>3.5, 4</answer>",
    )}  # fmt: skip
    assert list(passed.values()) == [True, True, False, False, False]
    free = own([{"question": "How much?"}], test_share=1, verify=r"regex:\d+")
    assert free.score("<answer>12</answer>", free.problem("test", 0)).passed


REWARD = """
from palaestra.verifiers import Criterion, Rubric, number

def my_reward(completion, problem):
    return float(len(completion.text) == problem.reference["length"])

whole = Rubric(number())
"""


def test_a_reward_of_ones_own_gets_the_answer_as_it_stands_and_every_column(tmp_path):
    (tmp_path / "reward.py").write_text(REWARD)
    rows = [{"question": "Say three", "answer": {"length": 3}, "topic": "x"}]
    task = own(rows, test_share=1, verify=f"{tmp_path}/reward.py:my_reward")
    problem = task.problem("test", 0)
    assert task.score("abc", problem).reward == 1
    assert problem.metadata == {"answer": {"length": 3}, "topic": "x"}
    assert (
        own([{"question": "2?", "answer": 2}], verify=f"{tmp_path}/reward.py:whole").rubric.correctness.name
        == "number"
    )
    (tmp_path / "one.py").write_text(REWARD.partition("whole")[0])
    assert own(rows, verify=f"{tmp_path}/one.py").rubric.correctness.name == "my_reward"
    assert own(rows, verify=Rubric(number())).rubric.correctness.name == "number"
    assert own(rows, verify=lambda completion, problem: 1.0).rubric.criteria


def test_a_file_is_read_anew_only_when_it_changed(tmp_path):
    path = write(tmp_path / "mine.jsonl")
    spec = DataSpec(str(path))
    assert open_task(spec) is open_task(spec)
    before = open_task(spec)
    write(path, ROWS[:30])
    assert open_task(spec) is not before


def test_a_task_file_says_the_same_and_finds_its_data_beside_itself(tmp_path, forget_tasks, monkeypatch):
    (tmp_path / "there").mkdir()
    write(tmp_path / "there" / "mine.jsonl")
    (tmp_path / "there" / "mine.py").write_text(
        '"""Sums of mine."""\nfrom palaestra.tasks import dataset_task\n'
        'dataset_task("mine", data="mine.jsonl", prompt="question", verify="math", licence="CC0")\n'
    )
    monkeypatch.chdir(tmp_path)
    task = registry.get("there/mine.py")
    assert (task.name, task.summary, task.licence, task.kind) == ("mine", "Sums of mine.", "CC0", "math")
    assert [p.reference for p in task.problems("test")] == [
        p.reference for p in own(ROWS, verify="math").problems("test")
    ]
    assert prove(task).ok
    other = write(tmp_path / "other.jsonl", ROWS[:5])
    assert len(registry.get("there/mine.py", {"data": str(other), "test_share": "1"}).problems("test")) == 5


def test_dataset_task_from_python(forget_tasks):
    task = dataset_task("halves", data=ROWS, verify=Rubric(number(), answer_tag(weight=0.1)), kind="math")
    assert registry.get("halves") is task
    with pytest.raises(DataError, match="unexpected keyword argument 'lisence'"):
        dataset_task("halves", data=ROWS, verify="math", lisence="MIT")
    with pytest.raises(DataError, match="say which data"):
        dataset_task("halves")
    with pytest.raises(DataError, match="test_share 0"):
        dataset_task("halves", data=ROWS, verify="math", test_share=0)


UNDECLARED = {
    "aime24",
    "aime25",
    "amc23",
    "minerva",
    "countdown_3to4",
    "livecodebench",
    "skywork_math",
    "zebra_logic",
}  # their authors name no licence that is known to us


def test_kind_and_licence_are_unknown_until_they_are_said():
    task = own([{"question": "Who?", "answer": "Ada"}], verify="exact")
    assert (task.kind, task.licence) == ("unknown", "unknown")
    for name in registry.names():
        bundled = registry.get(name)
        if (bundled.source.option_defaults.get("data"), name) == ("", name) or bundled.origin == "procedural":
            assert bundled.kind != "unknown", name
            assert (bundled.licence != "unknown") == (name not in UNDECLARED), name


CHOICES = {
    "aqua": ({"question": "1+1?", "options": ["A)1", "B)2"], "correct": "B"}, "B"),
    "mmlu": ({"question": "1+1?", "choices": ["1", "2"], "answer": 1}, "B"),
    "arc": (
        {"question": "1+1?", "choices": {"text": ["1", "2"], "label": ["1", "2"]}, "answerKey": "2"},
        "B",
    ),
    "columns": ({"question": "1+1?", "A": "1", "B": "2", "answer": "b"}, "B"),
    "a text": ({"question": "What?", "options": ["Rome", "Paris"], "answer": "Paris"}, "B"),
}


@pytest.mark.parametrize("name", CHOICES)
def test_questions_of_multiple_choice_are_shown_with_their_letters(name):
    row, letter = CHOICES[name]
    task = own([row], test_share=1)
    problem = task.problem("test", 0)
    assert (task.source.judge.name, problem.reference) == ("choice", letter)
    assert "\nA) " in problem.prompt
    assert "\nB) " in problem.prompt
    assert task.score("<answer>B</answer>", problem).reward == 1
    assert not task.score("<answer>A</answer>", problem).passed


def test_the_last_turn_of_the_assistant_is_the_answer_of_a_chat_with_tools():
    chat = [{"role": "user", "content": "2 * 21?"}, {"role": "assistant", "content": "calling"},
            {"role": "tool", "content": "7"}, {"role": "assistant", "content": "42"}]  # fmt: skip
    assert first([{"messages": chat}], verify="number").reference == "42"
    unfinished = [*chat[:2], {"role": "tool", "content": "41"}]
    assert first([{"messages": unfinished}], verify="exact").reference == "calling"


def test_braces_within_a_cell_are_text():
    row = {"body": "Write {question} in braces.", "question": "SECRET?", "answer": "1"}
    problem = first([row], prompt="{body} {question}", verify="number")
    assert problem.prompt == "Write {question} in braces. SECRET?"


TESTS = "assert double(1) == 2\nassert double(21) == 42\nassert double(0) == 0\n"


@pytest.mark.parametrize(
    ("tests", "shown"),
    [(TESTS, "assert double(1) == 2"), (TESTS.splitlines(), "assert double(1) == 2"),
     ("def check(candidate):\n    assert candidate(21) == 42\n", "Name the function `double`.")],
)  # fmt: skip
def test_one_test_is_shown_and_no_other(tests, shown):
    code = "def double(n):\n    return 2 * n\n"
    problem = first([{"prompt": "Double a number.", "tests": tests, "code": code}])
    assert shown in problem.prompt
    assert "42" not in problem.prompt


def test_what_a_card_may_say_of_a_file_holds_no_path(tmp_path):
    path = write(tmp_path / "mine.jsonl") or tmp_path / "mine.jsonl"
    task = own(str(path))
    assert str(tmp_path) not in f"{task.facts}"
    assert task.summary == "Problems from mine.jsonl."
