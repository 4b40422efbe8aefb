"""References of real benchmarks: each is read and equals itself; different ones of GSM8K are different."""

import json
from pathlib import Path

import pytest
from palaestra.verifiers import math_equal
from palaestra.verifiers.math.values import Words
from read_text import read_text

DATA = Path(__file__).parents[4] / "shared" / "data"
UNREADABLE = {"olympiadbench": 3}  # prose with formulas; they are compared as text


def rows(path: str) -> list[dict]:
    file = DATA / path
    if not file.is_file():
        pytest.skip(f"needs ../shared/data/{path}")
    text = file.read_text(encoding="utf-8")
    return json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]


def references(name: str) -> list[str]:
    match name:
        case "gsm8k":
            found = rows("gsm8k/train.jsonl") + rows("gsm8k/test.jsonl")
            return [row["answer"].rpartition("####")[2].strip() for row in found]
        case "svamp":
            return [str(row["Answer"]) for row in rows("svamp/SVAMP.json")]
        case "olympiadbench":
            return [row["final_answer"][0] for row in rows("olympiadbench/test.jsonl")]
        case "theoremqa":
            return [str(row["Answer"]) for row in rows("theoremqa/theoremqa_test.json")]
    return [str(row["target"]) for row in rows("gsm_hard/gsmhardv2.jsonl")]


@pytest.mark.parametrize("name", ["gsm8k", "svamp", "olympiadbench", "theoremqa", "gsm_hard"])
def test_every_reference_is_read_and_equals_itself(name):
    texts = references(name)
    assert [text for text in texts if not math_equal(text, f" {text} ").correct] == []
    words = {text for text in texts if isinstance(read_text(text), Words)} - {"True", "False"}
    assert len(words) <= UNREADABLE.get(name, 0)


def test_no_two_different_answers_of_gsm8k_are_equal():
    texts = sorted(set(references("gsm8k")), key=lambda text: int(text.replace(",", "")))
    values = [int(text.replace(",", "")) for text in texts]
    clashes = [
        (a, b)
        for index, a in enumerate(texts)
        for j, b in enumerate(texts[index + 1 : index + 40], index + 1)
        if math_equal(a, b).correct != (values[index] == values[j])
    ]
    assert clashes == []
    firsts = {read_text(text) for text in texts}
    assert len(firsts) == len(set(values))
