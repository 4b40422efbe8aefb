"""`palaestra verify`."""

import pytest
from palaestra.trainer.cli.main import main as palaestra
from palaestra.trainer.cli.verify import main
from palaestra.verifiers.math import explain


@pytest.mark.parametrize(
    ("argv", "status", "says"),
    [
        ([r"\frac{1}{2}", "0.5"], 0, "verdict    correct"),
        (["x=3", "y=3"], 1, "verdict    wrong"),
        (["3.14159", "3.14", "--tolerance", "0.01"], 0, "decided by exact"),
        (["--", "-3", "-3.0"], 0, "correct"),
        (["1", ""], 1, "no_answer"),
    ],
)
def test_prints_the_verdict_the_values_and_the_stage(argv, status, says, capsys):
    assert main(argv) == status
    assert says in capsys.readouterr().out


def test_missing_arguments_are_a_sentence(capsys):
    assert palaestra(["verify", "1"]) == 2
    says = "palaestra: Still required: answer. `palaestra verify --help` lists the options."
    assert capsys.readouterr().err.strip() == says


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (r"\frac{1}{2}", "1/2"),
        (r"-\frac{\sqrt3}{4}", "-sqrt(3)/4"),
        (r"\frac{x+1}{x^2y}", "(x + 1)/(x^2y)"),
        (r"2x^2-3x+1", "2x^2 - 3x + 1"),
        (r"-(a-b)", "-(a - b)"),
        (r"\frac{1}{2}x", "x/2"),
        (r"2^{n+1}", "2^(n + 1)"),
        (r"x\cdot 2", "x·2"),
        (r"e^{-x^2}", "e^(-x^2)"),
        (r"(-2)^3", "(-2)^3"),
        (r"1\pm\sqrt5", "1 + sqrt(5), 1 - sqrt(5)"),
        (r"[1,2)\cup(3,\infty)", "[1, 2) ∪ (3, ∞)"),
        ("x > 2", "x ∈ (2, ∞)"),
        (r"x=1,\ y=\frac12", "x = 1, y = 1/2"),
        (r"150\text{ cm}", "3/2 m"),
        (r"45^\circ", "45°"),
        (r"k\pi, k\in\mathbb{Z}", "nπ, for every integer n"),
        ("3:30 PM", "15:30"),
    ],
)
def test_values_are_printed_as_a_reader_writes_them(written, shown):
    assert explain(written, "1").reference == shown
