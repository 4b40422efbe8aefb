"""Every task in one go: data are found where one says, and what is not here is said."""

import json

import pytest
from palaestra import tasks
from palaestra.tasks.core.errors import UserError
from palaestra.tasks.core.proofs.suite import find_data, prove_all


@pytest.fixture
def chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "none"))
    return [tasks.get(name) for name in ("gcd", "gsm8k", "svamp", "aime24", "aime25")]


def write(path, count=30):
    path.parent.mkdir(exist_ok=True, parents=True)
    rows = [{"question": f"How many are {n} and {path.stem}?", "answer": f"#### {n}"} for n in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_data_are_found_by_the_names_of_tasks(chosen, tmp_path):
    write(tmp_path / "gsm8k" / "train.jsonl")
    write(tmp_path / "gsm8k" / "test.jsonl")
    (tmp_path / "aime24.jsonl").write_text('{"problem": "1+1?", "answer": "2"}\n')
    (tmp_path / "svamp").mkdir()  # one file can't serve two splits
    (tmp_path / "svamp" / "all.json").write_text("[]")
    found = find_data(chosen, [str(tmp_path), f"aime25={tmp_path / 'aime24.jsonl'}"])
    assert found == {
        "gsm8k": str(tmp_path / "gsm8k"),
        "aime24": str(tmp_path / "aime24.jsonl"),
        "aime25": str(tmp_path / "aime24.jsonl"),
    }


def test_mistakes_are_sentences(chosen, tmp_path):
    with pytest.raises(UserError, match="gcd is no task that reads data; they are gsm8k"):
        find_data(chosen, [f"gcd={tmp_path}"])
    with pytest.raises(UserError, match="there is no /no/where"):
        find_data(chosen, ["/no/where"])


def test_what_is_not_here_is_left_out_and_said(chosen, tmp_path):
    write(tmp_path / "gsm8k" / "train.jsonl")
    write(tmp_path / "gsm8k" / "test.jsonl")
    data = {"gsm8k": str(tmp_path / "gsm8k")}
    proofs = {proof.task: proof for proof in prove_all(chosen, 4, data)}
    assert [*proofs] == ["gcd", "gsm8k", "svamp", "aime24", "aime25"]
    assert "its data are not here" in proofs["svamp"].left_out
    assert proofs["gcd"].left_out == ""
    assert {*proofs["gcd"].overlap.not_here} == {"svamp", "aime24", "aime25"}
    assert [shared.name for shared in proofs["gcd"].overlap.known] == ["gsm8k"]
    assert proofs["gsm8k"].overlap.held_out.grams == 0


def test_named_data_that_can_t_be_read_are_a_sentence_before_anything_is_proven(tmp_path):
    (tmp_path / "test.jsonl").write_text('{"question": "1?"}\n')
    with pytest.raises(UserError, match=r"test\.jsonl, line 1: no column 'answer'"):
        next(prove_all([tasks.get("gcd"), tasks.get("amc23")], 1, {"amc23": str(tmp_path)}))
