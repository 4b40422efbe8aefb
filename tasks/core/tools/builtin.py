"""Tools that come with the package, `palaestra.tools`: exact arithmetic, programs in the sandbox, and
those of MCP servers.

>>> import palaestra as pal
>>> pal.tools.calculator("2 * (30 - 9)"), pal.tools.calculator("1/3 + 1/4")
('42', '7/12')

A call that fails raises `CallFailed`, which says what the policy is answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ....verifiers.arithmetic import Grammar, NotArithmetic, evaluate
from ....verifiers.types import Unavailable
from .mcp import connect_mcp as connect_mcp
from .schema import CallFailed

if TYPE_CHECKING:
    from ....sandbox import Outcome

GRAMMAR = Grammar(max_chars=2_000, max_depth=50, max_digits=1_000)
SECONDS, MEMORY_MIB, OUTPUT_KIB = 5.0, 256, 64  # of a program
LAST_LINES = 4  # of standard error: an exception and where it was raised


def calculator(expression: str) -> str:
    """The exact value of an arithmetic expression with + - * / and parentheses; a fraction as a/b.

    expression: for example 12 * (34 - 5).
    """
    try:
        return str(evaluate(expression, GRAMMAR).value)
    except NotArithmetic as failure:
        raise CallFailed(f"Error: {failure}") from failure


def python(code: str) -> str:
    """What a Python program prints. It runs for at most 5 seconds, without files or a network.

    code: the program; print what you want to know.
    """
    from ....sandbox import MIB, Limits, SandboxUnavailable, Status, shared_pool

    memory, output = MEMORY_MIB * MIB, OUTPUT_KIB * 1024
    try:
        outcome = shared_pool().run_script(
            code, limits=Limits(wall_s=SECONDS, cpu_s=SECONDS, memory=memory, output=output)
        )
    except SandboxUnavailable as failure:
        raise Unavailable(str(failure)) from failure
    except ValueError as failure:  # a text that no program can be: it holds a surrogate
        raise CallFailed(f"Error: {failure}") from failure
    if outcome.status is Status.ERROR:
        raise Unavailable(outcome.reason)
    return _describe(outcome)


def _start_sandbox() -> Mapping[str, Any]:
    from ....sandbox import shared_pool

    return {"sandbox_layers": list(shared_pool().active_layers())}


python.start = _start_sandbox  # type: ignore[attr-defined]


def _describe(outcome: Outcome) -> str:
    """What a program's writer sees of its run. Raises CallFailed where it did not run to its end."""
    printed = outcome.stdout.rstrip("\n")
    if outcome.status == "completed" and outcome.exit_code == 0:
        return printed or "The program printed nothing: print what you want to know."
    faults = outcome.stderr.strip().split("\n")[-LAST_LINES:]
    told = "\n".join(faults) if any(faults) else outcome.reason or f"It ended by {outcome.status}."
    raise CallFailed("\n".join(filter(None, [printed, f"Error: {told}"])))
