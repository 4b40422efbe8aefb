"""What the verifiers of mathematics accept, whoever wrote it, and what they refuse."""

import pytest
from palaestra.tasks import Problem, get
from palaestra.tasks.math.clocks import read_time
from palaestra.tasks.math.dates import read_date

FACTORED = {"coefficients": [-12, -8, 4], "count": 2, "answer": "4(x - 3)(x + 1)"}  # 4x^2 - 8x - 12
QUARTIC = {"coefficients": [-2, 0, 1, 0, 1], "count": 3, "answer": "(x - 1)(x + 1)(x^2 + 2)"}
EXPANDED = {"terms": {"xx": "1", "x": "-1", "": "-6"}, "answer": "x^2 - x - 6"}
BOTH = {"terms": {"xx": "2", "xy": "3", "": "-1"}, "answer": "2x^2 + 3xy - 1"}
ANTI = {"coefficients": ["5", "0", "3"], "answer": "x^3 + 5x + C"}  # 3x^2 + 5
SYSTEM = {"names": ["x", "y"], "rows": [[1, 1, 2], [1, -1, 4]], "answer": "x = 3, y = -1"}
LINE = {"coefficients": [3, 5], "total": 22, "positive": False, "answer": "x = 4, y = 2"}
POSITIVE = {**LINE, "positive": True}
ROOTS = {"solutions": ["-1/2", "3"], "irrational": False, "answer": "-1/2, 3"}
SURDS = {"solutions": ["(-2 + sqrt(8))/2", "(-2 - sqrt(8))/2"], "irrational": True, "answer": ""}
PRIMES = {"primes": [[2, 3], [3, 1], [5, 1]], "answer": "2^3 * 3 * 5"}
HEX, OCTAL = {"base": 16, "answer": "1f0a"}, {"base": 8, "answer": "17"}
DATE, DAYS = {"answer": "2024-03-05"}, {"answer": "31", "after": ["days", "day"]}
TIME = {"answer": "19:05"}
ROUND = {"answer": "27pi/2", "pi": True, "after": ["cm^2", "square centimetres"]}
FLAT = {"answer": "27/2", "pi": False, "after": ["cm^2", "square centimetres"]}
SPEED = {"answer": "2.5", "after": ["metres per second", "m/s", "metres"]}
PRICE = {"answer": "12.5", "before": ["$", "€"], "after": ["euros"]}
UNKNOWN = {"answer": "-7/3", "before": ["x"]}

SUM, WHOLE = "42", {"answer": "36", "before": ["x"], "whole": True}

RIGHT = [
    ("arithmetic", SUM, ["42", "42.0", "+42", "42.", "$42$"]),
    ("linear_equations", WHOLE, ["36", "x = 36"]),
    (
        "factor",
        FACTORED,
        ["4(x-3)(x+1)", "(x + 1)(x - 3)*4", "-4(3 - x)(x+1)", "2*2(x+1)(x-3)", r"4\left(x-3\right)(x+1)"],
    ),
    (
        "factor",
        FACTORED,
        ["4x^2 - 8x - 12 = 4(x-3)(x+1)", "4 (x+1) \\cdot (x-3)", "$4(x-3)(x+1)$", "-4(x+1)(3-x)"],
    ),
    ("factor", QUARTIC, ["(x^2+2)(x-1)(x+1)", "(1-x)(-1-x)(2+x^2)"]),
    (
        "expand",
        EXPANDED,
        ["x^2-x-6", "-6 - x + x^2", "x**2 - x - 6", "x^2 - 1x - 6", "x^{2} - x - 6", "$x^2-x-6$"],
    ),
    ("expand", EXPANDED, ["(x+2)(x-3) = x^2 - x - 6", "x^2 + (-x) - 6"]),
    ("expand", BOTH, ["3xy + 2x^2 - 1", "2x^2 + 3yx - 1", "2*x^2 + 3*x*y - 1"]),
    (
        "antiderivatives",
        ANTI,
        ["x^3 + 5x", "x^3 + 5x + C", "5x + x^3 + 7", "F(x) = x^3 + 5x + K", "x(x^2 + 5) - 1/3"],
    ),
    ("antiderivatives", ANTI, [r"\frac{3x^3}{3} + 5x + c", "x^3+5*x+C"]),
    (
        "derivatives",
        "2x*cos(x^2)",
        ["2x cos(x^2)", "cos(x^2)*2*x", r"2x\cos(x^2)", "f'(x) = 2x cos(x^2)", "dy/dx = 2xcos(x^2)"],
    ),
    (
        "inequalities",
        "x <= 1 or x > 3",
        ["(-oo, 1] U (3, oo)", "x > 3 or x <= 1", r"(-\infty,1]\cup(3,\infty)", "3 < x or 1 >= x"],
    ),
    (
        "inequalities",
        "-2 < x <= 5/2",
        ["(-2, 2.5]", "-2 < x and x <= 5/2", "x > -2 and x <= 2.5", "5/2 >= x > -2"],
    ),
    (
        "linear_systems",
        SYSTEM,
        ["x=3, y=-1", "y = -1, x = 3", "(3, -1)", "(x, y) = (3, -1)", "3, -1", "x = 3\ny = -1"],
    ),
    ("linear_systems", SYSTEM, ["x = 3 and y = -1", "x = 6/2, y = -1", "$x = 3$, $y = -1$", "x=3; y=-1"]),
    ("diophantine", LINE, ["x = 4, y = 2", "x = -1, y = 5", "(9, -1)", "y = 8, x = -6", "(x, y) = (14, -4)"]),
    ("diophantine", POSITIVE, ["x = 4, y = 2", "4, 2"]),
    (
        "polynomial_equations",
        ROOTS,
        ["3, -1/2", "x = -0.5 or x = 3", "x_1 = 3, x_2 = -1/2", "{3, -1/2}", "3 and -1/2", "3, 3, -1/2"],
    ),
    (
        "polynomial_equations",
        SURDS,
        ["-1 + sqrt(2), -1 - sqrt(2)", r"-1 \pm \sqrt{2}", "-1-√2, √2-1", r"x = -1\pm\sqrt2"],
    ),
    (
        "prime_factors",
        PRIMES,
        [
            "2^3 * 3 * 5",
            "5*3*2*2*2",
            "2 x 2 x 2 x 3 x 5",
            r"2^3\cdot3\cdot5",
            "120 = 2^3*3*5",
            "2, 2, 2, 3, 5",
        ],
    ),
    ("prime_factors", PRIMES, ["[2, 2, 2, 3, 5]", "2**3 * 3 * 5", "2³ × 3 × 5"]),
    ("number_bases", HEX, ["1f0a", "1F0A", "0x1f0a", "01f0a", "1F0A_16", "1f0a_{16}", "1F0A (base 16)"]),
    ("number_bases", OCTAL, ["17", "017", "0o17", "17_8", "17 in base 8"]),
    (
        "dates",
        DATE,
        [
            "2024-03-05",
            "March 5, 2024",
            "5 March 2024",
            "5th of March 2024",
            "Mar 5 2024",
            "Tuesday, March 5, 2024",
        ],
    ),
    ("dates", DAYS, ["31", "31 days", "31.0"]),
    (
        "clocks",
        TIME,
        ["19:05", "7:05 PM", "07:05 p.m.", "19.05", "19:05 h", "19:05:00", "19:05 (next day)", "19h05"],
    ),
    (
        "geometry",
        ROUND,
        [
            "27pi/2",
            "13.5π",
            r"\frac{27\pi}{2}",
            "13.5 pi",
            "27/2 * pi",
            "27π/2 cm^2",
            "13.5 pi square centimetres",
        ],
    ),
    (
        "geometry",
        FLAT,
        ["27/2", "13.5", "13.5 cm^2", "13 1/2", r"13.5 \text{ cm}^2", "13.5 square centimetres"],
    ),
    ("unit_conversion", SPEED, ["2.5", "5/2", "2.5 m/s", "2.50 metres per second", "2 1/2"]),
    ("percentages", PRICE, ["12.5", "$12.50", "12.50 euros", "€12.50", "25/2"]),
    (
        "linear_equations",
        UNKNOWN,
        [
            "-7/3",
            "x = -7/3",
            "x=-7/3",
            r"-\frac{7}{3}",
            r"x = -\dfrac{7}{3}",
            r"x = -\dfrac73",
            r"x = -\frac{7}3",
            "-2 1/3",
        ],
    ),
]
WRONG = [
    ("arithmetic", SUM, ["84/2", "40 + 2", "42/1", "6 * 7", r"\\frac{84}{2}", "-42", "43"]),
    ("linear_equations", WHOLE, ["396/11", "x = 396/11", "11x = 396"]),
    (
        "factor",
        FACTORED,
        [
            "4x^2 - 8x - 12",
            "(4x - 12)(x + 1)",
            "4(x^2 - 2x - 3)",
            "(2x - 6)(2x + 2)",
            "4(x-3)(x-1)",
            "(x-3)(x+1)",
        ],
    ),
    (
        "factor",
        FACTORED,
        ["8(x/2 - 3/2)(x+1)", "4(x-3)(x+1)(x-x+1)", "4(x-3)(x+1) or 1", "4(x-3)(x+1)^2/(x+1)", "4(y-3)(y+1)"],
    ),
    (
        "factor",
        FACTORED,
        [
            f"4(x^2 - 2x - 3)*{one}"
            for one in ("x^0", "(x-x+1)", "(0x+1)", "(x^2-x^2+1)", "(x^0)^1", "x^(1-1)")
        ],
    ),
    ("factor", FACTORED, ["-4(x^2 - 2x - 3)(x-x-1)", "2(x^2 - 2x - 3)(x-x+2)", "4(x^2-2x-3)(1^x)"]),
    (
        "factor",
        QUARTIC,
        ["(x^4+x^2-2)*x^0*x^0", "(x^4+x^2-2)(x-x+1)^2", "(x^2-1)(x^2+2)(0x+1)", "(x^4+x^2-2)(0x^3+1)(0x+1)"],
    ),
    (
        "factor",
        QUARTIC,
        ["(x^2-1)(x^2+2)", "(x-1)(x^3+x^2+2x+2)", "(x-1)(x+1)(x^2+2)(x^0)", "(x-1)(x+1)(x^2+1)"],
    ),
    (
        "expand",
        EXPANDED,
        [
            "(x+2)(x-3)",
            "x(x-1) - 6",
            "x^2 + 2x - 3x - 6",
            "x*x - x - 6",
            "x^2 - x + 6",
            "x^2 - x - 2*3",
            "x^2-x-6+y",
        ],
    ),
    (
        "expand",
        EXPANDED,
        [
            "(x+2)(x-3)*x^0",
            "(x+2)(x-3)*1",
            "((x+2)(x-3))^1",
            "(x+2)(x-3)+0",
            "(x+2)(x-3)+0x^2",
            "(x+2)(x-3)(0x+1)",
        ],
    ),
    ("expand", BOTH, ["2x^2 + 3x*y*1 - 1 + y", "x(2x + 3y) - 1", "2x^2 + 3xy"]),
    (
        "antiderivatives",
        ANTI,
        ["3x^2 + 5", "x^3 + 5", "x^3 + 5x + Cx", "x^3 + 5x + y", "C", "\\int 3x^2 + 5 dx", "x^3 + 5x + C^2"],
    ),
    (
        "antiderivatives",
        ANTI,
        ["(3x^2 + 5)*x^0", "\\int_0^x (3t^2 + 5) dt", "(3x^2 + 5)*C^0", "3x^2 + 5 + 0x^3 + C"],
    ),
    ("antiderivatives", ANTI, ["x^3 + 5x + C*x^9", "C*(x^3+5x)", "x^3 + 5x + 1/x", "integral of 3x^2+5"]),
    (
        "derivatives",
        "2x*cos(x^2)",
        [
            "d/dx sin(x^2)",
            r"\frac{d}{dx}\sin(x^2)",
            "(sin(x^2))'",
            "sin(x^2)",
            "2x sin(x^2)",
            "D(sin(x^2))",
            "derivative of sin(x^2)",
        ],
    ),
    ("derivatives", "3x^2 + 5", ["(x^3 + 5x)*x^0", "x^3 + 5x + 0x", "(x^3 + 5x)^1'", "(x^3 + 5x)(x-x+1)"]),
    (
        "inequalities",
        "x <= 1 or x > 3",
        ["x <= 1 and x > 3", "(x-1)/(x-3) >= 0", "(-oo, 1) U (3, oo)", "x <= 1", "1 < x <= 3"],
    ),
    (
        "linear_systems",
        SYSTEM,
        [
            "x = 3",
            "x = -1, y = 3",
            "3",
            "x = 3, y = -1, z = 0",
            "x = 3, x = -1",
            "x + y = 2, x - y = 4",
            "",
            "x = 1+2, y = -1",
        ],
    ),
    ("diophantine", LINE, ["x = 4, y = 3", "x = 22/3, y = 0", "x = 4", "x = 0, y = 4.4"]),
    ("diophantine", POSITIVE, ["x = -1, y = 5", "x = 9, y = -1"]),
    (
        "polynomial_equations",
        ROOTS,
        ["3", "-1/2", "3, -1/2, 0", "3, 1/2", "2x^2 - 5x - 3 = 0", "(5 + 7)/4, (5 - 7)/4"],
    ),
    ("polynomial_equations", SURDS, ["-1 + sqrt(2)", "x^2 + 2x - 1 = 0", "0.414, -2.414", r"1 \pm \sqrt{2}"]),
    (
        "prime_factors",
        PRIMES,
        [
            "120",
            "8 * 15",
            "2^3 * 15",
            "2 * 3 * 5",
            "2^3 * 3 * 5 * 1",
            "2, 3, 5",
            "2^4 * 3 * 5 / 2",
            "2^3 + 3 * 5",
        ],
    ),
    ("number_bases", HEX, ["7946", "1f0b", "1f0g", "1f0a_8", "-1f0a", "0x", ""]),
    ("number_bases", OCTAL, ["15", "18", "17_10", "0x17"]),
    (
        "dates",
        DATE,
        ["2024-05-03", "05/03/2024", "3/5/24", "March 2024", "2024-02-30", "2024-3", "March 5", "5"],
    ),
    ("dates", DAYS, ["32", "1 month", "31 - 0"]),
    (
        "clocks",
        TIME,
        ["7:05", "19:50", "7:05 AM", "1905", "19", "25:05", "19:65", "13:05 PM", "19:05 or 7:05"],
    ),
    ("geometry", ROUND, ["27/2", "13.5", "42.41", "27pi", "27pi/2 cm", "13.5 * 3.14"]),
    ("geometry", FLAT, ["27", "13.5 cm", "13.5 pi", "27 * 1/2", "1/2 * 27"]),
    ("unit_conversion", SPEED, ["9 km/h", "2.5 km", "25", "2.5 * 1", "5 / 2 / 1"]),
    ("percentages", PRICE, ["50% of 25", "0.5 * 25", "12,5", "12", "12.5 %", "12.5 kg or 13"]),
    ("linear_equations", UNKNOWN, ["7/3", "3x = -7", "y = -7/3", "-2.33", "x = -7/3 or x = 1", "(2 - 9)/3"]),
]


def each(table):
    return [
        pytest.param(name, reference, text, id=f"{name}: {text}")
        for name, reference, texts in table
        for text in texts
    ]


@pytest.mark.parametrize(("name", "reference", "text"), each(RIGHT))
def test_right_answers_pass(name, reference, text):
    for said in (f"<answer>{text}</answer>", f"So it is <answer> {text} </answer>"):
        score = get(name).score(said, Problem("?", reference))
        assert score.passed, score.correctness


@pytest.mark.parametrize(("name", "reference", "text"), each(WRONG))
def test_wrong_answers_fail(name, reference, text):
    score = get(name).score(f"<answer>{text}</answer>", Problem("?", reference))
    assert not score.passed
    assert not score.abstained


@pytest.mark.parametrize(("name", "reference"), [(name, reference) for name, reference, _ in RIGHT])
def test_long_and_deep_answers_are_refused(name, reference):
    for text in (
        "(" * 390 + "x" + ")" * 390,
        "x^" * 190 + "9",
        "9" * 5_000,
        "1+" * 3_000 + "1",
        "x = 1, " * 900,
        "2^9999999 * 3",
    ):
        assert not get(name).score(f"<answer>{text}</answer>", Problem("?", reference)).passed


@pytest.mark.parametrize("name", sorted({name for name, _, _ in RIGHT}))
def test_an_answer_that_takes_itself_back_is_none(name):
    """As a question, as a guess, as the beginning of something."""
    task = get(name)
    for level in range(1, task.source.levels + 1):
        problem = task.problem("test", 0, level=level)
        answer = (
            task.rubric.correctness.render(problem.reference)
            .removesuffix("</answer>")
            .removeprefix("<answer>")
        )
        for text in (
            f"~{answer}",
            f"about {answer}",
            f"{answer}?",
            f"{answer}...",
            f"not {answer}",
            f"maybe {answer}",
        ):
            assert not task.score(f"<answer>{text}</answer>", problem).passed, text


def test_times_and_dates_that_do_not_exist_are_none():
    assert [read_time(text) for text in ("24:00", "00:00", "12:00 AM", "12:30 PM", "24:01")] == [
        0,
        0,
        0,
        750,
        None,
    ]
    assert read_date("29 February 1900") is None
    assert read_date("29 February 2000") is not None
