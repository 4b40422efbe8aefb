"""What is said of data before a run: counts, warnings, errors; and the reading of options and of tests."""

import json
from pathlib import Path
from typing import Any

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.tasks.data.answers import UnusableError, find_base, find_letter, read_options
from palaestra.tasks.data.own import make_task
from palaestra.tasks.data.programs import read_tests
from palaestra.tasks.data.report import describe_example, report, try_solutions
from palaestra.tasks.data.spec import DataSpec

BOTH = ("train", "test")


def rows(start: int, end: int) -> list[dict[str, Any]]:
    return [{"question": f"What is {n} plus {n}?", "answer": str(2 * n)} for n in range(start, end)]


def write(path: Path, made: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    return path


def look(data: Any, needed=BOTH, **said: Any):
    return report(make_task(DataSpec(data, **said)), needed)


def test_guesses_counts_and_lengths_are_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "mine.jsonl", rows(0, 400))
    found = look("mine.jsonl")
    assert (found.warnings, found.errors) == ((), ())
    counts, columns, verifier, lengths = found.facts
    assert counts.startswith("mine.jsonl: train ")
    assert "held out by a hash of their prompts. --test-share says how many." in counts
    assert columns.startswith("Columns: prompt 'question' (guessed), answer 'answer' (guessed).")
    assert verifier == "Verifier: number (guessed: the answers are numbers; --verify says otherwise)."
    assert lengths == "Prompts: 21 characters in the middle, 21 at most."
    named = look("mine.jsonl", prompt="question", answer="answer", verify="math")
    assert "guessed" not in " ".join(named.facts)


def test_the_mark_before_the_answers_is_said():
    made = [{"question": f"{n}?", "answer": f"So.\n#### {n}"} for n in range(40)]
    assert any("follows ####" in line for line in look(made).facts)


def test_duplicates_contradictions_and_overlap_are_warnings(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    twice = [*rows(0, 40), *rows(0, 3), {"question": "What is 5 plus 5?", "answer": "11"}]
    write(folder / "train.jsonl", twice)
    write(folder / "test.jsonl", rows(38, 80))
    found = look(folder)
    assert found.errors == ()
    said = "\n".join(found.warnings)
    assert "3 duplicates in train (" in said
    assert "train.jsonl, lines 41, 42, 43)." in said
    assert "1 prompt with different answers, of which one must be wrong in train (" in said
    assert "2 rows of train are in another split too, and are left out of train: " in said
    assert "train.jsonl, lines 39, 40." in said
    assert [line for line in found.write_lines() if line.startswith("Warning: ")]


def test_what_would_make_training_wrong_is_an_error(tmp_path):
    bad = [*rows(0, 40), {"question": "x", "answer": "about five"}, {"question": "", "answer": "1"}]
    found = look(write(tmp_path / "bad.jsonl", bad))
    (error,) = found.errors
    assert error.startswith("2 rows can't be used. ")
    assert "bad.jsonl, line 41): The reference 'about five'" in error
    assert "--verify math" in error
    with pytest.raises(UserError, match="2 rows"):
        found.refuse()
    skipped = look(tmp_path / "bad.jsonl", bad_rows="skip")
    assert skipped.errors == ()
    assert any("2 rows can't be used" in line and line.endswith("Left out.") for line in skipped.warnings)


def test_splits_that_are_empty_or_not_there_are_errors_with_a_way_out(tmp_path):
    assert (
        "has no train split; it has test. --split test trains"
        in look(write(tmp_path / "test.jsonl", rows(0, 9))).errors[0]
    )
    assert "--test-share 1 holds all of it out" in look(rows(0, 9), test_share=1).errors[0]
    assert "at --test-share 0.1: there are too few rows" in look(rows(0, 1)).errors[0]
    folder = tmp_path / "set"
    folder.mkdir()
    write(folder / "train.jsonl", rows(0, 4))
    write(folder / "test.jsonl", rows(0, 9))
    assert "all of its 4 rows are in another split too" in look(folder).errors[0]
    (folder / "test.jsonl").write_text("")
    assert "The test split of" in look(folder).errors[0]


def test_training_on_a_test_file_is_warned_of(tmp_path):
    path = write(tmp_path / "test.jsonl", rows(0, 400))
    assert any("measures on" in line for line in look(path, split="test").warnings)


def test_an_example_is_shown_with_a_right_completion():
    lines = describe_example(make_task(DataSpec(rows(0, 40))), "test")
    assert lines[-1].startswith("a right completion: <answer>")
    own = make_task(DataSpec(rows(0, 40), verify=lambda completion, problem: 1.0))
    assert not any("right completion" in line for line in describe_example(own, "test"))


OPTIONS = {
    "plain": (["21", "22"], ("21", "22"), ()),
    "lettered": (["A)21", "B) 22"], ("21", "22"), ()),
    "bracketed": (["(A) x", "(B) y"], ("x", "y"), ()),
    "one that begins with a letter": (["A. Smith", "Jones"], ("A. Smith", "Jones"), ()),
    "arc": ({"text": ["x", "y"], "label": ["1", "2"]}, ("x", "y"), ("1", "2")),
    "tables": ([{"label": "A", "text": "x"}, {"label": "B", "text": "y"}], ("x", "y"), ("A", "B")),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_are_read_as_data_sets_have_them(name):
    value, texts, labels = OPTIONS[name]
    found = read_options(value)
    assert (found.texts, found.labels) == (texts, labels)


@pytest.mark.parametrize("value", ["A, B", ["one"], [], ["x", None], 5, {"a": 1}, ["x"] * 27])
def test_what_are_no_options_is_said(value):
    with pytest.raises(UnusableError):
        read_options(value)


@pytest.mark.parametrize(
    ("value", "base", "letter"),
    [
        ("B", "none", "B"), ("b", "none", "B"), ("(B)", "none", "B"), ("B.", "none", "B"),
        ("Paris", "none", "B"), ("paris", "none", "B"),
        (1, "from 0", "B"), ("1", "from 0", "B"), (1, "from 1", "A"), (["C"], "none", "C"),
    ],
)  # fmt: skip
def test_the_right_option_is_named_by_letter_number_or_text(value, base, letter):
    assert find_letter(value, read_options(["Rome", "Paris", "Bonn"]), base) == letter


@pytest.mark.parametrize("value", ["D", 3, -1, "London", "", None, "AB"])
def test_an_answer_that_is_no_option_is_said(value):
    with pytest.raises(UnusableError):
        find_letter(value, read_options(["Rome", "Paris", "Bonn"]), "from 0")
    assert find_letter("D", None, "none") == "D"


def test_numbers_of_options_are_places_or_texts_by_what_all_rows_say():
    four, digits = read_options(["w", "x", "y", "z"]), read_options(["1", "2", "9"])
    assert find_base([1, 4, 2], [four] * 3) == "from 1"
    assert find_base([0, 3, 2], [four] * 3) == "from 0"
    assert find_base(["A", "B"], [four] * 2) == "none"
    assert find_base([1, 0], [digits] * 2) == "from 0"
    assert find_base([1, 9], [digits] * 2) == "texts"
    assert find_base(["1", "2"], [digits] * 2) == "texts"
    assert find_base([1, 2], [digits] * 2) == "from 0"
    assert find_letter(1, digits, "from 0") == "B"
    assert find_letter(1, digits, "texts") == "A"
    assert find_letter("2", read_options({"text": ["x", "y"], "label": ["1", "2"]}), "none") == "B"
    sums = [2, 3, 3, 2, 1]
    moved = [read_options([str(n + k) for k in (-1, 0, 1, 2)]) for n in sums]
    assert find_base(sums, moved) == "texts"
    assert [find_letter(n, each, "texts") for n, each in zip(sums, moved, strict=True)] == ["B"] * 5


def test_numbers_that_may_count_from_0_or_from_1_are_refused():
    four = read_options(["w", "x", "y", "z"])
    assert find_base([1, 2, 3, 2, 1, 3], [four] * 6) == find_base(["1", "3"], [four] * 2) == "unclear"
    with pytest.raises(UnusableError, match="from 0 or from 1"):
        find_letter(2, four, "unclear")
    assert find_letter("B", four, "unclear") == "B"


SOLUTION = "def double(x):\n    return 2 * x\n"
TESTS = {
    "asserts": ("Write a function.", ["assert double(2) == 4"], SOLUTION),
    "one text": ("Write a function.", "assert double(2) == 4\nassert double(0) == 0", SOLUTION),
    "json": ("Write a function.", '["assert double(2) == 4"]', ""),
    "a check": (
        "def double(x):\n    '''Twice x.'''\n",
        "def check(candidate):\n    assert candidate(2) == 4\n",
        "    return 2 * x\n",
    ),
    "calls": ("Write double.", {"inputs": [[2], [0]], "outputs": [4, 0], "fn_name": "double"}, SOLUTION),
    "stdin": ("Read, double.", {"inputs": ["2\n"], "outputs": ["4\n"]}, "print(2 * int(input()))"),
}  # fmt: skip


@pytest.mark.parametrize("name", TESTS)
def test_tests_are_read_as_data_sets_have_them_and_the_solution_passes(name):
    prompt, tests, solution = TESTS[name]
    row = {"question": prompt, "tests": tests, "solution": solution, "entry_point": "double"}
    task = make_task(DataSpec([row], answer="tests", verify="code", test_share=1))
    problem = task.problem("test", 0)
    right = f"```python\n{problem.metadata['solution'] or SOLUTION}\n```"
    assert task.score(right, problem).passed
    assert not task.score("```python\ndef double(x):\n    return x + 1\n```", problem).passed
    assert task.kind == "code"


def test_a_test_is_shown_where_nothing_else_names_the_function():
    coded = read_tests({}, "Double a number.", ["assert double(2) == 4"], SOLUTION)
    assert coded.prompt.endswith("```python\nassert double(2) == 4\n```")
    assert read_tests({}, "Write double.", ["assert double(2) == 4"], "").prompt == "Write double."


@pytest.mark.parametrize(
    "tests", [[], "", None, "assert (", ["assert 1 == 1"], {"a": 1}, [5], {"inputs": [], "outputs": []}]
)
def test_tests_that_cant_be_read_are_said(tests):
    with pytest.raises(UnusableError):
        read_tests({}, "Write it.", tests, "")


def test_solutions_of_code_are_tried():
    row = {"question": "Write double.", "tests": ["assert double(2) == 4"], "code": SOLUTION}
    wrong = {**row, "question": "Write double again.", "code": SOLUTION.replace("2", "3")}
    spec = {"verify": "code", "test_share": 1}
    assert try_solutions(make_task(DataSpec([row], **spec))) == []
    (warning,) = try_solutions(make_task(DataSpec([row, wrong], **spec)))
    assert warning.startswith("1 of 2 solutions that were tried do not pass their tests. data, row 1: ")
    bare = {name: value for name, value in row.items() if name != "code"}
    assert "No column holds programs" in try_solutions(make_task(DataSpec([bare], **spec)))[0]
    assert try_solutions(make_task(DataSpec(rows(0, 9)))) == []


def test_references_that_cant_be_read_are_counted_first_whatever_each_says(tmp_path):
    bad = [{"question": f"{n}?", "answer": f"about {n}"} for n in range(12)]
    path = write(tmp_path / "bad.jsonl", [*rows(0, 40), *bad])
    (error,) = look(path, verify="number").errors
    assert "12 rows can't be used. 12 references can't be read by the verifier number (" in error
    assert "bad.jsonl, lines 41, 42, 43, ...): The reference 'about 0' is not a number" in error


def test_a_reward_that_judges_nothing_is_an_error(tmp_path):
    def mine(completion, problem):
        return problem.metadata["nowhere"]

    path = write(tmp_path / "mine.jsonl", rows(0, 40))
    (error,) = look(path, verify=mine).errors
    assert "raised KeyError" in error


def test_a_chat_that_is_a_text_and_a_role_that_nobody_knows_are_named(tmp_path):
    texts = [{"messages": "user: hi", "answer": str(n)} for n in range(9)]
    (error,) = look(write(tmp_path / "texts.jsonl", texts)).errors
    assert "'messages' holds a text, where a chat is a list of messages, each with role and content" in error
    odd = [{"messages": [{"role": "usr", "content": f"{n}?"}], "answer": str(n)} for n in range(9)]
    (error,) = look(write(tmp_path / "odd.jsonl", odd)).errors
    assert "the role 'usr' is not known; give system, user or assistant" in error


def test_all_missing_columns_are_named_at_once_with_those_that_are_there(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("frage,antwort\nWas ist 1 + 1?,2\n")
    with pytest.raises(UserError) as refused:
        look(path, prompt="question", answer="answer")
    said = (
        "no columns 'question' (--prompt), 'answer' (--answer); it has frage, antwort. Did you mean antwort?"
    )
    assert said in str(refused.value)


def test_duplicates_on_both_sides_of_a_file_are_counted_together(tmp_path):
    found = look(write(tmp_path / "mine.jsonl", [*rows(0, 60), *rows(0, 60)]))
    assert any(warning.startswith("60 duplicates in train and test (") for warning in found.warnings)
