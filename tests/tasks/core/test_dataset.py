"""The loader of data sets: formats, options, errors with file and line, splits that share nothing."""

import gzip
import json
from dataclasses import replace

import pytest
from palaestra.tasks import DataError, Hub, Problem, TaskError, UserError, dataset_task
from palaestra.tasks.core import hub
from palaestra.tasks.core.hub import Reachability
from palaestra.tasks.core.task import REGISTERED
from palaestra.verifiers import Rubric, number

ROWS = [{"q": f"{n}+1?", "a": n + 1} for n in range(5)]


@pytest.fixture
def toy():
    @dataset_task(
        "toy",
        rubric=Rubric(number()),
        splits={"train": "train", "test": "test"},
        columns=("q", "a"),
        sizes={"test": 5},
    )
    def toy(row, *, largest: int = 99):
        """A toy."""
        return Problem(prompt=row["q"], reference=row["a"]) if row["a"] <= largest else None

    yield toy
    del REGISTERED["toy"]


def lines(rows=ROWS):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def write_parquet(path):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)


FORMATS = {
    "test.jsonl": lambda path: path.write_bytes(lines()),
    "test.json": lambda path: path.write_text(json.dumps(ROWS)),
    "lines.json": lambda path: path.write_bytes(b"\xef\xbb\xbf\n" + lines()),
    "test.jsonl.gz": lambda path: path.write_bytes(gzip.compress(lines())),
    "test.parquet": write_parquet,
}


@pytest.mark.parametrize("name", FORMATS)
def test_reads_each_format(toy, tmp_path, name):
    FORMATS[name](tmp_path / name)
    found = toy.with_options({"data": str(tmp_path / name)}).problems("test")
    assert [(p.id, p.prompt, p.reference) for p in found] == [
        (f"toy/test/{n}", f"{n}+1?", n + 1) for n in range(5)
    ]


def test_none_leaves_a_row_out_and_ids_keep_the_row_number(toy, tmp_path):
    (tmp_path / "test.jsonl").write_bytes(lines(ROWS[::-1]))
    found = toy.with_options({"data": str(tmp_path), "largest": "2"}).problems("test")
    assert [p.id for p in found] == ["toy/test/3", "toy/test/4"]


def test_train_loses_what_test_holds_in_the_same_folder(toy, tmp_path):
    (tmp_path / "test.jsonl").write_bytes(lines(ROWS[:2]))
    (tmp_path / "train.jsonl").write_bytes(lines())
    local = toy.with_options({"data": str(tmp_path)})
    assert local.source.size("train") == 3
    assert not {p.key for p in local.problems("train")} & {p.key for p in local.problems("test")}


def test_one_file_serves_one_split_only(toy, tmp_path):
    (tmp_path / "all.jsonl").write_bytes(lines())
    local = toy.with_options({"data": str(tmp_path / "all.jsonl")})
    assert local.source.size("train") == 5
    with pytest.raises(DataError, match=r"already serves the train split"):
        local.problem("test", 0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lines() + b'{"q": \n', r"test\.jsonl, line 6: not valid JSON"),
        (lines(ROWS[:1]) + b"\n[1]\n", r"test\.jsonl, line 3: a row is a JSON object"),
        (lines(ROWS[:1]) + b'{"q": "x", "b": 1}\n', r"test\.jsonl, line 2: no column 'a'.*the row has q, b"),
        (b'{"q": "\xff", "a": 1}\n', r"line 1: not UTF-8"),
        (b'{"q": ' + b"[" * 100_000 + b"\n", r"line 1: "),
        (b'{"q": "x", "a": null}\n', r"line 1: task toy can't read this row"),
        (b"", r"holds no problem"),
    ],
)
def test_a_broken_file_is_a_sentence_with_its_line(toy, tmp_path, content, says):
    (tmp_path / "test.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=says):
        toy.with_options({"data": str(tmp_path)}).problem("test", 0)


def test_missing_paths_and_unknown_endings(toy, tmp_path):
    with pytest.raises(DataError, match="no file or folder"):
        toy.with_options({"data": str(tmp_path / "none")}).problem("test", 0)
    with pytest.raises(DataError, match=r"has no file test\.jsonl"):
        toy.with_options({"data": str(tmp_path)}).problem("test", 0)
    (tmp_path / "x.txt").write_text("q,a")
    with pytest.raises(DataError, match="ending"):
        toy.with_options({"data": str(tmp_path / "x.txt")}).problem("test", 0)
    (tmp_path / "x.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match=r"not gzipped, as its name says\. Rename it"):
        toy.with_options({"data": str(tmp_path / "x.jsonl.gz")}).problem("test", 0)


def as_copied(toy, folder, splits, config=None):
    source = replace(toy.source, split_names=splits, hub=Hub("them/toy", config=config), data=str(folder))
    return replace(toy, source=source)


def list_prompts(task, split):
    return [task.source._load(split)[n].prompt for n in range(task.source.size(split))]


def test_a_copy_of_the_hub_s_folder_is_read_as_it_is(toy, tmp_path):
    for config, first in (("main", 0), ("other", 100)):
        (tmp_path / config).mkdir()
        for part, split in ((0, "train"), (1, "train"), (0, "valid")):
            number = first + 10 * part + 50 * (split == "valid")
            rows = [{"q": f"{number}?", "a": 1}]
            (tmp_path / config / f"{split}-0000{part}-of-00002.jsonl").write_bytes(lines(rows))
    (tmp_path / "dataset_infos.json").write_text("{}")
    task = as_copied(toy, tmp_path, {"train": "train", "validation": "valid"}, "main")
    assert list_prompts(task, "train") == ["0?", "10?"]
    assert list_prompts(task, "validation") == ["50?"]
    both = as_copied(toy, tmp_path, {"train": "train"}, ("main", "other"))
    assert list_prompts(both, "train") == ["0?", "10?", "100?", "110?"]
    # without a configuration nobody says which of two folders it is
    with pytest.raises(DataError, match=r"has no file train\.jsonl"):
        as_copied(toy, tmp_path, {"train": "train", "test": "test"}).problem("train", 0)


def test_the_hub_s_name_of_a_split_serves_where_ours_is_not_there(toy, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train-00000-of-00001.jsonl").write_bytes(lines())
    assert len(as_copied(toy, tmp_path, {"test": "train"}).problems("test")) == 5
    with pytest.raises(DataError, match=r"has no file test\.jsonl"):  # its one file is of another split
        as_copied(toy, tmp_path, {"test": "test"}).problem("test", 0)
    (tmp_path / "data" / "train-00000-of-00001.jsonl").rename(tmp_path / "data" / "toyv2.jsonl")
    assert len(as_copied(toy, tmp_path, {"test": "test"}).problems("test")) == 5


def test_files_of_the_hub_s_other_splits_are_not_taken_for_one_of_ours(toy, tmp_path):
    for place, split in enumerate(("train", "train_hard", "validation", "test")):
        (tmp_path / f"{split}-00000-of-00001.jsonl").write_bytes(lines([{"q": f"{place}?", "a": 1}]))
    task = as_copied(toy, tmp_path, {"train": "train", "test": "validation"})
    assert list_prompts(task, "train") == ["0?"]
    assert list_prompts(task, "test") == ["2?"]


def test_without_a_hub_or_offline_the_advice_is_named(toy, monkeypatch):
    with pytest.raises(DataError, match="--data"):
        toy.problem("test", 0)
    import datasets

    def offline(*args, **kwargs):
        raise ConnectionError("Couldn't reach the hub")

    monkeypatch.setattr(hub, "check_hub", lambda *_asked: Reachability("here"))
    monkeypatch.setattr(datasets, "load_dataset", offline)
    source = toy.source.__class__(
        "toy", toy.source.to_problem, {"test": "test"}, ("q", "a"), Hub("nobody/nothing")
    )
    with pytest.raises(DataError, match=r"nobody/nothing could not be loaded.*--data"):
        source.at("test", 0)


def test_hub_rows_become_problems(toy, monkeypatch):
    import datasets

    asked = []

    def fake(path, config, split, revision):
        asked.append((path, config, split, revision))
        return datasets.Dataset.from_list(ROWS[:2] if split == "test" else ROWS)

    monkeypatch.setattr(hub, "check_hub", lambda *_asked: Reachability("here"))
    monkeypatch.setattr(datasets, "load_dataset", fake)
    place = Hub("a/b", "main", "abc")
    splits = {"train": "training", "test": "test"}
    source = toy.source.__class__("toy", toy.source.to_problem, splits, ("q", "a"), place)
    assert [source.size("test"), source.size("train")] == [2, 3]
    assert source.at("test", 1).id == "toy/test/1"
    assert asked == [("a/b", "main", "test", "abc"), ("a/b", "main", "training", "abc")]


def test_options_are_checked(toy, tmp_path):
    with pytest.raises(TaskError, match=r"no option 'larges'.*Did you mean largest"):
        toy.with_options({"larges": 3})
    with pytest.raises(TaskError, match="type int"):
        toy.with_options({"largest": "three"})


def test_declared_sizes_are_for_listings_only(toy, tmp_path):
    assert toy.declared_size("test") == 5
    assert toy.declared_size("train") is None
    (tmp_path / "test.jsonl").write_bytes(lines(ROWS[:2]))
    local = toy.with_options({"data": str(tmp_path)})
    assert (local.declared_size("test"), local.source.size("test")) == (None, 2)
