"""Programs that cheat are programs, slips are slips, and the examples of a prompt are learned by heart."""

import ast

import pytest
from palaestra.tasks import Problem
from palaestra.tasks.core.programs import fence
from palaestra.tasks.core.proofs.probes import make_cases
from palaestra.tasks.core.proofs.programs import (
    CHEATS_AS_A_KIND,
    make_program_probes,
    mutate_program,
)
from palaestra.verifiers import code

from .planted import plant, solve_program

SOURCE = "def f(a, b):\n    if a < b and a > 0:\n        return a + 1\n    return [b, a % 2]\n"


def ask(rng, level):
    return Problem(
        f"Write double(x). ({rng.randrange(10**6)})\n\n```python\nassert double(2) == 4\n```",
        {"entry_point": "double", "tests": ["assert double(2) == 4", "assert double(5) == 10"]},
        {
            "wrong_solutions": ["def double(x):\n    return x + 2"],
            "right_solutions": ["def double(x):\n    return x + x"],
        },
    )


@pytest.fixture
def case():
    from dataclasses import replace

    task = replace(plant(code(), ask), solve=solve_program)
    return make_cases(task, [task.problem("train", 0)])[0]


def test_every_cheat_is_a_program_about_the_function(case):
    probes = list(make_program_probes(case))
    cheats = [probe.text for probe in probes if probe.kind == CHEATS_AS_A_KIND]
    assert len(cheats) >= 15
    for text in cheats:
        source = text.removeprefix("```python\n").removesuffix("\n```")
        ast.parse(source)
        assert "{name}" not in source
        assert "{{" not in source


def test_the_sandbox_turns_down_every_one_and_takes_the_right_one(case):
    probes = list(make_program_probes(case))
    assert {probe.kind for probe in probes} == {
        CHEATS_AS_A_KIND,
        "the shown examples by heart",
        "a program known to be wrong",
        "another program known to be right",
    }
    for probe in probes:
        score = case.task.score(probe.text, case.problem)
        assert (score.passed, score.abstained) == (probe.right, False), probe.text


def test_slips_of_a_program():
    found = mutate_program(SOURCE, 20)
    assert len({*found}) == len(found) >= 7
    assert all(ast.dump(ast.parse(text)) != ast.dump(ast.parse(SOURCE)) for text in found)
    assert any("a <= b" in text for text in found)
    assert any("a - 1" in text for text in found)
    assert any("return None" in text for text in found)
    assert len(mutate_program(SOURCE, 3)) == 3
    assert mutate_program("def f(:") == []


def test_tests_turn_slips_down(case):
    slips = mutate_program(case.frame.answer)
    assert slips
    assert not any(case.task.score(fence(slip), case.problem).passed for slip in slips)
