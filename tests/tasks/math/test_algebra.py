"""The references of problems of algebra and calculus, found again by sympy."""

import re
from fractions import Fraction

import sympy
from palaestra.verifiers.arithmetic import evaluate

from .drawn import X, answer_of, draw, read_sympy


def test_equations_are_solved():
    for problem in draw("linear_equations"):
        left, right = map(read_sympy, problem.key.split("="))
        assert sympy.solve(left - right, X) == [sympy.Rational(answer_of(problem))], problem.text
    for problem in draw("polynomial_equations"):
        left, right = map(read_sympy, problem.key.split("="))
        found = {read_sympy(root) for root in problem.reference["solutions"]}
        real = sympy.Poly(left - right, X).real_roots()
        assert {sympy.nsimplify(sympy.simplify(root)) for root in found} == {
            sympy.simplify(root) for root in real
        }


def test_systems_and_diophantine_equations_hold_for_their_references():
    for problem in draw("linear_systems"):
        values = dict(part.split(" = ") for part in answer_of(problem).split(", "))
        for line in problem.text.split("\n")[1:-1]:
            for name, value in values.items():
                line = re.sub(rf"(\d*){name}", lambda m, value=value: f"{m[1] or 1}*({value})", line)
            left, right = line.split(" = ")
            assert evaluate(left).value == int(right), problem.text
        matrix = sympy.Matrix([row[:-1] for row in problem.reference["rows"]])
        assert matrix.det() != 0
    for problem in draw("diophantine"):
        a, b, total = map(int, re.findall(r"(\d+)x \+ (\d+)y = (\d+)", problem.text)[0])
        x, y = map(int, re.findall(r"-?\d+", answer_of(problem)))
        assert a * x + b * y == total
        assert ("positive" in problem.text) == problem.reference["positive"]
        assert not problem.reference["positive"] or min(x, y) > 0


def test_polynomials_are_those_of_sympy():
    for problem in draw("expand"):
        assert sympy.expand(read_sympy(problem.key)) == sympy.expand(read_sympy(answer_of(problem))), (
            problem.text
        )
    for problem in draw("factor"):
        whole = sympy.expand(read_sympy(problem.key))
        assert whole == sympy.expand(read_sympy(answer_of(problem)))
        _, factors = sympy.factor_list(whole)
        assert sum(count for _, count in factors) == problem.reference["count"], problem.text
    for problem in draw("antiderivatives"):
        assert sympy.expand(sympy.diff(read_sympy(answer_of(problem)), X) - read_sympy(problem.key)) == 0
    for problem in draw("definite_integrals"):
        text, low, high = problem.key.rsplit(" ", 2)
        value = sympy.integrate(sympy.expand(read_sympy(text)), (X, int(low), int(high)))
        assert value == sympy.Rational(problem.reference), problem.text


def test_derivatives_are_those_of_sympy():
    for problem in draw("derivatives", count=8):
        ours, theirs = read_sympy(problem.reference), sympy.diff(read_sympy(problem.key), X)
        for point in (sympy.Rational(1, 3), sympy.Rational(7, 5)):
            gap = sympy.N((ours - theirs).subs(X, point), 30)
            assert abs(gap) < 1e-15 * (1 + abs(sympy.N(theirs.subs(X, point), 30))), problem.text


def holds(text: str, x: Fraction) -> bool:
    """An inequality at a point where nothing is divided by 0."""
    text = re.sub(r"\|([^|]*)\|", r"abs(\1)", text).replace("^", "**")
    text = re.sub(r"(\d)\s*(?=[x(])", r"\1*", text)
    return eval(text, {"x": x, "abs": abs, "__builtins__": {}})


def test_inequalities_hold_where_their_references_say():
    for problem in draw("inequalities"):
        ends = [Fraction(end) for end in re.findall(r"-?\d+(?:/\d+)?", answer_of(problem))]
        tried = {end + Fraction(shift, 1000) for end in ends for shift in (-1, 0, 1)} | {
            Fraction(-(10**6)),
            Fraction(10**6),
        }
        for x in tried:
            try:
                expected = holds(problem.key, x)
            except ZeroDivisionError:  # nothing holds at a pole
                expected = False
            said = re.sub(r"-?\d+/\d+", lambda m: f"Fraction('{m[0]}')", answer_of(problem))
            found = eval(said, {"x": x, "Fraction": Fraction, "__builtins__": {}})
            assert expected == found, (problem.text, answer_of(problem), x)
