"""The proof that an engine samples from the weights that are trained, after each load.

Two questions, each answered by the trainer's own pass too: the log-probabilities of the beginning of a
completion of the last step; and those of tokens that the engine draws after a fixed text, by the very path
that samples (a server may keep what it computed of a prompt under the old weights, and use it only there),
at a temperature at which it draws unlikely ones, too. Beyond the bound the run stops, with the names of the
parameters that differ where the engine has checksums by name. An engine that answers as it did before a load,
while the trainer's answer has moved, has not loaded.

An engine that can hold back what it samples is asked beside its sampling, by a thread of its own: what is
sampled is handed on once the proof holds, and never where it fails.

An engine that reads the policy's own weights has nothing to load, and each step's update compares all of its
log-probabilities with its own. It is asked for the log-probabilities of the fixed text in place of drawing.
It is proven first, and again whenever that costs at most 2 % of the time since.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar, runtime_checkable

import torch

from ...tasks.core.errors import RunError
from ...verifiers import Completion
from ..model.logprobs import compute_logprobs
from ..model.policy import Policy
from ..model.sequences import Sequences
from .base import Engine, Request, Row, Sampling
from .in_flight import BrokenOff

TEXT = (
    "To prove that two machines think alike, ask both the same question and compare their answers in full. "
)
PROMPT_TOKENS = 40  # more than a block of a server's cache: it keeps whole blocks only
FIXED_TOKENS, LAST_TOKENS = 8, 8
DRAWS, DRAWN_TOKENS = 4, 2  # short ones: the engine's first two steps have them all
STREAM = 17
THREAD = "prove a load"  # name of the one that does so beside the sampling
TEMPERATURE = 2.0  # of the draws; what a sure model is sure of hardly moves when its weights do
LOGPROB_BOUNDS = {torch.float32: 1e-3, torch.bfloat16: 0.1}  # mean difference in nats that stops a run
STALE_SHARE = 0.1  # of the bound: how far the trainer must have moved for an unmoved engine to be a stale one
UNMOVED_SHARE = 0.1  # of the trainer's move: an engine that moves by less moves by rounding alone
MOST_SHARE = 0.02  # of the time, that proofs of an engine which has nothing to load may take
MOST_NAMES = 6  # in a sentence

Found = TypeVar("Found")

REMEDY = (
    "Nothing was learned from it: start the engine anew and resume; if it stays so, take --engine local, "
    "or --dtype float32."
)


class NamesDifferences(Protocol):
    """What an engine with checksums says of its parameters: names of those that differ, how many were
    compared, and how many could not be."""

    @property
    def names(self) -> Sequence[str]: ...
    @property
    def compared(self) -> int: ...
    @property
    def unknown(self) -> int: ...


@runtime_checkable
class ComparesWeights(Protocol):
    """An engine that has checksums of its parameters by name."""

    def compare_weights(self, policy: Policy) -> NamesDifferences | None:
        """Which of them are not the policy's; None where it can't tell."""
        ...


@runtime_checkable
class HoldsBack(Protocol):
    """An engine that can sample while it is not yet known whether it may."""

    def hold_back(self, release: Callable[[], None]) -> Engine:
        """Hand on nothing that is sampled until `release` has returned; what it raises ends the sampling.
        Gives the engine as it can be asked meanwhile."""
        ...


@runtime_checkable
class Shared(Protocol):
    """An engine whose weights others may replace: there is one set of them for several engines."""

    def hold(self) -> AbstractContextManager[bool]:
        """Have it alone. Gives whether it still has what was loaded last."""
        ...


@runtime_checkable
class Sleeps(Protocol):
    """An engine whose weights may be gone until they are loaded again."""

    @property
    def asleep(self) -> bool:
        """Whether they are."""
        ...


@dataclass(frozen=True)
class SyncReport:
    """What a load and its proof came to. difference, worst: mean and largest absolute difference of the
    engine's and the trainer's log-probabilities, in nats per token.  tokens: that were compared.
    load_seconds: of the load itself.  seconds: from its end until it was proven.  held: of these, seconds
    for which completions were held back; the engine goes on sampling meanwhile."""

    version: int
    difference: float
    worst: float
    tokens: int
    load_seconds: float
    seconds: float
    held: float


@dataclass(frozen=True)
class Answers:
    """What the engine (`found`) and the trainer's own pass (`expected`) say of the tokens of some rows, in
    nats. fixed: how many of the first rows follow the fixed text."""

    rows: Sequence[Row]
    found: Sequence[Sequence[float]]
    expected: Sequence[Sequence[float]]
    fixed: int = 1

    def list_fixed_ids(self) -> list[list[int]]:
        """The tokens that follow the fixed text."""
        return [list(row.ids) for row in self.rows[: self.fixed]]

    def measure_missed_move(self, before: Answers, least: float) -> float:
        """By how much the trainer's answer about the fixed text has moved, in nats per token, where that is
        more than `least` and the engine's has not moved; 0 elsewhere."""
        if self.list_fixed_ids() != before.list_fixed_ids():
            return 0.0
        moved = _average_gap(self.expected[: self.fixed], before.expected)
        engine_moved = _average_gap(self.found[: self.fixed], before.found)
        return moved if moved > least and engine_moved <= UNMOVED_SHARE * moved else 0.0


class SyncProof:
    """Loads weights into an engine, and proves it each time.

    bound: of the mean difference, in nats per token.  remedy: what a refusal ends with.  clock: in seconds.

    >>> import palaestra as pal
    >>> policy = pal.load_policy("embedded")
    >>> proof = SyncProof(bound=1e-3)
    >>> proof.load(pal.LocalEngine(policy, rows=2), policy, version=1)
    >>> proof.report.difference < 1e-5, proof.report.tokens
    (True, 8)
    """

    def __init__(
        self, bound: float, remedy: str = REMEDY, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.bound, self._remedy, self._clock = bound, remedy, clock
        self._report: SyncReport | None = None
        self._pending: Future[SyncReport] | None = None
        self._policy: Policy | None = None
        self._next = -math.inf
        self._last: Completion | None = None
        self._before: Answers | None = None

    @property
    def report(self) -> SyncReport | None:
        """Of the last load; None where it was not proven. Waits for it, and raises as `settle` does."""
        self.settle()
        return self._report

    def keep(self, completion: Completion) -> None:
        """Ask about this completion, too, from the next load on."""
        self._last = completion if len(completion.prompt_ids) and len(completion.ids) else None

    def load(self, engine: Engine, policy: Policy, version: int) -> None:
        """Load the policy's weights as `version`, where the engine has other ones or none, and prove it.

        Where the engine holds back what it samples, the proof goes on beside the sampling. The policy's
        weights must stay as they are until `settle`, which the engine calls before it hands anything on.
        Raises RunError where the engine does not sample from them, or that of the load before.
        """
        self.settle()
        asleep = isinstance(engine, Sleeps) and engine.asleep
        if policy is self._policy and version == engine.version and not asleep:
            return
        known, self._policy, self._report = self._policy, None, None
        start = self._clock()
        engine.load(policy, version)
        loaded = self._clock()
        if not (engine.in_place and policy is known and loaded < self._next):
            prove = partial(self._prove, policy=policy, version=version, start=start, loaded=loaded)
            if isinstance(engine, HoldsBack):
                self._pending = _begin(THREAD, partial(prove, engine.hold_back(self.settle)))
            else:
                report = prove(engine)
                self._report = replace(report, held=report.seconds)
                self._next = loaded + report.seconds / MOST_SHARE
        self._policy = policy

    def settle(self) -> None:
        """Wait for the proof of the last load, where it goes on. Raises RunError where it fails."""
        if self._pending is None:
            return
        pending, policy, start = self._pending, self._policy, self._clock()
        self._pending, self._policy = None, None  # whatever happens here, it is not proven yet
        report = pending.result()
        # This thread may wake up late: what it waits for then is no longer the proof.
        held = min(self._clock() - start, report.seconds)
        self._report, self._policy = replace(report, held=held), policy

    @contextmanager
    def hold(self, engine: Engine) -> Iterator[None]:
        """Have the engine to oneself. What others loaded meanwhile is loaded anew by the next `load`. Raises
        as `settle` does."""
        if not isinstance(engine, Shared):
            yield
            return
        with engine.hold() as kept:
            if not kept:
                self._policy = None
            yield
            self.settle()

    def list_rows(self, policy: Policy) -> list[Row]:
        """The fixed text, and the beginning of the completion that was kept last."""
        return [_make_fixed_row(policy), *self._list_last()]

    def _list_last(self) -> list[Row]:
        last = self._last
        return [] if last is None else [Row(last.prompt_ids, last.ids[:LAST_TOKENS])]

    def _prove(self, engine: Engine, policy: Policy, version: int, start: float, loaded: float) -> SyncReport:
        """Raises RunError where the engine does not sample from the policy's weights."""
        report = self.compare(policy, version, self._ask(engine, policy), engine)
        return replace(report, load_seconds=loaded - start, seconds=self._clock() - loaded)

    def compare(
        self, policy: Policy, version: int, answers: Answers, engine: Engine | None = None
    ) -> SyncReport:
        """How far the two are apart. engine: whose parameters a refusal compares with the policy's; none
        where a copy of the policy has answered, which no engine has loaded yet.

        Raises RunError where that is beyond the bound, or the engine's answer is that of before while the
        trainer's is not.
        """
        gaps = _list_gaps(answers.expected, answers.found)
        difference = sum(gaps) / len(gaps)
        if not difference <= self.bound:
            raise RunError(self._refuse(policy, version, difference, engine))
        least = STALE_SHARE * self.bound
        if self._before is not None and (moved := answers.measure_missed_move(self._before, least)):
            raise RunError(
                f"The load of version {version} had no effect: the engine answers as before it, and the "
                f"trainer's own answer has moved by {moved:.2g} nats per token. {self._remedy}"
            )
        self._before = answers
        return SyncReport(version, difference, max(gaps), len(gaps), 0.0, 0.0, 0.0)

    def _ask(self, engine: Engine, policy: Policy) -> Answers:
        if engine.in_place:
            rows = self.list_rows(policy)
            return Answers(rows, engine.compute_logprobs(rows), compute_expected(policy, rows))
        request, last = Request(_make_fixed_row(policy).prompt_ids, DRAWS, STREAM), self._list_last()
        # At once, not behind what is sampled meanwhile.
        asked = _begin("ask of the last completion", partial(engine.compute_logprobs, last))
        try:
            [group] = engine.sample([request], Sampling(TEMPERATURE, max_new_tokens=DRAWN_TOKENS))
        except BrokenOff:
            asked.result()  # where that has failed, it is the cause
            raise
        rows = [Row(drawn.prompt_ids, drawn.ids) for drawn in group]
        # Times the temperature: a logit that differs by a nat counts as at temperature 1.
        drawn_logprobs = [drawn.logprobs for drawn in group], compute_expected(policy, rows, TEMPERATURE)
        found, expected = ([[TEMPERATURE * each for each in row] for row in of] for of in drawn_logprobs)
        found += asked.result()
        expected += compute_expected(policy, last)
        return Answers([*rows, *last], found, expected, len(rows))

    def _refuse(self, policy: Policy, version: int, difference: float, engine: Engine | None) -> str:
        what = (
            f"by {difference:.2g} nats per token in the mean (the bound is {self.bound:.2g})"
            if math.isfinite(difference)
            else "beyond all bounds: a log-probability is not finite"
        )
        return (
            f"After the load of version {version}, engine and trainer disagree {what}, so the engine does "
            f"not sample from the weights that are trained. {_name_differences(policy, engine)}{self._remedy}"
        )


def _name_differences(policy: Policy, engine: Engine | None) -> str:
    """Which parameters differ, as a sentence."""
    if engine is None:
        return ""
    found = engine.compare_weights(policy) if isinstance(engine, ComparesWeights) else None
    if found is None:
        return "This engine has no checksums that would tell which parameters differ. "
    hidden = f" ({found.unknown} more have no checksum to compare)" if found.unknown else ""
    if not found.names:
        return (
            f"All of its {found.compared} parameters that have a checksum are the trainer's{hidden}: what "
            "differs is another, or something that it keeps beside them. "
        )
    shown = ", ".join(found.names[:MOST_NAMES])
    more = f" and {len(found.names) - MOST_NAMES} more" if len(found.names) > MOST_NAMES else ""
    return f"Of {found.compared} parameters with a checksum these differ: {shown}{more}{hidden}. "


def _make_fixed_row(policy: Policy) -> Row:
    """The same text always, as the policy's tokenizer writes it."""
    ids = policy.tokenizer(TEXT, add_special_tokens=False).input_ids or [0]
    count = PROMPT_TOKENS + FIXED_TOKENS
    many = (ids * (count // len(ids) + 1))[:count]
    return Row(many[:PROMPT_TOKENS], many[PROMPT_TOKENS:])


def _list_gaps(one: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> list[float]:
    """Token by token the absolute difference, in nats."""
    pairs = zip(one, other, strict=True)
    return [abs(left - right) for row, with_ in pairs for left, right in zip(row, with_, strict=True)]


def _average_gap(rows: Sequence[Sequence[float]], before: Sequence[Sequence[float]]) -> float:
    """The mean absolute difference, in nats per token. before: its first rows are the same."""
    gaps = _list_gaps(rows, before[: len(rows)])
    return sum(gaps) / len(gaps)


def _begin(name: str, find: Callable[[], Found]) -> Future[Found]:
    """By a thread of its own, of that name, which nothing waits for at the end of the process."""
    future = Future[Found]()

    def work() -> None:
        try:
            future.set_result(find())
        except BaseException as failure:  # noqa: BLE001 raised again by whoever takes the result
            future.set_exception(failure)

    threading.Thread(target=work, name=name, daemon=True).start()
    return future


@torch.no_grad()
def compute_expected(policy: Policy, rows: Sequence[Row], temperature: float = 1.0) -> list[list[float]]:
    """The trainer's own log-probabilities of the rows' tokens, by the pass that its update takes."""
    if not rows:
        return []
    sequences = Sequences.of([row.prompt_ids for row in rows], [row.ids for row in rows], policy.device)
    with policy.autocast():
        logprobs_BT = compute_logprobs(policy.model, sequences, temperature).logprobs_BT.float().cpu()
    return [found_T[: len(row.ids)].tolist() for found_T, row in zip(logprobs_BT, rows, strict=True)]
