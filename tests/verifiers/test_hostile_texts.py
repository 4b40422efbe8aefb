"""What holds for every criterion and every procedural task: with a sound problem no text abstains,
and none takes long.

A completion that could make its check abstain would be rid of the penalty for a wrong answer.
"""

import pytest
from cpu_time import cpu_seconds
from hostile_texts import FRAMES, MANY, PIECES, long_texts, texts
from palaestra.sandbox import Limits, SandboxPool
from palaestra.tasks import Problem
from palaestra.tasks.core import registry
from palaestra.verifiers import (
    Completion,
    Rubric,
    Status,
    answer_box,
    answer_tag,
    code,
    exact,
    math_answer,
    number,
    one_block,
    pattern,
)
from palaestra.verifiers.criteria.choice import choice
from palaestra.verifiers.criteria.code import extract_code
from palaestra.verifiers.criteria.length import length
from palaestra.verifiers.criteria.literal import literal
from palaestra.verifiers.extract import add_lenient, extract
from palaestra.verifiers.functions import function

PROCEDURAL = (
    "addition", "countdown", "frozen_lake_plan", "gcd", "sorting", "ice_cream",
    "knights_knaves", "satisfiability", "truth_table", "zebra", "sudoku", "shortest_path", "graph_colouring",
    "max_flow", "maze_plan", "scheduling", "knapsack", "cryptarithm", "cellular_automaton",
    "string_edits", "regex_string", "regex_which", "constrained_writing", "sort_words", "table_question",
    "program_output", "binary_search", "sort_trace",
)  # fmt: skip
MEGABYTE = 1_000_000
LIMIT_S = 0.25  # of CPU


def count_up(completions, answer, **kwargs):
    """As TRL takes it; raises for what is no number."""
    return [1.0 if int(text) == int(right) else -1.0 for text, right in zip(completions, answer, strict=True)]


def equals(completion, answer, parser):
    return float(parser.parse_answer(completion).strip() == answer)


CASES = {
    "number": (number(), "1/2"),
    "exact": (exact(), "a b"),
    "math": (math_answer(), r"\frac{1}{2}"),
    "math, a list": (math_answer(accept="any"), ["x^2+1", "2"]),
    "math, boxed first": (math_answer(sources=("boxed", "tag")), "x=3"),
    "pattern": (pattern(r"<think>.*</think>\s*<answer>.*</answer>"), None),
    "answer_tag": (answer_tag(), None),
    "answer_box": (answer_box(), None),
    "one_block": (one_block(), None),
    "one_block, plain": (one_block(blocks="plain"), None),
    "literal": (literal(), "{'a': [1, (2.5, None)]}"),
    "choice": (choice(), "B"),
    "choice, with texts": (choice(options=["1,", "{{a}", "to be"]), "to be"),
    "length": (length(100, ramp=50), None),
}
FUNCTIONS = {  # of other libraries
    "TRL's": (function(count_up, low=-1), "42"),
    "verifiers'": (function(equals), "42"),
}
# may raise inside; that a rubric then does not abstain is tested
RAISING = {*FUNCTIONS, "math", "math, a list", "math, boxed first"}


def rendered(criterion, reference) -> str:
    return criterion.render(reference) if criterion.render else "<think>a</think><answer>1</answer>"


@pytest.mark.parametrize("name", [*CASES, *FUNCTIONS])
def test_no_text_makes_a_criterion_abstain(name):
    criterion, reference = {**CASES, **FUNCTIONS}[name]
    problem = Problem("p", reference)
    for rubric in (Rubric(criterion), Rubric(criterion).lenient()):
        for text in texts(1, 400, rendered(criterion, reference)):
            score = rubric.score(Completion(text), problem)
            assert not score.abstained, (text[:200], score.parts)
            assert name in RAISING or "raised" not in score.parts[criterion.name].reason, (
                text[:200],
                score.parts,
            )


@pytest.mark.parametrize("name", PROCEDURAL)
def test_no_text_makes_a_task_abstain(name):
    task = registry.get(name)
    problem = task.problem("train", 0)
    for text in texts(2, 600, task.solution(problem)):
        score = task.score(text, problem)
        assert not score.abstained, (text[:200], score.parts)
        assert not any("raised" in part.reason for part in score.parts.values()), (text[:200], score.parts)


def test_no_program_makes_the_code_criterion_abstain():
    right = "```python\ndef f(x):\n    return 2 * x\n```"
    problem = Problem("p", {"entry_point": "f", "calls": [{"args": [1], "expected": 2}]})
    with SandboxPool(2, Limits(wall_s=0.5)) as pool:
        rubric = Rubric(code(pool=lambda: pool))
        for text in list(texts(3, 40, right))[-40:]:
            score = rubric.score(Completion(text), problem)
            assert not score.abstained, (text[:200], score.parts)


CHECKS = {
    name: lambda text, case=case: case[0].check(Completion(text), Problem("p", case[1]))
    for name, case in CASES.items()
}
CHECKS["extract"] = lambda text: extract(text, add_lenient(("boxed",)))
CHECKS["extract, numbers"] = lambda text: extract(text, ("hash", "last_number"))
CHECKS["extract_code"] = lambda text: extract_code(text, "plain", "f")
READERS = ("extract", "extract, numbers", "extract_code")  # what the others read a completion with


def slow_texts(name: str, pieces, frames) -> list[tuple[str, str]]:
    check, slow = CHECKS[name], []
    for piece in pieces:
        for text in long_texts(piece, MEGABYTE, frames):
            if cpu_seconds(lambda text=text: check(text), LIMIT_S / 2) > LIMIT_S:
                slow.append((piece, text[:40]))
    return slow


@pytest.mark.parametrize("name", READERS)
def test_a_megabyte_is_read_at_once(name):
    assert slow_texts(name, MANY, FRAMES[5:8]) == []


@pytest.mark.parametrize("name", [name for name in CASES if name != "pattern"])
def test_a_megabyte_is_judged_at_once(name):
    assert slow_texts(name, ("1,", "{{a}", " "), FRAMES[1:3]) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CHECKS if name != "pattern"])
def test_a_megabyte_of_anything_is_read_at_once(name):
    assert slow_texts(name, PIECES, FRAMES) == []


@pytest.mark.parametrize("name", READERS)
def test_eight_times_the_text_takes_about_eight_times_as_long(name):
    check, steep = CHECKS[name], []
    for piece in PIECES:
        pairs = zip(
            long_texts(piece, 15_000, FRAMES[5:]), long_texts(piece, 120_000, FRAMES[5:]), strict=True
        )
        for small, large in pairs:
            seconds = cpu_seconds(lambda large=large: check(large), 0.03)
            if seconds > 0.03 and seconds > 8 * 4 * cpu_seconds(lambda small=small: check(small)):
                steep.append((piece, large[:40]))
    assert steep == []


def test_a_pattern_stops_at_its_limit():
    criterion = pattern(r"(?:a|aa|a.?)+$b")
    text = "a" * (MEGABYTE - 1)
    assert cpu_seconds(lambda: criterion.check(Completion(text), Problem("p")), LIMIT_S) < LIMIT_S
    score = Rubric(number(), criterion).score(Completion(text), Problem("p", "1"))
    assert score.parts["format"].status is Status.MALFORMED
    assert not score.abstained
