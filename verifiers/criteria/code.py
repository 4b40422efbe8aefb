"""Programs that a model wrote, run against tests in the sandbox.

A problem's `reference` says what a program must do, as plain data, in one of three forms:

    {"entry_point": "f", "calls": [{"args": [1, 2], "kwargs": {}, "expected": 3}, ...]}
    {"entry_point": "f", "tests": ["assert f(1, 2) == 3", ...]}      statements, run in a sandbox of their own
    {"cases": [{"stdin": "1 2", "stdout": "3"}, ...]}                whole programs

Optional with the first two: "prompt" (source that the model was shown and may continue). With calls:
"compare": "json", where the expected values come from JSON, which knows no tuples and where 2 may stand for
2.0. With tests: "setup" (trusted source to run before them), "classes" (names of the program's classes; the
tests may make objects of them by a call, assign their attributes, and give them to the entry points), "weak"
(True to run the tests inside the program's own process, for interfaces that plain data can't carry; the
program could then forge their result, so that passing them earns nothing
unless `code(weak=...)` says otherwise).

A program that runs out of time, memory or output is `wrong`, not `timeout`: its author decides how long it
runs, and would else escape the penalty for a wrong program by looping.
Only trouble of the sandbox itself is `error` and abstains.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ..criterion import Criterion
from ..extract import MAX_CHARS, Extraction, after_thinking
from ..quotations import MAX_BLOCKS, fenced_blocks
from ..regexes import compile_once
from ..rewrites import rewrite_program
from ..types import Completion, ProblemLike, Verdict, correct, error, malformed, no_answer, partial, wrong
from .cases import run_cases
from .python_blocks import programs_of

# the sandbox is imported with the first program, so that verifiers without one start at once
if TYPE_CHECKING:
    from ...sandbox import Limits, Mode, Outcome, SandboxPool

Blocks = Literal["last", "named", "plain"]
Weak = Literal["refuse", "partial", "accept"]
HINT = "Give your program in one ```python block."
_WEAK_VALUE = {"refuse": 0.0, "partial": 0.5}
_FORGEABLE = "The tests ran in the program's own process, where it could have forged them."
# Where a base model that continues a function has gone past its end (Chen et al. 2021, section 2.1).
_STOPS = r"\n(?:class |def |#|if |print|```|@)"


def extract_code(
    text: str, which: Blocks = "last", entry_point: str | None = None, *, unclosed: bool = True
) -> Extraction:
    """The program in a completion. Never raises; linear in the length of
    `text`; nothing is parsed or executed.

    which: `last`: the last closed Python block; `named`: the last such block that defines `entry_point`;
    `plain`: as `named`, but a text without any fence is the program itself.
    Only what follows the last `</think>` counts.

    A Python block is a fenced one (in a list item too; not in quoted lines, not indented further) that names
    Python or no language and is not a program's output (`programs_of`). One that is never closed (a stop
    string cut its end off) ends with the text and is the program where no Python block is closed.

    unclosed: whether it may be; `malformed` otherwise.
    """
    if len(text) > MAX_CHARS:
        return Extraction(None, malformed(reason=f"The completion is longer than {MAX_CHARS:,} characters."))
    tail = after_thinking(text)
    if tail is None:
        return Extraction(None, no_answer("The think block never ends."))
    fences = fenced_blocks(tail)
    if len(fences.closed) == MAX_BLOCKS:
        return Extraction(None, malformed(reason=f"There are {MAX_BLOCKS:,} code blocks or more."))
    blocks = programs_of(fences.closed)
    if not blocks and fences.open:
        if not unclosed:
            return Extraction(None, malformed(reason="A code block is never closed."))
        blocks = programs_of([fences.open])
    if which == "plain" and not blocks and "```" not in tail:
        return Extraction(tail) if tail.strip() else Extraction(None, no_answer("The completion is empty."))
    if which != "last" and entry_point is not None:
        named = [block for block in blocks if defines(block, entry_point)]
        blocks = named or (blocks if which == "plain" else [])
    if not blocks:
        what = f" that defines {entry_point}" if which == "named" and entry_point else ""
        return Extraction(None, no_answer(f"No Python code block{what} was found."))
    if not blocks[-1].strip():
        return Extraction(None, no_answer("The last code block is empty."))
    return Extraction(blocks[-1], count=len(blocks))


def defines(source: str, name: str) -> bool:
    """Whether a source has a line `def name` or `class name` at its top level, by its text alone."""
    return (
        re.search(rf"^(?:async[ \t]+def|def|class)[ \t]+{re.escape(name.partition('.')[0])}\b", source, re.M)
        is not None
    )


def assemble(code: str, prompt: str, entry_point: str) -> str:
    """The program to run, from what a model wrote after `prompt`, which ends inside the function to complete.

    A whole function keeps the prompt's imports and helper functions; anything else continues the prompt, up
    to the first line that has left the function.
    """
    if not prompt:
        return code
    if defines(code, entry_point):
        return f"{prompt.rstrip()}\n    pass\n\n{code}"
    stop = compile_once(_STOPS).search(code)
    return prompt + (code[: stop.start()] + "\n" if stop else code)


def code(
    name: str = "code",
    weight: float = 1.0,
    *,
    blocks: Blocks = "last",
    limits: Limits | None = None,
    mode: Mode = "isolated",
    tolerance: float | None = None,
    partial_credit: bool = False,
    weak: Weak = "refuse",
    modules: Sequence[str] = (),
    pool: Callable[[], SandboxPool] | None = None,
) -> Criterion:
    """The program passes every test of the reference (see the module's docstring for its forms).

    limits: of the whole run; the `cases` of a problem share its time (see `run_cases`).
    partial_credit: the share of tests passed is the value, where they are not all passed; otherwise all or
        nothing, and a run of `calls` or `cases` ends with the first that fails.
    tolerance: relative or absolute difference that floats may have, in `calls` and `cases`.
    weak: what a program earns that passes tests which it could have forged (`"weak": True` in the reference):
        `refuse`: nothing; `partial`: half; `accept`: as if it could not,
        for evaluating models that were not trained on them.
    modules: installed modules that tests and programs may import besides the standard library.
    pool: gives the sandboxes to run in; by default those that the process shares.
    """

    if weak not in ("refuse", "partial", "accept"):
        raise ValueError(f"weak={weak!r} is not known; it is 'refuse', 'partial' or 'accept'.")
    if tolerance is not None and not 0 <= tolerance < 1:
        raise ValueError(
            f"tolerance={tolerance!r} is no difference that numbers may have; give 0 or more, below 1."
        )

    def sandboxes() -> SandboxPool:
        from ...sandbox import shared_pool

        return pool() if pool is not None else shared_pool(modules)

    def start() -> dict[str, list[str]]:
        return {"sandbox_layers": list(sandboxes().active_layers())}

    def check(completion: Completion, problem: ProblemLike) -> Verdict:
        reference = _reference(problem.reference)
        entry_point = reference.get("entry_point")
        extraction = extract_code(completion.text, blocks, entry_point)
        if extraction.failure is not None:
            return extraction.failure
        assert extraction.answer is not None
        from ...sandbox import SandboxUnavailable

        source = assemble(extraction.answer, reference.get("prompt", ""), entry_point or "")
        try:
            outcomes = _run(sandboxes(), source, reference, limits, mode, tolerance, partial_credit)
        except SandboxUnavailable as failure:
            return error(str(failure))
        return judge(outcomes, extraction.answer, partial_credit, weak)

    return Criterion(
        name,
        check,
        weight,
        instruction=HINT,
        render=lambda source: f"```python\n{source}\n```",
        start=start,
        rewrite=rewrite_program,
        several=True,
    )


def one_block(name: str = "one_block", weight: float = 0.1, *, blocks: Blocks = "last") -> Criterion:
    """One program, not several: exactly one Python block, closed (an output does not count), after any
    think block, or with `plain` a text without a fence."""

    def check(completion: Completion, _problem: ProblemLike) -> Verdict:
        extraction = extract_code(completion.text, blocks, unclosed=False)
        if extraction.failure is not None:
            return malformed(reason=extraction.failure.reason)
        if extraction.count > 1:
            return malformed(reason="There is more than one code block.")
        return correct(extraction.answer)

    return Criterion(name, check, weight)


def _reference(reference: Any) -> Mapping[str, Any]:
    if not isinstance(reference, Mapping) or not any(
        reference.get(form) for form in ("calls", "tests", "cases")
    ):
        raise ValueError(
            "The reference of a code problem is a mapping with calls, tests or cases, "
            f"not {str(reference)[:80]!r}; see palaestra.verifiers.criteria.code."
        )
    if reference.get("compare", "exact") not in ("exact", "json"):
        raise ValueError(f"The compare mode {reference['compare']!r} is not known; it is 'exact' or 'json'.")
    return reference


def _run(
    sandboxes: SandboxPool,
    source: str,
    reference: Mapping[str, Any],
    limits: Limits | None,
    mode: Mode,
    tolerance: float | None,
    partial_credit: bool,
) -> list[Outcome]:
    if "cases" in reference:
        return run_cases(sandboxes, source, reference["cases"], limits, tolerance, partial_credit)
    if "calls" in reference:
        from ...sandbox import Call

        calls = [Call(tuple(c["args"]), c.get("kwargs", {}), c["expected"]) for c in reference["calls"]]
        return [
            sandboxes.run_tests(
                source,
                reference["entry_point"],
                calls,
                limits,
                mode=mode,
                tolerance=tolerance,
                compare=reference.get("compare", "exact"),
                stop_early=not partial_credit,
            )
        ]
    return [
        sandboxes.run_suite(
            source,
            [reference["entry_point"], *reference.get("entry_points", ())],
            reference["tests"],
            limits,
            classes=reference.get("classes", ()),
            setup=reference.get("setup", ""),
            mode=mode,
            weak=reference.get("weak", False),
        )
    ]


def judge(
    outcomes: Sequence[Outcome],
    answer: str | None = None,
    partial_credit: bool = False,
    weak: Weak = "refuse",
) -> Verdict:
    """The verdict on one program from its runs."""
    from ...sandbox import Status

    failed = next((outcome for outcome in outcomes if outcome.status is Status.ERROR), None)
    if failed is not None:
        return error(f"The sandbox failed: {failed.reason}")
    note = _FORGEABLE if outcomes[0].weak else ""
    if all(outcome.passed for outcome in outcomes):
        return (
            correct(answer, note)
            if not note or weak == "accept"
            else partial(_WEAK_VALUE[weak], answer, note)
        )
    first = next(outcome for outcome in outcomes if not outcome.passed)
    reason = f"{first.status}: {first.reason} {note}".strip()
    if not partial_credit:
        return wrong(answer, reason)
    tests = sum(len(outcome.results) for outcome in outcomes)
    share = sum(outcome.passed_share * len(outcome.results) for outcome in outcomes) / tests if tests else 0.0
    if note and weak != "accept":
        share *= _WEAK_VALUE[weak]
    return partial(share, answer, reason) if 0 < share < 1 else wrong(answer, reason)
