"""What the sandbox says about one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from . import wire

MAX_TEXT = 1000
# What a terminal or a log could take for more than text: controls, surrogates,
# marks that turn the direction of writing.
_NO_TEXT = dict.fromkeys(
    [*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)], "�"
)


def clean(text: str) -> str:
    """A text that a program has a say in, for people: at most 1000 characters, no lone surrogates, no control
    characters but tab and line feed."""
    text = text[:MAX_TEXT].translate(_NO_TEXT)
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Status(StrEnum):
    """How a run ended. Only `error` says nothing about the program: it is trouble on our side."""

    COMPLETED = "completed"  # every call or test was run to its end, whatever came of it
    NOT_LOADED = "not_loaded"  # the source does not compile, or raises while it is executed
    TIMEOUT = "timeout"  # wall-clock or processor time ran out
    CRASHED = "crashed"  # the process ended before its last test: killed, exited, out of memory
    FLOODED = "flooded"  # more output, or a larger result, than its limit
    FORGED = "forged"  # bytes on the channel that nobody asked for, or in no form that the harness writes
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the entry point, and what it must return.

    Leave `expected` out to only look at the value.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    expected: Any = ...


@dataclass(frozen=True, slots=True)
class Result:
    """One call or test.

    passed: the claimed output equals the expected one by type and value (calls), or the
        assertions held (suites).
    claimed: the tree of the claimed output (see `plain`), None where there is none; `value` decodes it.
    reason: why it did not pass, as `clean` leaves it; "" otherwise.
    """

    passed: bool
    reason: str = ""
    claimed: Any = None
    returned: bool = False

    def __post_init__(self) -> None:
        if self.reason:
            object.__setattr__(self, "reason", clean(self.reason))

    @property
    def value(self) -> Any:
        """The claimed output as builtins.

        Raises LookupError when the call returned none, wire.Malformed for a set or dict made to
        be slow to build.
        """
        if not self.returned:
            raise LookupError(f"The call returned no value. {self.reason}")
        return wire.decode(self.claimed)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one run.

    results: one per call or test, in their order; those that were not reached have not passed.
    reason: as in a result.
    stdout, stderr: what the program wrote, up to the limit; never a ground for passing a function.
    seconds, cpu_s: wall-clock and processor time.  peak_memory: bytes of resident memory.
    exit_code: of a script; None for functions and for a script that did not end.
    weak: the tests ran in the program's own process, which could have forged their result.
    layers: the isolation layers that were active.
    """

    status: Status
    results: tuple[Result, ...] = ()
    reason: str = ""
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    cpu_s: float = 0.0
    peak_memory: int = 0
    exit_code: int | None = None
    weak: bool = False
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.reason:
            object.__setattr__(self, "reason", clean(self.reason))

    @property
    def passed(self) -> bool:
        """Everything ran to its end and every test passed; there was at least one."""
        return self.status is Status.COMPLETED and bool(self.results) and all(r.passed for r in self.results)

    @property
    def passed_share(self) -> float:
        """Share of tests passed, in [0, 1]; 0 for a run that was forged or failed on our side."""
        if not self.results or self.status in (Status.FORGED, Status.ERROR):
            return 0.0
        return sum(result.passed for result in self.results) / len(self.results)
