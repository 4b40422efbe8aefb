"""Sets made of a model's own right answers: what is kept, what is left out, and that they train."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from palaestra.tasks import Problem, UserError, get
from palaestra.tasks.core.sources import Rows
from palaestra.trainer.cli import task_build
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.curation.build import Choice, build
from palaestra.trainer.sft.pairs import read_pairs

LONG = "A farmer has twelve cows and sells seven of them at the market on Monday; how many are left in all?"


def write(
    folder: Path, problems: dict[str, tuple[str, list[tuple[str, bool]]]], split: str = "train"
) -> Path:
    """An evaluation's folder. problems: id -> (prompt, [(completion, whether it passed)])."""
    folder.mkdir()
    config = EvalConfig.of(task="gcd", model="some/model", split=split)
    (folder / "config.json").write_text(json.dumps(asdict(config)))
    (folder / "facts.json").write_text(
        json.dumps({"command": "eval", "identity": {"facts": {"task": "gcd"}}})
    )
    rows = [
        {
            "id": name, "prompt": prompt, "reference": "6", "sample": sample, "completion": text,
            "finish_reason": "length" if text.endswith("...") else "stop",
            "tokens": len(text.split()), "prompt_tokens": 5,
            "reward": float(passed), "passed": passed, "abstained": text == "abstains",
            "verdicts": {"number": {"status": "correct" if passed else "wrong", "value": float(passed),
                                    "answer": None, "reason": "", "seconds": 0.0}},
        }
        for name, (prompt, said) in problems.items()
        for sample, (text, passed) in enumerate(said)
    ]  # fmt: skip
    (folder / "completions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


ASKED = f"of 12 and 18?\n{get('gcd').instruction}\n"
SAID = {
    "gcd/train/0": ("of 12 and 18?", [("It is 6", True), ("It  is 6", True), ("So 6", True), ("7", False)]),
    "gcd/train/1": ("of 4 and 6?", [("5", False), ("3", False)]),
    "gcd/train/2": ("of 9 and 3?", [("3", True), ("It is 3", True)]),
    "gcd/train/3": (LONG, [("5", True), ("6", False)]),
    "gcd/train/4": ("Of 12  and 18?", [("six", True), ("no", False)]),
    "gcd/train/5": ("of 8 and 4?", [("It is 4, since ...", True), ("abstains", False), ("no", False)]),
}


def held_out() -> object:
    problem = Problem(f"Listen. {LONG}", "5", id="farm/test/0", key="f")
    return Rows("farm", lambda _split: [problem], ("test",))


def read(path: Path) -> list[dict]:
    return pq.read_table(path).to_pylist()


def test_what_passed_is_kept_once_with_where_it_comes_from(tmp_path):
    folder = write(tmp_path / "samples", SAID)
    built = build([folder], tmp_path / "set.parquet", Choice())
    rows = read(built.path)
    assert [row["completion"] for row in rows if row["id"] == "gcd/train/2"] in (
        ["3", "It is 3"],
        ["It is 3", "3"],
    )
    of_first = {row["completion"].replace("  ", " ") for row in rows if row["id"] == "gcd/train/0"}
    assert of_first == {"It is 6", "So 6"}, "white space does not make another text"
    assert {row["id"] for row in rows} == {"gcd/train/0", "gcd/train/2", "gcd/train/3"}
    assert rows[0]["pass_rate"] == 0.75
    assert rows[0] | {"completion": "", "tokens": 0} == {
        "prompt": ASKED, "completion": "", "reference": "6", "id": "gcd/train/0", "task": "gcd",
        "model": "some/model", "source": "samples", "pass_rate": 0.75, "samples": 4, "reward": 1.0,
        "tokens": 0,
    }  # fmt: skip
    counts = built.counts
    assert (counts.problems, counts.without_a_pass, counts.same_prompt, counts.same_text) == (6, 2, 1, 1)
    record = json.loads((tmp_path / "set.json").read_text())
    assert json.loads(pq.read_schema(built.path).metadata[b"palaestra"]) == record
    assert record["counts"]["kept"] == len(rows) == counts.kept


def test_problems_that_are_too_easy_or_known_to_a_test_are_left_out(tmp_path):
    folder = write(tmp_path / "samples", SAID)
    farm = replace(get("gcd"), name="farm", source=held_out())
    built = build([folder], tmp_path / "set.parquet", Choice(0.1, 0.9, per_problem=1), [farm])
    assert {row["id"] for row in read(built.path)} == {"gcd/train/0"}
    assert (built.counts.outside_the_pass_rate, built.counts.contaminated) == (1, 1)
    assert "farm's test split" in str(built)


def test_problems_of_a_generator_are_the_same_only_where_their_signs_are_too(tmp_path):
    task = get("gcd")
    known = task.problems("test", 1)[0].text
    other = next(p.text for p in task.problems("train", 50) if p.text != known)
    said = {
        "gcd/train/0": (known, [("1", True)]),
        "gcd/train/1": (other, [("2", True)]),
        "gcd/train/2": ("#.. S.# of the maze", [("3", True)]),
        "gcd/train/3": (".#. S.. of the maze", [("4", True)]),
    }
    built = build([write(tmp_path / "samples", said)], tmp_path / "set.parquet", Choice(), [task])
    assert [row["completion"] for row in read(built.path)] == ["2", "3", "4"]
    assert (built.counts.contaminated, built.counts.same_prompt) == (1, 0)


def test_what_no_set_can_be_made_of_is_said_before_a_model_is_sampled(tmp_path):
    asked = ["gcd", "--model", str(tmp_path / "no-model"), "--out"]
    with pytest.raises(UserError, match="call it"):
        task_build.main([*asked, str(tmp_path / "set.jsonl")])
    (tmp_path / "there.parquet").touch()
    with pytest.raises(UserError, match="is there already"):
        task_build.main([*asked, str(tmp_path / "there.parquet")])
    with pytest.raises(UserError, match="the test split: a model that is trained on them"):
        task_build.main([*asked, str(tmp_path / "set.parquet"), "--split", "test"])


def test_the_same_seed_keeps_the_same_and_cut_ones_are_kept_when_asked(tmp_path):
    folder = write(tmp_path / "samples", SAID)
    first, second = (
        read(build([folder], tmp_path / f"{n}.parquet", Choice(per_problem=1, finished=False)).path)
        for n in (1, 2)
    )
    assert first == second
    assert any(row["completion"].endswith("...") for row in first)


def test_a_set_is_read_by_sft(tmp_path):
    built = build([write(tmp_path / "samples", SAID)], tmp_path / "set.parquet", Choice())
    pairs = read_pairs([str(built.path)])
    assert len(pairs) == built.counts.kept
    assert pairs[0].prompt == ASKED


def test_what_can_t_be_built_is_said(tmp_path):
    folder = write(tmp_path / "samples", {"gcd/train/1": SAID["gcd/train/1"]})
    with pytest.raises(UserError, match="Nothing is left to keep"):
        build([folder], tmp_path / "set.parquet", Choice())
    assert not (tmp_path / "set.parquet").exists()
    with pytest.raises(UserError, match="call it"):
        build([folder], tmp_path / "set.jsonl", Choice())
    with pytest.raises(UserError, match="test split"):
        build([write(tmp_path / "test", SAID, split="test")], tmp_path / "set.parquet", Choice())
    (tmp_path / "set.parquet").touch()
    with pytest.raises(UserError, match="is there already"):
        build([folder], tmp_path / "set.parquet", Choice())
    with pytest.raises(UserError, match="0 <= LOW"):
        Choice(0.9, 0.1)
    with pytest.raises(UserError, match="no run and no evaluation"):
        build([tmp_path], tmp_path / "new.parquet", Choice())
