# ruff: noqa: E501
"""From a completion to a verdict: extraction, assembling, judging."""

import contextlib
import sys
import time

import pytest
from cpu_time import cpu_seconds
from palaestra.sandbox import Limits, Outcome, SandboxPool, Status
from palaestra.tasks import Problem
from palaestra.verifiers import Completion, Rubric, code, extract_code, one_block
from palaestra.verifiers.criteria.cases import run_cases
from palaestra.verifiers.criteria.code import assemble, judge
from palaestra.verifiers.criteria.literal import NoLiteral, literal, parse_literal
from palaestra.verifiers.criteria.python_blocks import is_python

RIGHT = "def f(x):\n    return 2 * x\n"
WRONG = "def f(x):\n    return x\n"
REFERENCE = {"entry_point": "f", "tests": ["assert f(1) == 2", "assert f(5) == 10", "assert f(0) == 0"]}


def block(source: str, language: str = "python") -> str:
    return f"```{language}\n{source}```\n"


@pytest.fixture(scope="module")
def pool():
    with SandboxPool(1, Limits(wall_s=1)) as made:
        yield made


def verdict(pool, text, reference=REFERENCE, **options):
    return code(pool=lambda: pool, **options).check(Completion(text), Problem("p", reference))


HOSTILE = {
    "empty": "",
    "answer only in the think block": f"<think>{block(RIGHT)}</think>I don't know.",
    "a think block that never ends": f"<think>{block(RIGHT)}",
    "a second think block that never ends": f"<think>a</think><think>{block(RIGHT)}",
    "answer only in a quoted block": "".join(f"> {line}\n" for line in block(RIGHT).splitlines()),
    "answer in an indented block": "".join(f"    {line}\n" for line in block(RIGHT).splitlines()),
    "answer in another language's block": block(RIGHT, "text"),
    "right first, wrong last": block(RIGHT) + "or rather\n" + block(WRONG),
    "a wrong block that is never closed": "```python\n" + WRONG,
    "a right block that is never closed after a wrong one": block(WRONG) + "```python\n" + RIGHT,
    "an unclosed block of another language": "```text\n" + RIGHT,
    "an unclosed block in a quotation": "> ```python\n"
    + "".join(f"> {line}\n" for line in RIGHT.splitlines()),
    "an unclosed block in a think block that never ends": "<think>```python\n" + RIGHT,
    "an unclosed empty block": "```python\n",
    "a nested block": "````text\n" + block(RIGHT) + "````\n",
    "a block closed by another fence": "```python\n" + RIGHT + "~~~\n",
    "answer in prose": RIGHT,
    "prompt echo": "Write f. " + REFERENCE["tests"][0],
    "tests echoed as the program": block("\n".join(REFERENCE["tests"]) + "\n"),
    "an empty block": block(""),
    "a zero-width space in the name": block(RIGHT.replace("def f", "def f\u200b")),
    "a look-alike in the name": block(RIGHT.replace("def f", "def \u0192")),
    "zero-width space in the fence": "`\u200b``python\n" + RIGHT + "```\n",
    "inside an answer tag in one line": f"<answer>{RIGHT!r}</answer>",
    "very long text": "x" * 2_000_000 + block(RIGHT),
    "many fences": "```\n" * 30_001,
    "a null byte": block("\0" + RIGHT),
    "a claim of success": "All tests pass. </answer> correct 1.0",
    "a lone surrogate": block("def f(x): return '\ud800'\n"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_completion_earns_nothing(pool, name):
    found = verdict(pool, HOSTILE[name])
    assert found.value == 0
    assert found.status in ("wrong", "no_answer", "malformed")
    assert found.reason


@pytest.mark.parametrize(
    "text",
    [block(RIGHT), f"<think>{block(WRONG)}</think>\n{block(RIGHT)}", block(WRONG) + block(RIGHT), block(RIGHT, "py"),
     block(RIGHT, ""), block(RIGHT).replace("```", "~~~"), block(RIGHT).replace("\n", "\r\n"), "Sure:\n" + block(RIGHT) + "Done."],
)  # fmt: skip
def test_a_right_completion_passes(pool, text):
    assert verdict(pool, text).correct


def indented(text: str, columns: int = 4) -> str:
    return "".join(" " * columns + line if line.strip() else line for line in text.splitlines(keepends=True))


@pytest.mark.parametrize(
    "info",
    ["python", "Python", "py", "py3", "python3", "python3.12", "python title=\"a.py\"", "{python}", "{.python .numberLines}", "{python, echo=TRUE}",
     "python:main.py", "python,linenos", "{ .py }", "ipython3", "", "python {1,3}", "python2"],
)  # fmt: skip
def test_info_strings_that_name_python(info):
    assert is_python(info)
    assert extract_code(block(RIGHT, info)).answer == RIGHT


@pytest.mark.parametrize(
    "info",
    [
        "text",
        "output",
        "pycon",
        "python-repl",
        "c++",
        "{r}",
        "json",
        "pythonic",
        "console",
        "bash",
        "pyx",
        "title=python",
    ],
)
def test_info_strings_that_name_something_else(info):
    assert not is_python(info)
    assert extract_code(block(RIGHT) + block("x\n", info)).answer == RIGHT


@pytest.mark.parametrize(
    "text",
    ["1. First:\n\n" + indented(block(RIGHT)), "- a\n  - b\n\n" + indented(block(RIGHT)), "10. x\n" + indented(block(RIGHT), 5),
     "* " + indented(block(RIGHT), 2).lstrip(), indented(block(RIGHT), 3), "1. a\n\n   more\n\n" + indented(block(RIGHT), 3) + "\n2. b\n"],
)  # fmt: skip
def test_fences_in_lists_are_read(text):
    assert extract_code(text).answer == RIGHT


@pytest.mark.parametrize(
    "text",
    [
        "a\n\n" + indented(block(RIGHT)),
        "- a\n\nb\n\n" + indented(block(RIGHT)),
        "a\n\n" + indented(block(RIGHT), 9),
    ],
)
def test_an_indented_fence_outside_a_list_is_a_quotation(text):
    assert extract_code(text).failure is not None


@pytest.mark.parametrize(
    "output",
    ["4\n", "f(2) = 4\n", "Result: 4\nfrom 1 to 3: ok\n", "x = 4\n", "[1, 2]\n", "import failed: x\n", ""],
)
@pytest.mark.parametrize("first", ["python", ""])
@pytest.mark.parametrize("second", ["", "text", "output"])
def test_an_output_after_the_program_does_not_displace_it(output, first, second):
    found = extract_code(block(RIGHT, first) + "It prints:\n" + block(output, second))
    assert found.answer == RIGHT
    assert found.count == 1


def test_a_session_of_the_interpreter_is_no_program():
    assert extract_code(block(RIGHT) + block(">>> f(2)\n4\n")).answer == RIGHT


def test_a_second_program_without_a_language_counts():
    assert extract_code(block(WRONG) + "or rather\n" + block(RIGHT, "")).answer == RIGHT
    assert (
        extract_code(block("print(1)\n") + block("import sys\nx = 1\n", "")).answer == "import sys\nx = 1\n"
    )


@pytest.mark.parametrize(
    "text",
    ["```python\n" + RIGHT, "```\n" + RIGHT.rstrip(), "~~~py\n" + RIGHT, "- so:\n  ```python\n" + indented(RIGHT, 2), block("4\n", "text") + "```python\n" + RIGHT,
     f"<think>{block(WRONG)}</think>```python\n" + RIGHT],
)  # fmt: skip
def test_a_block_that_the_end_of_the_text_cuts_off_is_the_program_and_not_well_formed(text):
    for which in ("last", "named", "plain"):
        assert extract_code(text, which, "f").answer.split() == RIGHT.split()
        verdict = one_block(blocks=which).check(Completion(text), Problem("p", REFERENCE))
        assert (verdict.status, verdict.reason) == ("malformed", "A code block is never closed.")
    assert one_block().check(Completion(block(RIGHT)), Problem("p", REFERENCE)).correct


WORST = {
    "tildes": "~", "backticks": "`", "fences": "```\n", "fences and braces": "```{", "list items": "- ", "numbers": "1. ", "tabs": "\t", "lines": "\n",
    "spaces": " ", "statements that never end": "for ", "openings": "for x\n", "mixed fences": "~~~\n```\n", "indented": "    ```\n- ", "defs": "def ",
}  # fmt: skip


@pytest.mark.parametrize("name", WORST)
@pytest.mark.parametrize("head", ["", "```\n", "- a\n"])
def test_extraction_is_linear(name, head):
    def steps(size: int) -> int:
        text = head + WORST[name] * (size // len(WORST[name])) + "\n" + "`" * 9
        count = 0

        def trace(_frame, _event, _argument):
            nonlocal count
            count += 1
            return trace

        sys.settrace(trace)
        try:
            extract_code(text)
        finally:
            sys.settrace(None)
        return count

    # a fence more or less decides whether the last block is read
    assert steps(40_000) <= 2.6 * steps(20_000) + 200
    text = head + WORST[name] * (900_000 // len(WORST[name]))
    assert cpu_seconds(lambda: extract_code(text), 0.5) < 0.5


def test_policies_of_extraction():
    text = block(RIGHT) + block("f(3)\n")
    assert extract_code(text).answer == "f(3)\n"
    assert extract_code(text, "named", "f").answer == RIGHT
    assert extract_code(text, "named", "g").failure is not None
    assert extract_code(RIGHT, "plain", "f").answer == RIGHT
    assert extract_code(RIGHT, "named", "f").failure is not None


INDENTED = "".join(f"   {line}\n" for line in block(RIGHT).splitlines())


@pytest.mark.parametrize(
    "text",
    [block(RIGHT, 'python title="f.py"'), block(RIGHT, "{python}"), block(RIGHT, "{.python .numberLines}"), block(RIGHT, "Python"),
     block(RIGHT, "python:f.py"), block(RIGHT, "python3.12"), INDENTED, "1. The program:\n\n" + INDENTED + "2. Done.",
     "- The program:\n" + INDENTED.replace("   ", "    ", 2).replace("   ```\n", "    ```\n"), "1. " + INDENTED.lstrip(),
     block(RIGHT) + "It prints\n" + block("4\n", ""), block(RIGHT) + block("4\n", "output"), block(RIGHT) + "Or\n```python\ndef f(",
     "````python\n" + RIGHT + "````", "The ```python mark begins it.\n" + block(RIGHT)],
)  # fmt: skip
def test_a_program_is_found_as_models_write_it(text):
    found = extract_code(text).answer
    assert found is not None
    assert found.replace("    return", "return").split() == RIGHT.split()
    compile(found, "<found>", "exec")


def test_a_completion_continues_its_prompt():
    prompt = 'import math\ndef help(x): return x\n\ndef f(x):\n    """Twice."""\n'
    body = assemble("    return 2 * x\n\ndef g(): pass\nprint(f(1))", prompt, "f")
    whole = assemble(RIGHT, prompt, "f")
    for source in (body, whole):
        space: dict = {}
        exec(source, space)
        assert space["f"](4) == 8
        assert "help" in space
    assert "def g" not in body


def test_partial_credit_is_an_option(pool):
    text = block("def f(x):\n    return 2 * x if x < 5 else 0\n")
    whole, share = verdict(pool, text), verdict(pool, text, partial_credit=True)
    assert (whole.status, whole.value) == ("wrong", 0)
    assert share.status == "partial"
    assert share.value == pytest.approx(2 / 3)


def test_a_program_that_loops_is_wrong_and_does_not_abstain(pool):
    score = Rubric(code(pool=lambda: pool)).score(
        Completion(block("def f(x):\n    while 1: pass\n")), Problem("p", REFERENCE)
    )
    assert not score.abstained
    assert "timeout" in score.parts["code"].reason


def test_trouble_of_the_sandbox_abstains():
    assert judge([Outcome(Status.ERROR, reason="the zygote ended")]).status == "error"


def test_calls_and_scripts(pool):
    calls = {
        "entry_point": "f",
        "calls": [{"args": [1], "expected": 2}, {"args": [], "kwargs": {"x": 2}, "expected": 4}],
    }
    cases = {"cases": [{"stdin": "1\n", "stdout": "2"}, {"stdin": "4\n", "stdout": "8"}]}
    assert verdict(pool, block(RIGHT), calls).correct
    assert not verdict(pool, block(WRONG), calls).correct
    assert verdict(pool, block("print(int(input()) * 2)\n"), cases).correct
    assert verdict(pool, block("print(2)\n"), cases, partial_credit=True).value == 0.5


@pytest.mark.parametrize(("weak", "value"), [("refuse", 0), ("partial", 0.5), ("accept", 1)])
def test_a_weak_verdict_says_so_and_gives_no_full_reward_unless_asked_to(pool, weak, value):
    problem = Problem("p", {**REFERENCE, "weak": True})
    score = Rubric(code(pool=lambda: pool, weak=weak)).score(Completion(block(RIGHT)), problem)
    assert (score.reward, score.passed, score.abstained) == (value, value == 1, False)
    assert "forged" in score.parts["code"].reason
    assert verdict(pool, block(WRONG), problem.reference, weak=weak).status == "wrong"
    half = verdict(
        pool,
        block("def f(x):\n    return 2 * x if x < 5 else 0\n"),
        problem.reference,
        weak=weak,
        partial_credit=True,
    )
    assert half.value == pytest.approx(2 / 3 * value)


def test_tests_may_make_objects_of_the_programs_class(pool):
    reference = {
        "entry_point": "f",
        "classes": ["P"],
        "tests": ["assert f(P(2)) == 4", "p = P(0); p.x = 3; assert f(p) == 6"],
    }
    right = "class P:\n    def __init__(self, x): self.x = x\ndef f(p): return 2 * p.x\n"
    assert verdict(pool, block(right), reference).correct
    assert verdict(pool, block(right.replace("2 *", "3 *")), reference).status == "wrong"
    assert verdict(pool, block("def f(p): return 2 * p.x\n"), reference).status == "wrong"
    hostile = "class P:\n    def __init__(self, x): self.x = x\n    def __eq__(self, o): return True\ndef f(p): return p\n"
    assert verdict(pool, block(hostile), reference).status == "wrong"


def test_the_compare_mode_of_a_reference(pool):
    reference = {"entry_point": "f", "calls": [{"args": [1], "expected": [[1, 2]]}]}
    text = block("def f(x): return [(x, 2.0)]\n")
    assert verdict(pool, text, reference).status == "wrong"
    assert verdict(pool, text, {**reference, "compare": "json"}).correct
    with pytest.raises(ValueError, match="compare mode"):
        verdict(pool, text, {**reference, "compare": "loose"})


LOOPS = "n = int(input())\nwhile n > 2: pass\nprint(n)\n"


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("partial_credit", [False, True])
@pytest.mark.parametrize("source", ["while True: pass\n", LOOPS])
def test_the_cases_of_a_problem_share_one_budget(workers, partial_credit, source):
    cases = {"cases": [{"stdin": f"{i}\n", "stdout": f"{i}\n"} for i in range(12)]}
    with SandboxPool(workers, Limits(wall_s=1.2)) as many:
        verdict(many, block("print(input())\n"), cases)  # the sandboxes start
        for _ in range(20):  # what else the machine does can only delay it
            started = time.monotonic()
            found = verdict(many, block(source), cases, partial_credit=partial_credit)
            seconds = time.monotonic() - started
            if seconds < 2.5:
                break
        assert seconds < 2.5
        assert found.value == pytest.approx(0.25 if partial_credit and source == LOOPS else 0)
        assert verdict(many, block("print(input())\n"), cases, partial_credit=partial_credit).correct


def test_all_or_nothing_ends_with_the_first_case_that_fails(pool):
    ran = []

    class Counted:
        limits, idle = pool.limits, 1

        def run_script(self, source, stdin, *rest, **options):
            ran.append(stdin)
            return pool.run_script(source, stdin, *rest, **options)

    cases = [{"stdin": str(i), "stdout": "1"} for i in range(5)]
    outcomes = run_cases(Counted(), "print(1 if int(input()) < 2 else 0)", cases, None)
    assert [outcome.passed for outcome in outcomes] == [True, True, False]
    assert ran == ["0", "1", "2"]


def test_cases_that_hold_each_other_up_are_not_charged_for_it():
    busy = "import time\nend = time.process_time() + 0.12\nwhile time.process_time() < end: pass\nprint(input())\n"
    cases = {"cases": [{"stdin": f"{i}", "stdout": f"{i}"} for i in range(10)]}
    with SandboxPool(8, Limits(wall_s=4)) as many:
        assert verdict(many, block(busy), cases).correct


FORGED = [
    "['o', 'P', ['t'], ['d'], ['d']]", "['a', ['l', ['l', 1], 2], '<i8']", "['a', 1, '<U999999']", "['N', ['t', 1], 'class', 'x']", "['N', ['t', 1, 2], 'P', 'x', 'x']",
    "['s', ['l']]", "['s', 1, 1]", "['I', False]", "['I', True, ['I', False]]", "['r', 0, ['i', '0x' + 'f' * 90], 1]", "['T', [['l'], 1]]", "['m', '1E+999999999999999999']",
    "['y', 'int']", "['K', ['l']]", "['e', 'time', 0, 0, 0, 0, 86399999999]", "{}", "1.5", "[[]]", "'\\ud800'", "10 ** 30",
]  # fmt: skip


@pytest.mark.parametrize("tree", FORGED)
def test_no_forged_claim_abstains(pool, tree):
    """What tests do with it, and what the harness says was changed, included."""
    space = f"def f(x):\n    import sys\n    sys.modules['sandbox.wire'].encode = lambda v: {tree}\n"
    changed = (
        f"    sys.modules['sandbox.inside.changes'].find = lambda *a: [[0, {tree}], ['x', 1], [9, {tree}]]\n"
    )
    tests = {
        "entry_point": "f",
        "tests": ["f([f([1]), f([2])])", "assert not list(f([2]))", "assert str(f(1)) + str(f({2})) == 0"],
    }
    calls = {"entry_point": "f", "calls": [{"args": [[1]], "expected": {1: (2,)}}]}
    for source in (space, space + changed):
        for reference in (tests, calls, {**calls, "compare": "json"}):
            assert verdict(pool, block(source), reference, tolerance=1e-6).status == "wrong"


def test_with_partial_credit_a_slow_case_gets_what_the_others_left(pool):
    slow = "import time\nn = int(input())\ntime.sleep(1.2 if n == 1 else 0)\nprint(n)\n"
    cases = {"cases": [{"stdin": f"{i}", "stdout": f"{i}"} for i in range(6)]}
    limits = Limits(wall_s=6)  # a second each
    assert verdict(pool, block(slow), cases, partial_credit=True, limits=limits).correct


def test_calls_end_with_the_first_that_fails(pool):
    """The next one would go on until the limit."""
    calls = {"entry_point": "f", "calls": [{"args": [i], "expected": i} for i in range(3)]}
    loops = block("def f(x):\n    while x: pass\n    return 1\n")
    started = time.monotonic()
    assert verdict(pool, loops, calls, limits=Limits(wall_s=300)).status == "wrong"
    assert time.monotonic() - started < 200


@pytest.mark.parametrize(
    "options", [{"weak": "maybe"}, {"tolerance": -1}, {"tolerance": 2}, {"tolerance": float("nan")}]
)
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        code(**options)


def test_a_reference_in_no_known_form_is_refused(pool):
    with pytest.raises(ValueError, match="calls, tests or cases"):
        verdict(pool, block(RIGHT), {"entry_point": "f"})


def test_a_long_answer_is_no_literal_at_little_cost():
    for answer in (" " * 19_000 + "1", "- " * 9_000 + "1", "-" + " " * 19_000 + "1", "'" + "\\" * 19_000, "2**" * 6_000 + "2", "{" * 19_000, "1 if 1 else " * 1500 + "1",
                   "lambda:" * 2_500 + "1", "f'{" * 6_000, ".a" * 9_000, "not " * 4_000 + "1", "-" * 15_000 + "'", "x" * 900_000):  # fmt: skip

        def parse(answer: str = answer) -> None:
            with contextlib.suppress(NoLiteral):
                parse_literal(answer)

        assert cpu_seconds(parse, 0.25) < 0.25, answer[:20]


@pytest.mark.parametrize(
    ("answer", "status"),
    [("[1, 'a']", "correct"), ("[ 1,\n'a' ]", "correct"), ("(1, 'a')", "wrong"), ("[True, 'a']", "wrong"), ("[1.0, 'a']", "wrong"),
     ("f(1)", "no_answer"), ("[1] + ['a']", "no_answer"), ("__import__('os')", "no_answer"), ("(" * 1000, "no_answer"),
     ("-" * 5000 + "1", "no_answer"), ("9" * 6000, "no_answer"), ("1 if 1 else 2", "no_answer")],
)  # fmt: skip
def test_literals(answer, status):
    found = literal(sources=("tag",)).check(
        Completion(f"<answer>{answer}</answer>"), Problem("p", "[1, 'a']")
    )
    assert found.status == status
