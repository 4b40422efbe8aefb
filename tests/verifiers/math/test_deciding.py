"""Whatever two expressions are: a verdict, the same both ways, within its budget;
and no answer's text abstains."""

import os
import random
import subprocess
import sys
import threading
from fractions import Fraction

import pytest
from cpu_time import cpu_seconds
from palaestra.verifiers import Status, math_equal
from palaestra.verifiers.math.deciding.decide import decide
from palaestra.verifiers.math.values import Call, Const, Expr, Num, Power, Product, Sum, Sym
from read_text import read_text

NAMES = str.split(
    "sin cos tan cot sec csc sinh cosh tanh coth sech csch exp ln log abs floor ceil gcd lcm max min asin "
    "acos atan acot asec acsc asinh acosh atanh asech sgn cis factorial factorial2 binomial root log_base "
    "pm mp union unknown"
)
NUMBERS = (0, 1, 2, -1, 3, 7, 10, 100, -5, 2023, -1_000_000, 10**9, 10**60)
ARITY = {"binomial": 2, "root": 2, "log_base": 2}


def tree(rng: random.Random, depth: int) -> Expr:
    """A random expression; some have functions of too many or too few
    arguments, empty sums, unknown constants."""
    if depth <= 0 or rng.random() < 0.12:
        leaf = rng.random()
        if leaf < 0.5:
            return Num(Fraction(rng.choice(NUMBERS), rng.choice((1, 1, 1, 2, 3, 10, 10**30))))
        if leaf < 0.75:
            return Sym(rng.choice("xyn"))
        return Const(rng.choice(("pi", "e", "i", "degree", "infinity", "unknown")))
    kind = rng.random()
    odd = rng.random() < 0.05
    if kind < 0.4:
        parts = tuple(tree(rng, depth - 1) for _ in range(rng.randint(0 if odd else 1, 3)))
        return Sum(parts) if kind < 0.2 else Product(parts)
    if kind < 0.55:
        return Power(tree(rng, depth - 1), tree(rng, depth - 1))
    name = rng.choice(NAMES)
    count = (
        rng.randint(0, 4)
        if odd
        else ARITY.get(name, rng.randint(1, 3) if name in ("gcd", "lcm", "max", "min") else 1)
    )
    return Call(name, tuple(tree(rng, depth - 1) for _ in range(count)))


def pair(seed: int) -> tuple[Expr, Expr]:
    rng = random.Random(seed)
    a, b = tree(rng, rng.randint(1, 8)), tree(rng, rng.randint(1, 8))
    if rng.random() < 0.3:
        b = a if rng.random() < 0.3 else Sum((a, Num(Fraction(rng.choice((0, 1)), rng.choice((1, 10**20))))))
    return a, b


def test_any_two_trees_are_decided_alike_both_ways_and_in_time():
    decide(Power(Num(Fraction(2)), Num(Fraction(1, 2))), Const("pi"))  # imports flint
    slowest = 0.0
    for seed in range(1_500):
        a, b = pair(seed)
        slowest = max(slowest, cpu_seconds(lambda a=a, b=b: decide(a, b), tries=1))
        forward = decide(a, b)
        assert forward.equal == decide(b, a).equal, seed
        assert forward.equal or forward.reason
    assert slowest < 0.25


def test_a_number_added_is_seen():
    """An expression and itself plus a number are never equal, however little the number is."""
    for seed in range(1_500):
        rng = random.Random(seed)
        a = tree(rng, rng.randint(1, 5))
        step = Num(Fraction(rng.choice((1, -1)), 10 ** rng.choice((0, 3, 20, 90))))
        assert not decide(a, Sum((a, step))).equal, seed


@pytest.mark.parametrize(
    "wrap", [lambda e: Sum((e, e)), lambda e: Power(e, Num(Fraction(2))), lambda e: Call("sin", (e,))]
)
def test_depth_is_no_way_out(wrap):
    deep: Expr = Sym("x")
    for _ in range(5_000):
        deep = wrap(deep)
    assert not decide(deep, Sym("x")).equal
    assert not decide(Sym("x"), deep).equal


STRANGE = [
    r"\gcd x", r"\gcd(x,\frac12)", r"\gcd(\pi,2)", r"\lcm(i,2)", r"\operatorname{lcm}(\frac12,3)", r"\max i",
    r"\max(1,i)", r"\min(\{1,2\},3)", r"\binom{x}{\pi}", r"\binom{-1}{-1}", r"\binom{i}{2}",
    r"\binom{10^{50}}{10^{49}}", r"\binom{1/2}{10^9}", r"\lfloor i\rfloor", r"\lceil 1/0\rceil",
    r"\lfloor\infty\rfloor", "(-1)!", "(-3)!!", r"(\frac12)!!", "(10^{30})!", "i!", r"\pi!!", r"\log_0 5",
    r"\log_1 5", r"\log_{-2} 5", r"\log 0", r"\ln(-1)", r"\log_x 0", r"\sqrt[0]{5}", r"\sqrt[-3]{5}",
    r"\sqrt[x]{5}", r"\sqrt[10^{50}]{5}", r"\sqrt[i]{5}", "5 \\mod 0", r"5 \equiv 3 \pmod 0", "1/0", "0^0",
    "0^{-1}", r"0^i", r"\frac{x}{x-x}", r"\sin()", r"\gcd()", r"\max()", r"\sin(1,2)", r"\sqrt{\pm 4}",
    r"\sin(\pm x)", r"\lfloor\pm\frac12\rfloor", r"x \ne \pm 5", r"x > \pm 5", r"(\pm 1,\pm 2)",
    r"[\pm 1, 2)", r"\pm\pm 3", r"(\pm 2)!", r"2^{\pm 2^{\pm 2}}", r"\tan 90^\circ", r"\sec\frac{\pi}{2}",
    r"\cot 0", r"\arcsin 2", r"\operatorname{arctanh}(1)", r"\arctan i", r"\coth 0", r"\infty-\infty",
    r"\frac{\infty}{\infty}", r"\sin\infty", r"0\cdot\infty", r"e^{e^{e^{e^{10}}}}", r"\sin(e^{e^{e^{10}}})",
    r"((10^{10})!)!", r"(2^{10^{17}})!", r"\lfloor 2^{10^{17}}\rfloor", r"\gcd(2^{10^{17}},6)",
    r"(-1)^{2^{10^{17}}}", r"i^{10^{30}}", r"\cos(2^{10^{17}})", r"x^{x^{x^{x}}}", r"\{\gcd x, 1\}",
    r"(\gcd x, 1)", r"x = \gcd y", r"\gcd x = 1", r"\gcd x < 1", r"[0,\gcd x)",
    r"\begin{pmatrix}\gcd x\\1/0\end{pmatrix}", r"\gcd x : 2", r"\gcd x \text{ cm}", r"\{1,2\}!",
    r"\sin\{1,2\}", r"(1,2)^{(3,4)}",
]  # fmt: skip
SOUND = [
    "3",
    r"\frac{1}{2}",
    r"\sqrt2",
    "x^2+1",
    r"\{1,2\}",
    "(1,2)",
    r"[0,\infty)",
    "x = 2",
    r"\pm 5",
    r"x \ne 5",
    "5 \\text{ cm}",
]


@pytest.mark.parametrize("text", STRANGE)
def test_no_strange_answer_abstains_or_equals(text):
    for reference in SOUND:
        assert math_equal(reference, text).status in (Status.WRONG, Status.NO_ANSWER)
    assert math_equal(text, "42").status in (Status.WRONG, Status.NO_ANSWER)


UNREACHABLE = [
    "10^{10^{10^{10}}}",
    "2^{10^{11}}+x",
    "9^{9^{9^{9}}}",
    "(((10!)!)!)!",
    "e^{e^{e^{e^{9}}}}",
    r"\sin(9^{9^{9^9}})",
]


@pytest.mark.parametrize("reference", UNREACHABLE)
def test_a_reference_out_of_reach_equals_itself_and_nothing_else(reference):
    assert math_equal(reference, reference).correct
    assert math_equal(f"{reference}+y", f"y+{reference}").correct
    assert math_equal(f"2({reference})", f"{reference}+{reference}").correct
    assert math_equal(f"{reference}+5-({reference})", "5").correct
    assert not math_equal(f"{reference}+5-({reference})", "4").correct
    assert not math_equal(rf"\frac{{{reference}}}{{0}}-\frac{{{reference}}}{{0}}", "0").correct
    for answer in (
        "0",
        "1",
        "x",
        f"{reference}+1",
        f"2\\cdot {reference}",
        rf"\frac{{{reference}}}{{10^{{10^{{10^{{10}}}}}}-1}}",
    ):
        assert math_equal(reference, answer).status is Status.WRONG


def test_strange_trees_are_read_as_expressions():
    assert isinstance(read_text(r"\gcd x"), Call)
    assert isinstance(read_text(r"\sqrt[x]{5}"), Call)


FORKING = """
import os, sys, threading, time
from palaestra.verifiers import math_equal

def check(k):
    shown = math_equal(rf"\\sqrt{{2}}+\\sqrt{{{k}}}", rf"\\sqrt{{{k}}}+\\sqrt2+0").correct
    return shown and not math_equal(rf"\\pi^{{{k}}}", "0").correct

stop = threading.Event()
def work(offset):
    k = offset
    while not stop.is_set():
        assert check(k)
        k += 1
threads = [threading.Thread(target=work, args=(n * 10**6 + 3,)) for n in range(1, 4)]
for thread in threads:
    thread.start()
failures = 0
for child in range(20):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if check(child + 3) and \
(child % 5 or math_equal("9^{9^{9^9}}", "9^{9^{9^9}}+1").reason) else 1)
    deadline = time.monotonic() + 30
    done = 0
    while not done and time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        time.sleep(0.002)
    if not done:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    failures += not done or status != 0
stop.set()
for thread in threads:
    thread.join()
print("failures", failures)
"""


def test_a_child_forked_in_the_midst_of_checks_answers():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == "failures 0", done.stderr


def test_a_child_forked_while_a_thread_first_imports_the_library_answers():
    code = (
        "import os, threading; from palaestra.verifiers import math_equal\n"
        "thread = threading.Thread(target=math_equal, args=('\\\\pi+1', '4'))\n"
        "thread.start()\n"
        "pid = os.fork()\n"
        "if pid == 0: os._exit(0 if math_equal('\\\\pi+1', '1+\\\\pi').correct else 1)\n"
        "thread.join(); print(os.waitpid(pid, 0)[1])"
    )
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=300
        )
        assert done.stdout.strip() == "0", done.stderr


def test_threads_decide_at_once():
    found: list[bool] = []

    def work(offset: int) -> None:
        for k in range(offset, offset + 60):
            found.append(math_equal(rf"\sqrt{{{k}}}+\pi", rf"\pi+\sqrt{{{k}}}").correct)
            found.append(not math_equal(rf"\sqrt{{{k}}}+\pi", rf"\pi+\sqrt{{{k}}}+10^{{-500}}").correct)

    threads = [threading.Thread(target=work, args=(100 * n + 2,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert len(found) == 720
    assert all(found)


def test_the_package_starts_without_the_library():
    code = "import sys, palaestra.verifiers; print(sorted({'flint', 'mpmath', 'sympy'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("joint", [r"\cup", r"\cap", r"\setminus"])
def test_many_intervals_are_bounded(joint):
    math_equal(r"\pi+1", "4")
    for count in (60, 90):
        for text in (
            joint.join(f"({3 * k},{3 * k + 1})" for k in range(count)),
            joint.join(rf"(\sqrt{{{k}}},\sqrt{{{k + 1}}})" for k in range(2, count)),
        ):
            assert cpu_seconds(lambda text=text: math_equal("(0,2)", text), tries=1) < 0.25
            assert not math_equal("(0,2)", text).correct


def test_a_union_is_a_union_of_its_pieces():
    """Against membership, point by point."""
    rng = random.Random(3)
    for _ in range(300):
        parts = [
            (low, low + rng.randint(0, 3), rng.choice("(["), rng.choice(")]"))
            for low in rng.choices(range(8), k=rng.randint(1, 4))
        ]
        text = r"\cup".join(f"{a}{low},{high}{b}" for low, high, a, b in parts)
        shuffled = r"\cup".join(f"{a}{low},{high}{b}" for low, high, a, b in rng.sample(parts, len(parts)))
        assert math_equal(text, shuffled).correct
        for other in (r"[0,12]", text + r"\cup\{5\}", text + r"\cup(3,4)"):
            assert math_equal(text, other).correct is (inside(text) == inside(other))


def inside(text: str) -> set[float]:
    """The whole and half numbers from 0 to 12 in a union of intervals and points."""
    found: set[float] = set()
    for piece in text.split(r"\cup"):
        if piece.startswith(r"\{"):
            found.add(float(piece[2:-2]))
            continue
        low, high = map(int, piece[1:-1].split(","))
        for half in range(25):
            x = half / 2
            above, below = (
                x > low or (x == low and piece[0] == "["),
                x < high or (x == high and piece[-1] == "]"),
            )
            if above and below:
                found.add(x)
    return found
