# ruff: noqa: E501
"""From a completion to a verdict: extraction, assembling, judging."""

import pytest
from palaestra.sandbox import Limits, Outcome, SandboxPool, Status
from palaestra.tasks import Problem
from palaestra.verifiers import Completion, Rubric, code, extract_code
from palaestra.verifiers.code_literal import literal
from palaestra.verifiers.programs import assemble, judge

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
    "a block that is never closed": "```python\n" + RIGHT,
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
    score = Rubric(code(pool=lambda: pool)).score(Completion(block("def f(x):\n    while 1: pass\n")), Problem("p", REFERENCE))
    assert not score.abstained
    assert "timeout" in score.parts["code"].reason


def test_trouble_of_the_sandbox_abstains():
    assert judge([Outcome(Status.ERROR, reason="the zygote ended")]).status == "error"


def test_calls_and_scripts(pool):
    calls = {"entry_point": "f", "calls": [{"args": [1], "expected": 2}, {"args": [], "kwargs": {"x": 2}, "expected": 4}]}
    cases = {"cases": [{"stdin": "1\n", "stdout": "2"}, {"stdin": "4\n", "stdout": "8"}]}
    assert verdict(pool, block(RIGHT), calls).correct
    assert not verdict(pool, block(WRONG), calls).correct
    assert verdict(pool, block("print(int(input()) * 2)\n"), cases).correct
    assert verdict(pool, block("print(2)\n"), cases, partial_credit=True).value == 0.5


def test_a_weak_verdict_says_so(pool):
    found = verdict(pool, block(RIGHT), {**REFERENCE, "weak": True})
    assert found.correct
    assert "forged" in found.reason


def test_a_reference_in_no_known_form_is_refused(pool):
    with pytest.raises(ValueError, match="calls, tests or cases"):
        verdict(pool, block(RIGHT), {"entry_point": "f"})


@pytest.mark.parametrize(
    ("answer", "status"),
    [("[1, 'a']", "correct"), ("[ 1,\n'a' ]", "correct"), ("(1, 'a')", "wrong"), ("[True, 'a']", "wrong"), ("[1.0, 'a']", "wrong"),
     ("f(1)", "no_answer"), ("[1] + ['a']", "no_answer"), ("__import__('os')", "no_answer"), ("(" * 1000, "no_answer"),
     ("-" * 5000 + "1", "no_answer"), ("9" * 6000, "no_answer"), ("1 if 1 else 2", "no_answer")],
)  # fmt: skip
def test_literals(answer, status):
    found = literal(sources=("tag",)).check(Completion(f"<answer>{answer}</answer>"), Problem("p", "[1, 'a']"))
    assert found.status == status
