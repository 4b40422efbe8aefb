"""`palaestra task check`, `card` and `attack` on the command line."""

import json

import pytest
from palaestra.tasks.core.proofs.table import BEGIN, END
from palaestra.trainer.cli.main import main

LEAKY = '''"""A reward with a hole."""
from palaestra.tasks import Problem, task
from palaestra.verifiers import Rubric
def contains(completion, problem):
    return problem.reference in completion.text
def solve(problem):
    return f"<answer>{problem.reference}</answer>"
@task("leaky", rubric=Rubric(contains), instruction="", solve=solve)
def leaky(rng, level):
    a, b = rng.randrange(100, 1000), rng.randrange(100, 1000)
    return Problem(f"{a}+{b}=", str(a + b))
'''


@pytest.fixture
def leaky(tmp_path, forget_tasks):
    path = tmp_path / "leaky.py"
    path.write_text(LEAKY)
    return str(path)


def run(capsys, *argv):
    code = main(["task", *argv])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out, captured.err


def test_check_says_findings_and_figures(capsys):
    code, out, _ = run(capsys, "check", "sorting", "--count", "4")
    assert code == 0
    assert "ok     two different answers fail" in out
    assert "FAILED" not in out
    for figure in ("false positives  0 %", "false negatives  0 %", "a verdict takes", "judged again",
                   "references       0 of", "scripted solver  passes by level 1:",
                   "held out         0 of"):  # fmt: skip
        assert figure in out
    assert "not looked at" in out


def test_check_fails_on_a_reward_with_a_hole(capsys, leaky):
    code, out, _ = run(capsys, "check", leaky, "--count", "4")
    assert code == 1
    assert "FAILED two different answers fail: " in out
    assert "Make the rubric stricter." in out
    code, out, _ = run(capsys, "check", leaky, "--count", "4", "--json")
    proof = json.loads(out)[0]
    assert (code, proof["ok"], proof["task"]) == (1, False, "leaky")
    assert proof["false_positives"]["low"] > 0.1


def test_several_tasks_give_a_table_that_a_page_takes(capsys, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    code, out, err = run(capsys, "check", "addition", "sorting", "--count", "3", "--table", str(page))
    assert code == 0
    assert "ok     addition: 0 of " in out
    assert "| `sorting` | 6 |" in out
    assert "| `sorting` | 6 |" in page.read_text()
    assert "2 of 2 tasks in" in err
    assert "all pass" in err


def test_mistakes_of_a_check_are_sentences(capsys, tmp_path):
    for argv, said in (
        (["check", "gcd", "--all"], "--all checks every task: leave the names out."),
        (["check", "gcd", "gsm8k", "-o", "a=1"], "belong to one task: name it."),
        (["check", "gcd", "--data", "a", "--data", "b"], "Give one file or folder."),
        (["check", "gcd", "gsm8k", "--data", "/no/where"], "there is no /no/where"),
        (["check", "gcd", "--count", "0"], "'0' is not"),
        (["check", "sorting,gcd"], "palaestra task check sorting; palaestra task check gcd"),
        (["card", "sorting,gcd"], "palaestra task check sorting; palaestra task check gcd"),
        (["attack", "sorting,gcd"], "palaestra task attack sorting; palaestra task attack gcd"),
        (["card", "gcd", "--out", str(tmp_path)], "is there already"),
        (["card", "gcd", "--out", "/no/where/card.md"], "There is no folder /no/where"),
        (["attack", "gcd", "--least", "0"], "'0' is not"),
    ):
        try:
            code, _, err = run(capsys, *argv)
        except SystemExit as stop:
            code, err = stop.code, capsys.readouterr().err
        assert code == 2, argv
        assert said in err, (argv, err)


def test_a_card_as_a_page_and_as_json(capsys, tmp_path):
    page = tmp_path / "card.md"
    assert run(capsys, "card", "addition", "--count", "3", "--out", str(page))[0] == 0
    text = page.read_text()
    assert text.startswith("# addition")
    assert "## What is proven" in text
    code, out, _ = run(capsys, "card", "addition", "--count", "3", "--json")
    card = json.loads(out)
    assert (code, card["name"], card["licence"], card["proof"]["ok"]) == (0, "addition", "Apache-2.0", True)


def test_an_attack_finds_the_hole_or_says_that_it_found_none(capsys, leaky):
    code, out, err = run(capsys, "attack", "addition", "--tries", "300")
    assert (code, out) == (0, "addition: none found in 300 tries.\n")
    assert "No policy was trained" in err
    code, out, _ = run(capsys, "attack", leaky, "--tries", "300")
    assert code == 1
    assert "ways to be paid without being right, in 300 tries." in out
    code, out, _ = run(capsys, "attack", leaky, "--tries", "300", "--seed", "3", "--json")
    assert code == 1
    assert json.loads(out)["holes"][0]["examples"][0]["passed"] is True
