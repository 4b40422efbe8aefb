"""Problems that stand in two sets are found, by their words and by 13 of them in a row."""

import json

from palaestra import tasks
from palaestra.tasks import Problem
from palaestra.tasks.core.proofs import overlap
from palaestra.tasks.core.proofs.overlap import Index, KnownSets, list_grams, list_words, measure_overlap
from palaestra.tasks.core.proofs.proof import Overlap

LONG = "a farmer has 12 cows and buys 7 more at the market before noon on the last day of may"


def test_words_and_grams():
    words = list_words("What is 3 + 4?  (Ünit!)")
    assert words == ("what", "is", "3", "4", "ünit")
    assert len(list(list_grams(words))) == 1
    assert len(list(list_grams(list_words(LONG)))) == len(LONG.split()) - 12
    assert list(list_grams(())) == []


def test_exact_and_partial_copies_are_told_apart():
    index = Index.of("known", [Problem(LONG), Problem("What is 3 + 4?")])
    problems = [
        Problem(LONG.upper() + "!"),
        Problem("Once upon a time " + LONG + " there was rain"),
        Problem("what is 3 4"),
        Problem("what is 3 5"),
        Problem(" ".join(LONG.split()[:12])),
    ]
    shared = index.count_shared(problems, patterned=False)
    assert (shared.of, shared.exact, shared.grams) == (5, 2, 3)
    made = [Problem("  what is 3 + 4?"), Problem("What is 3 - 4?")]  # the same words, another sign
    found = index.count_shared(made, patterned=True)
    assert (found.of, found.exact, found.grams) == (2, 1, None)


def test_a_training_set_with_problems_of_a_known_set_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "none"))
    rows = [{"question": f"{LONG}, {n} times over?", "answer": f"#### {n}"} for n in range(20)]
    (tmp_path / "gsm8k").mkdir()
    for split, own in (("train", rows[:15]), ("test", rows[15:])):
        (tmp_path / "gsm8k" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    svamp = [
        {
            "Body": rows[index]["question"],
            "Question": "",
            "Answer": "1",
            "Type": "x",
            "ID": str(index),
            "Equation": "",
        }
        for index in (15, 16)
    ]
    (tmp_path / "svamp.jsonl").write_text("".join(json.dumps(row) + "\n" for row in svamp))
    data = {"gsm8k": str(tmp_path / "gsm8k"), "svamp": str(tmp_path / "svamp.jsonl")}
    known = KnownSets([tasks.get(name) for name in ("gsm8k", "svamp", "aime24", "gcd")], data)
    assert known.names == ("gsm8k", "svamp", "aime24")
    assert [known.read(name) is None for name in known.names] == [False, False, True]
    assert known.read("svamp") is known.read("svamp")
    found = measure_overlap(tasks.get("gsm8k").with_options({"data": data["gsm8k"]}), known)
    assert (found.held_out.of, found.held_out.exact, found.held_out.grams) == (5, 0, 5)
    assert [(shared.name, shared.of, shared.grams) for shared in found.known] == [("svamp", 15, 15)]
    assert found.not_here == ("aime24",)


def test_a_set_is_read_when_it_is_asked_for_and_once(monkeypatch):
    read = []
    monkeypatch.setattr(overlap, "draw", lambda task, split, count: read.append(task.name) or [])
    monkeypatch.setattr(overlap, "find_reach", lambda task: "here")
    known = KnownSets([tasks.get("svamp"), tasks.get("gsm8k"), tasks.get("gcd")])
    assert measure_overlap(tasks.get("aime24"), known) == Overlap()  # nothing is trained on there
    assert read == []
    for _ in range(2):
        measure_overlap(tasks.get("sorting"), known)
    assert read == ["sorting", "sorting", "svamp", "gsm8k", "sorting", "sorting"]
