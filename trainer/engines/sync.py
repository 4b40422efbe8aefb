"""The proof that an engine samples from the weights that are trained, after each load.

Three questions, each answered by the trainer's own pass too: the log-probabilities of a fixed text; those of
the beginning of a completion of the last step; and, from an engine with weights of its own, a few tokens that
it draws after both prompts, by the very path that samples (a server may keep what it computed of a prompt
under the old weights, and use it only there). Beyond the bound the run stops, with the names of the
parameters that differ where the engine has checksums by name. An engine that answers to the last bit as it
did before a load, while the trainer's answer has moved, has not loaded.

An engine that reads the policy's own weights has nothing to load, and each step's update compares all of its
log-probabilities with its own. It is proven first, and again whenever that costs at most 2 % of the time
since.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch

from ...tasks.core.errors import RunError
from ...verifiers import Completion
from ..model.logprobs import compute_logprobs
from ..model.policy import Policy
from ..model.sequences import Sequences
from .base import Engine, Request, Row, Sampling

TEXT = (
    "To prove that two machines think alike, ask both the same question and compare their answers in full. "
)
PROMPT_TOKENS = 40  # more than a block of a server's cache: it keeps whole blocks only
FIXED_TOKENS, LAST_TOKENS, DRAWN_TOKENS = 8, 8, 2
STREAM = 17
LOGPROB_BOUNDS = {torch.float32: 1e-3, torch.bfloat16: 0.1}  # mean difference in nats that stops a run
STALE_SHARE = 0.1  # of the bound: how far the trainer must have moved for an unmoved engine to be a stale one
MOST_SHARE = 0.02  # of the time, that proofs of an engine which has nothing to load may take
MOST_NAMES = 6  # in a sentence


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


@dataclass(frozen=True)
class SyncReport:
    """What a load and its proof came to. difference, worst: mean and largest absolute difference of the
    engine's and the trainer's log-probabilities, in nats per token.  tokens: that were compared.
    load_seconds: of the load itself.  seconds: of the proof."""

    version: int
    difference: float
    worst: float
    tokens: int
    load_seconds: float
    seconds: float


class SyncProof:
    """Loads weights into an engine, and proves it each time.

    bound: of the mean difference, in nats per token.  remedy: what a refusal ends with.  clock: in seconds.
    report: of the last load; None where it was not proven.

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
        self.report: SyncReport | None = None
        self._policy: Policy | None = None
        self._version, self._next = 0, -math.inf
        self._last: Completion | None = None
        self._answer: Sequence[float] = []
        self._expected: Sequence[float] = []

    def keep(self, completion: Completion) -> None:
        """Ask about this completion, too, from the next load on."""
        self._last = completion if len(completion.prompt_ids) and len(completion.ids) else None

    def load(self, engine: Engine, policy: Policy, version: int) -> None:
        """Load the policy's weights as `version`, where that is not what was loaded last, and prove it.

        Raises RunError where the engine does not sample from them.
        """
        if policy is self._policy and version == self._version:
            return
        known, self._policy, self.report = self._policy, None, None
        start = self._clock()
        engine.load(policy, version)
        loaded = self._clock()
        if not (engine.in_place and policy is known and loaded < self._next):
            self.report = self._prove(engine, policy, version, loaded - start)
            seconds = self._clock() - loaded
            self.report = replace(self.report, seconds=seconds)
            self._next = loaded + seconds / MOST_SHARE
        self._policy, self._version = policy, version

    def list_rows(self, policy: Policy) -> list[Row]:
        """The fixed text, and the beginning of the completion that was kept last."""
        fixed, last = _make_fixed_row(policy), self._last
        return [fixed] if last is None else [fixed, Row(last.prompt_ids, last.ids[:LAST_TOKENS])]

    def _prove(self, engine: Engine, policy: Policy, version: int, load_seconds: float) -> SyncReport:
        """Raises RunError where the engine does not sample from the policy's weights."""
        rows, found = self._ask(engine, policy)
        report = self.compare(engine, policy, version, found, compute_expected(policy, rows))
        return replace(report, load_seconds=load_seconds)

    def compare(
        self,
        engine: Engine,
        policy: Policy,
        version: int,
        found: Sequence[Sequence[float]],
        expected: Sequence[Sequence[float]],
    ) -> SyncReport:
        """What the engine (`found`) and the trainer's own pass (`expected`) say of the tokens of some rows,
        the fixed row first. policy: whose parameters a refusal compares.

        Raises RunError where they are apart, or the engine's answer is that of before while the trainer's is
        not.
        """
        gaps = [abs(one - other) for ours, theirs in zip(expected, found, strict=True)
                for one, other in zip(ours, theirs, strict=True)]  # fmt: skip
        difference = sum(gaps) / len(gaps)
        if not difference <= self.bound:
            raise RunError(self._refuse(engine, policy, version, difference))
        self._check_moved(found[0], expected[0], version)
        self._answer, self._expected = found[0], expected[0]
        return SyncReport(version, difference, max(gaps), len(gaps), 0.0, 0.0)

    def _ask(self, engine: Engine, policy: Policy) -> tuple[list[Row], list[list[float]]]:
        """Rows, and what the engine says of their tokens."""
        rows = self.list_rows(policy)
        found = engine.compute_logprobs(rows)
        if engine.in_place:
            return rows, found
        requests = [Request(row.prompt_ids, 1, STREAM) for row in rows]
        for (drawn,) in engine.sample(requests, Sampling(max_new_tokens=DRAWN_TOKENS)):
            rows.append(Row(drawn.prompt_ids, drawn.ids))
            found.append(list(drawn.logprobs))
        return rows, found

    def _check_moved(self, found: Sequence[float], expected: Sequence[float], version: int) -> None:
        """Raise RunError where the trainer's answer about the fixed text has moved, and the engine's has not
        by a bit."""
        if not self._answer or found != self._answer:
            return
        pairs = zip(expected, self._expected, strict=True)
        moved = sum(abs(new - old) for new, old in pairs) / len(expected)
        if moved > STALE_SHARE * self.bound:
            raise RunError(
                f"The load of version {version} had no effect: the engine answers to the last bit as before "
                f"it, and the trainer's own answer has moved by {moved:.2g} nats per token. {self._remedy}"
            )

    def _refuse(self, engine: Engine, policy: Policy, version: int, difference: float) -> str:
        what = (
            f"by {difference:.2g} nats per token in the mean (the bound is {self.bound:.2g})"
            if math.isfinite(difference)
            else "beyond all bounds: a log-probability is not finite"
        )
        return (
            f"After the load of version {version}, engine and trainer disagree {what}, so the engine does "
            f"not sample from the weights that are trained. {_name_differences(engine, policy)}{self._remedy}"
        )


def _name_differences(engine: Engine, policy: Policy) -> str:
    """Which parameters differ, as a sentence."""
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


@torch.no_grad()
def compute_expected(policy: Policy, rows: Sequence[Row]) -> list[list[float]]:
    """The trainer's own log-probabilities of the rows' tokens, by the pass that its update takes."""
    sequences = Sequences.of([row.prompt_ids for row in rows], [row.ids for row in rows], policy.device)
    with policy.autocast():
        logprobs_BT = compute_logprobs(policy.model, sequences).logprobs_BT.float().cpu()
    return [found_T[: len(row.ids)].tolist() for found_T, row in zip(logprobs_BT, rows, strict=True)]
