"""Problems as the families draw them, and their references read by sympy."""

import random
import re

import sympy
from palaestra.tasks import get

X = sympy.Symbol("x")


DRAWN = 15


def draw(name: str, levels=None, count: int = DRAWN):
    source, rng = get(name).source, random.Random(f"references {name}")
    return [
        source.generate(rng, level) for level in levels or range(1, source.levels + 1) for _ in range(count)
    ]


def answer_of(problem) -> str:
    return problem.reference["answer"] if isinstance(problem.reference, dict) else problem.reference


def read_sympy(text: str):
    """Our own text: `3x^2 (x + 1)` as sympy has it."""
    transformations = (
        *sympy.parsing.sympy_parser.standard_transformations,
        sympy.parsing.sympy_parser.implicit_multiplication,
        sympy.parsing.sympy_parser.convert_xor,
    )
    names = {"x": X, "y": sympy.Symbol("y"), "n": sympy.Symbol("n"), "e": sympy.E, "C": 0, "ln": sympy.log}
    text = re.sub(r"(?<=[\dx)])(?=e\^|sin|cos|ln)", "*", text).replace("xy", "x*y")
    return sympy.parsing.sympy_parser.parse_expr(text, names, transformations)
