"""A query that a model wrote, run in SQLite inside the sandbox against databases that it never saw.

A problem's `reference` is plain data:

    {"databases": [{"script": "CREATE TABLE t (a); ...", "rows": [[1, "x"], ...]}, ...], "ordered": False}

`script` makes a database, `rows` are what the right query gives there. The answer has to be one SELECT that
only reads. A query without an end is ended by the sandbox and wrong, as any other that fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..criterion import Criterion
from ..extract import Source, extract
from ..quotations import undress
from ..types import Completion, ProblemLike, Verdict, error, malformed
from .answer import TAG_HINT
from .code import judge

if TYPE_CHECKING:
    from ...sandbox import Limits, SandboxPool

MAX_CHARS = 4_000
TOLERANCE = 1e-9  # relative or absolute, between two floats
SECONDS, MEMORY_MIB = 3.0, 256


def sql(
    name: str = "sql",
    weight: float = 1.0,
    *,
    sources: tuple[Source, ...] = ("tag",),
    limits: Limits | None = None,
    pool: Callable[[], SandboxPool] | None = None,
) -> Criterion:
    """The query gives the reference's rows in each of its databases (see the module's docstring).

    Names of columns don't count; the order of rows counts where the reference says `ordered`. 2.0 is 2.

    limits: of all databases together; by default 3 s and 256 MiB.
    pool: gives the sandboxes to run in; by default those that the process shares.

    >>> import palaestra as pal
    >>> base = {"script": "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2);", "rows": [[2]]}
    >>> rubric = pal.Rubric(pal.criteria.sql())
    >>> problem = pal.Problem("The largest a of t?", {"databases": [base]})
    >>> rubric.score(pal.Completion("<answer>SELECT MAX(a) FROM t</answer>"), problem).passed
    True
    """

    def sandboxes() -> SandboxPool:
        from ...sandbox import shared_pool

        return pool() if pool is not None else shared_pool(())

    def start() -> dict[str, list[str]]:
        return {"sandbox_layers": list(sandboxes().active_layers())}

    def check(completion: Completion, problem: ProblemLike) -> Verdict:
        databases, ordered = _read_reference(problem.reference)
        extraction = extract(completion.text, sources)
        if extraction.failure is not None:
            return extraction.failure
        assert extraction.answer is not None
        query = undress(extraction.answer)
        if len(query) > MAX_CHARS:
            return malformed(reason=f"The query is longer than {MAX_CHARS:,} characters.")
        from ...sandbox import MIB, Call, Limits, SandboxUnavailable

        within = limits or Limits(wall_s=SECONDS, cpu_s=SECONDS, memory=MEMORY_MIB * MIB)
        calls = [Call((base["script"], query, ordered), expected=base["rows"]) for base in databases]
        try:
            outcome = sandboxes().run_tests(
                _read_driver(), "run_query", calls, within, tolerance=TOLERANCE, stop_early=True
            )
        except SandboxUnavailable as failure:
            return error(str(failure))
        return judge([outcome], query)

    def render(reference: Mapping[str, Any]) -> str:
        return f"<answer>{reference['solution']}</answer>"

    return Criterion(name, check, weight, instruction=TAG_HINT, render=render, start=start, several=True)


@cache
def _read_driver() -> str:
    return Path(__file__).with_name("sql_inside.py").read_text()


def _read_reference(reference: Any) -> tuple[list[Mapping[str, Any]], bool]:
    if not isinstance(reference, Mapping) or not reference.get("databases"):
        raise ValueError(
            "The reference of an SQL problem is a mapping with databases, each with script and rows, "
            f"not {str(reference)[:80]!r}; see palaestra.verifiers.criteria.sql."
        )
    return reference["databases"], bool(reference.get("ordered", False))
