"""Splits of one's own data: whose they are, what is held out, and rows that can't be used."""

import json
from pathlib import Path
from typing import Any

import pytest
from palaestra.tasks import DataError, TaskError
from palaestra.tasks.core import hub
from palaestra.tasks.core.hub import Reachability
from palaestra.tasks.core.lookup import ProblemsById
from palaestra.tasks.data.own import make_task
from palaestra.tasks.data.places import find_split, name_file, open_place
from palaestra.tasks.data.spec import DataSpec
from palaestra.tasks.data.table import Fault, describe_faults


def rows(start: int, end: int) -> list[dict[str, Any]]:
    return [{"question": f"What is {n} plus {n}?", "answer": str(2 * n)} for n in range(start, end)]


def write(path: Path, made: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    return path


def own(data: Any, **said: Any):
    return make_task(DataSpec(data, **{"verify": "number", **said}))


def prompts(task, split: str) -> set[str]:
    return {problem.prompt for problem in task.problems(split)}


def test_one_file_is_divided_by_the_prompts_alone():
    """The same problem is on the same side however many others there are, in whatever order, and twice."""
    whole = own(rows(0, 400))
    test = prompts(whole, "test")
    assert 20 <= len(test) <= 60
    assert not test & prompts(whole, "train")
    half = own([*rows(200, 400)[::-1], *rows(200, 400)])
    assert prompts(half, "test") == {
        prompt for prompt in test if prompt in {r["question"] for r in rows(200, 400)}
    }
    assert half.source.size("test") == 2 * len(prompts(half, "test"))
    spaced = own([{**row, "question": f"  {row['question'].replace(' ', '  ')}\n"} for row in rows(0, 400)])
    assert len(prompts(spaced, "test")) == len(test)
    assert len(prompts(own(rows(0, 400), test_share=0.5), "test")) > 150


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_small_file_has_a_held_out_problem_too(count):
    task = own(rows(0, count), test_share=1e-9)
    assert (task.source.size("test"), task.source.size("train")) == (1, count - 1)


def test_a_test_share_of_one_tests_on_everything():
    task = own(rows(0, 5), test_share=1)
    assert task.splits == ("test",)
    assert task.source.size("test") == 5


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (["train.jsonl", "test.jsonl"], {"train": "train", "test": "test"}),
        (["train.jsonl", "dev.jsonl"], {"train": "train", "test": "validation"}),
        (["train.jsonl", "valid.jsonl", "test.jsonl"],
         {"train": "train", "test": "test", "validation": "validation"}),
        (["training.jsonl", "eval.jsonl"], {"train": "train", "test": "validation"}),
        (["my-train-v2.jsonl", "my-test-v2.jsonl"], {"train": "train", "test": "test"}),
        (["train-00000-of-00002.jsonl", "train-00001-of-00002.jsonl", "test-00000-of-00001.jsonl"],
         {"train": "train", "test": "test"}),
        (["train/a.jsonl", "test/b.jsonl"], {"train": "train", "test": "test"}),
        (["data/train-0.jsonl", "data/test-0.jsonl"], {"train": "train", "test": "test"}),
        (["problems.jsonl"], {"train": "all", "test": "all"}),
        (["test.jsonl"], {"test": "test"}),
    ],
)  # fmt: skip
def test_a_folder_has_a_file_a_split_under_the_usual_names(tmp_path, files, splits):
    for number, name in enumerate(files):
        write(tmp_path / "set" / name, rows(20 * number, 20 * number + 20))
    task = own(tmp_path / "set")
    assert {split: origin.name for split, origin in task.source.origins.items()} == splits
    assert sum(len(task.problems(split)) for split in task.splits) == 20 * len(files)


def test_files_without_a_splits_name_are_said(tmp_path):
    for name in ("train.jsonl", "test.jsonl", "notes.jsonl"):
        write(tmp_path / "set" / name, rows(0, 3))
    assert ["notes.jsonl is not read" in note for note in open_place(str(tmp_path / "set")).notes] == [True]
    write(tmp_path / "none" / "a.jsonl", rows(0, 3))
    write(tmp_path / "none" / "b.jsonl", rows(0, 3))
    with pytest.raises(DataError, match=r"has 2 data files, and no name says its split: a\.jsonl, b\.jsonl"):
        own(tmp_path / "none").source.splits  # noqa: B018 - the reading is what is tested
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "x.txt").touch()
    with pytest.raises(DataError, match=r"holds no data file.*it has x\.txt"):
        own(tmp_path / "empty").source.splits  # noqa: B018


def test_a_file_that_is_called_test_is_not_trained_on_unless_that_is_said(tmp_path):
    path = write(tmp_path / "test.jsonl", rows(0, 50))
    assert own(path).splits == ("test",)
    assert own(path).source.size("test") == 50
    assert own(path, split="test").splits == ("train", "test")
    with pytest.raises(DataError, match="no split 'validation'; it has test"):
        own(path, split="validation").source.splits  # noqa: B018
    with pytest.raises(DataError, match="it has none by name: leave --split out"):
        own(write(tmp_path / "mine.jsonl", rows(0, 9)), split="val").source.splits  # noqa: B018


def test_splits_of_a_hub_id_go_by_their_names_or_are_named(monkeypatch):
    import datasets

    asked = []
    names = {
        "train_sft": rows(0, 9),
        "train_gen": rows(9, 12),
        "test_sft": rows(12, 15),
        "extra": rows(20, 22),
    }
    tables = datasets.DatasetDict({name: datasets.Dataset.from_list(made) for name, made in names.items()})

    def fake(path, config, *, split, revision):
        assert split is None
        asked.append((path, config, revision))
        return tables

    monkeypatch.setattr(datasets, "load_dataset", fake)
    monkeypatch.setattr(hub, "check_hub", lambda *_arguments: Reachability("the hub"))
    with pytest.raises(DataError, match="several splits to train on: train_sft, train_gen"):
        own("org/name").source.splits  # noqa: B018
    task = own("org/name:main@abc", split="train_sft")
    assert task.name == "name"
    assert [task.source.size(split) for split in ("train", "test", "extra")] == [9, 3, 2]
    assert asked[-1] == ("org/name", "main", "abc")
    assert task.source.part("test").places["name/test/0"] == "org/name:main@abc, test_sft row 0"


def test_offline_and_unknown_places_are_sentences(monkeypatch, tmp_path):
    import datasets

    def offline(*args, **kwargs):
        raise ConnectionError("Couldn't reach the hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    monkeypatch.setattr(hub, "check_hub", lambda *_arguments: Reachability("the hub"))
    with pytest.raises(DataError, match=r"could not be loaded from the hub: Couldn't reach.*org/name:config"):
        own("nobody/nothing").source.splits  # noqa: B018
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "mine.jsonl", rows(0, 2))
    with pytest.raises(DataError, match=r"no file or folder min\.jsonl. Did you mean mine\.jsonl\?"):
        own("min.jsonl").source.splits  # noqa: B018
    (tmp_path / "mine.txt").touch()
    with pytest.raises(DataError, match="ending that is not read"):
        own("mine.txt").source.splits  # noqa: B018


def test_rows_of_train_that_are_in_test_are_left_out(tmp_path):
    write(tmp_path / "set" / "train.jsonl", rows(0, 20))
    write(tmp_path / "set" / "test.jsonl", rows(15, 25))
    task = own(tmp_path / "set")
    assert task.source.size("train") == 15
    assert len(task.source.part("train").overlap) == 5
    assert task.source.part("train").overlap[0].endswith("train.jsonl, line 16")


BAD = [
    ({"question": "", "answer": "1"}, "the prompt is empty"),
    ({"question": None, "answer": "1"}, "the prompt is empty"),
    ({"question": float("nan"), "answer": "1"}, "the prompt is empty"),
    ({"question": 5, "answer": "1"}, "the prompt is of type int"),
    ({"question": [{"role": "user"}], "answer": "1"}, "no chat of messages"),
    ({"question": [], "answer": "1"}, "the prompt is empty"),
    ({"question": "x", "answer": None}, "the answer is empty"),
    ({"question": "x", "answer": float("nan")}, "the answer is empty"),
    ({"question": "x", "answer": float("inf")}, "no finite number"),
    ({"question": "x", "answer": {"a": 1}}, "of type dict"),
    ({"question": "x", "answer": "about five"}, "The reference 'about five' is not"),
    ({"question": "x"}, "there is no column 'answer'"),
    ({"answer": "1"}, "there is no column 'question'"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "why"), BAD)
def test_a_row_that_cant_be_used_is_refused_with_its_line_or_skipped(tmp_path, row, why):
    path = write(tmp_path / "mine.jsonl", [*rows(0, 9), row])
    with pytest.raises(DataError, match=r"1 row can't be used\. .*mine\.jsonl, line 10\)?: ") as refused:
        own(path).source.size("train")
    assert why in str(refused.value)
    assert "--bad-rows skip" in str(refused.value)
    skipping = own(path, bad_rows="skip")
    assert skipping.source.size("train") + skipping.source.size("test") == 9


def test_many_bad_rows_are_counted_and_the_first_three_of_a_kind_named():
    said = describe_faults([Fault(f"a.jsonl, line {n}", "the prompt is empty") for n in range(1, 6)])
    assert said == "5 rows can't be used. a.jsonl, lines 1, 2, 3, ...: the prompt is empty (5 rows)."
    mixed = describe_faults([Fault(f"a.jsonl, line {n}", f"fault {n}") for n in range(1, 6)])
    assert mixed.count("fault") == 3


def test_answers_without_the_mark_that_the_others_have_are_bad():
    marked = [{"question": f"{n}?", "answer": f"So.\n#### {n}"} for n in range(5)]
    with pytest.raises(DataError, match="the answer has no ####, as most others have"):
        own([*marked, {"question": "x", "answer": "7"}]).source.size("train")


def test_problems_are_found_by_their_ids_and_splits_that_are_not_there_refused():
    task = own(rows(0, 40))
    problem = task.problem("test", 0)
    assert ProblemsById(task).get(problem.id) == problem
    with pytest.raises(TaskError, match="no split 'dev'; it has train, test"):
        task.problem("dev", 0)
    with pytest.raises(TaskError, match="no levels"):
        task.problem("train", 0, level=1)


@pytest.mark.parametrize(
    ("name", "split", "exact"),
    [
        ("train.jsonl", "train", "train"),
        ("dev.json.gz", "validation", "validation"),
        ("my_test.csv", "test", ""),
        ("latest.jsonl", "", ""),
        ("evaluation.parquet", "validation", "validation"),
        ("contest.jsonl", "", ""),
    ],
)
def test_what_a_name_says_of_its_split(name, split, exact):
    assert (find_split(name), find_split(name, exact=True)) == (split, exact)


def test_names_of_tasks_are_taken_from_files():
    assert name_file(Path("my-set.v2.jsonl.gz")) == "my_set_v2"
    assert name_file(Path("/data/gsm8k/test.jsonl")) == "gsm8k_test"
