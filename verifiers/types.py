"""The words of verification: what a check reads (`Completion`,
`ProblemLike`) and what it says (`Verdict`, `Score`)."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import Any, Literal, Protocol


class Status(StrEnum):
    """What a verifier found. Only `error` abstains: it says that the
    infrastructure, the reference or the verifier is broken.

    `timeout` says that the completion made its check too dear;
    like every other status but the first two it is worth 0.
    `not_applicable` says that the verifier has nothing to say of the problem, whatever the completion.
    """

    CORRECT = "correct"
    PARTIAL = "partial"
    WRONG = "wrong"
    NO_ANSWER = "no_answer"
    MALFORMED = "malformed"
    TIMEOUT = "timeout"
    ERROR = "error"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verifier's typed finding about one completion.

    value: in [0, 1]; 1 exactly when `status` is correct, 0 for every status but correct and partial.
    answer: the extracted answer as text, None when there was none.
    reason: one sentence for a person who reads the log.
    seconds: wall-clock time that the check took.
    number: what enters the reward where that is not `value`: a number beyond 0 and 1, which a function of
        another library gave. None: `value`.
    by_turn: what of it each turn of the policy brought in; () from a criterion that judges the whole.

    >>> import palaestra as pal
    >>> verdict = pal.verify(r"\\frac{1}{3}", "0.33")
    >>> verdict.status.value, verdict.value, verdict.correct
    ('wrong', 0.0, False)
    """

    status: Status
    value: float
    answer: str | None = None
    reason: str = ""
    seconds: float = 0.0
    number: float | None = None
    by_turn: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        low, high = _VALUE_RANGE.get(self.status, (0.0, 0.0))
        if not low <= self.value <= high:
            raise ValueError(
                f"A verdict of status {self.status} has a value in [{low}, {high}], not {self.value}."
            )

    @property
    def correct(self) -> bool:
        return self.status is Status.CORRECT

    @property
    def amount(self) -> float:
        """What enters the reward."""
        return self.value if self.number is None else self.number

    def __repr__(self) -> str:
        from .display import quote

        value = f"{self.status} {self.amount:.3g}" if self.status is Status.PARTIAL else str(self.status)
        answer = "" if self.answer is None else f", answer={quote(self.answer)}"
        return f"{type(self).__name__}({value}{answer}{f', {quote(self.reason)}' if self.reason else ''})"


@dataclass(frozen=True, slots=True, repr=False)
class Misreturned(Verdict):
    """What stands where a check returned no verdict. Its author has to mend it: whoever scores by hand
    (`pal.score`) is told at once, and a run goes on until too much of this adds up."""


_VALUE_RANGE = {Status.CORRECT: (1.0, 1.0), Status.PARTIAL: (0.0, 1.0)}


def correct(answer: str | None = None, reason: str = "") -> Verdict:
    return Verdict(Status.CORRECT, 1.0, answer, reason)


def partial(value: float, answer: str | None = None, reason: str = "") -> Verdict:
    return Verdict(Status.PARTIAL, value, answer, reason)


def wrong(answer: str | None = None, reason: str = "") -> Verdict:
    return Verdict(Status.WRONG, 0.0, answer, reason)


def no_answer(reason: str = "") -> Verdict:
    return Verdict(Status.NO_ANSWER, 0.0, None, reason)


def malformed(answer: str | None = None, reason: str = "") -> Verdict:
    return Verdict(Status.MALFORMED, 0.0, answer, reason)


def timeout(answer: str | None = None, reason: str = "") -> Verdict:
    return Verdict(Status.TIMEOUT, 0.0, answer, reason)


def error(reason: str) -> Verdict:
    return Verdict(Status.ERROR, 0.0, None, reason)


@dataclass(frozen=True, slots=True)
class KeptTokens:
    """The tokens that top-k, top-p and min-p had left when each token of a completion was drawn.

    ids: of type "i", the sets one after the other, ascending in each.  counts: of type "i", how many ids
    the set of each token has, 1 or more.

    >>> from array import array
    >>> from palaestra.verifiers.types import KeptTokens
    >>> kept = KeptTokens(ids=array("i", [3, 5, 8, 5]), counts=array("i", [3, 1]))
    >>> [list(tokens) for tokens in kept.list_sets()]
    [[3, 5, 8], [5]]
    """

    ids: array[int]
    counts: array[int]

    def list_sets(self) -> list[array[int]]:
        """The set of each token."""
        ends = list(accumulate(self.counts))
        return [self.ids[end - count : end] for end, count in zip(ends, self.counts, strict=True)]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a completion and of its prompt, each 0 or more."""

    tokens: int
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Rewind:
    """Where an episode's context begins a branch, since the chat template rewrote what stood there.

    place: index in `Completion.ids` of the first token that is read in place of the old ones; the model drew
    none of those from there to its next turn.  kept: how many of the tokens read so far, of prompt and
    completion, stay before it, 0 or more.
    """

    place: int
    kept: int


@dataclass(frozen=True, slots=True)
class Turn:
    """What one of the two said in an episode.

    role: "policy", what the model wrote, or "world", what it was answered.
    voice: in which role of a chat the world spoke, "user" or "tool".
    reward: what the world says that this turn of the policy earned; None where it says nothing. It is paid
        by a criterion that reads it alone (`criteria.turn_rewards`).

    >>> import palaestra as pal
    >>> turn = pal.Turn("world", "Too high.")
    >>> turn.role, turn.voice, turn.reward
    ('world', 'user', None)
    """

    role: Literal["policy", "world"]
    text: str
    voice: str = "user"
    reward: float | None = None


# How an episode ends where its world gave no reply, and what each criterion then finds of the completion:
# only what the infrastructure did abstains.
FAULTS = {"unavailable": Status.ERROR, "raised": Status.MALFORMED, "timeout": Status.TIMEOUT}


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote for one prompt.

    text: all that the model wrote; of an episode its turns, one to a line, without what the world answered.

    prompt_ids, ids: token ids; `ids` ends with the end-of-sequence token when `finish_reason` is "stop".
    logprobs: natural-log probability of each of `ids` under the distribution it was drawn from; 0 for one
    that was not drawn.
    finish_reason: "stop" (an end token, a stop string, or the end of the episode) or "length" (the token
    budget of the completion, or of a turn, ran out). Of an episode also "turns" and "tokens" (its limits of
    them), and where its world gave no reply "timeout" (it took too long), "raised" (the policy's words made
    it fail) or "unavailable" (it failed in any case).
    reasoning: what an endpoint gave apart from the text; it is not judged.
    message: the turn as a chat endpoint gave it, where tools were called: what it is sent back as; its calls
    are in the text, too.
    usage: how many tokens there are, where the ids are not known: read from a file, or from an endpoint.
    kept: the tokens that each of `ids` was drawn among, where that was asked for (`Sampling.record_kept`);
    None: the whole vocabulary.
    sampled: which of `ids` the model drew, where others stand between them; () for all.
    rewinds: of an episode as branches, where its context was rewritten, in order; () where it only grew.
    turns: of an episode, in order, beginning with the policy's; () for a single turn.
    state: the last `state` of the episode, as JSON has it; None where it has none.
    fault: a sentence, why the world gave no reply.
    version: of the weights that it was drawn from: what the engine's last `load` was given.

    >>> import palaestra as pal
    >>> pal.Completion("<answer>42</answer>").finish_reason
    'stop'
    """

    text: str
    prompt_ids: Sequence[int] = ()
    ids: Sequence[int] = ()
    logprobs: Sequence[float] = ()
    finish_reason: str = "stop"
    kept: KeptTokens | None = field(default=None, repr=False, hash=False)
    usage: Usage | None = None
    reasoning: str = ""
    sampled: Sequence[bool] = ()
    rewinds: tuple[Rewind, ...] = ()
    turns: tuple[Turn, ...] = ()
    state: Any = field(default=None, hash=False)
    fault: str = ""
    version: int = 0
    message: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)

    @property
    def tokens(self) -> int:
        """How many tokens the model wrote, an end token included; none of those that the world answered."""
        if self.usage is not None:
            return self.usage.tokens
        return sum(self.sampled) if self.sampled else len(self.ids)

    @property
    def truncated(self) -> bool:
        """Whether a limit of tokens cut it."""
        return self.finish_reason in ("length", "tokens")

    @property
    def prompt_tokens(self) -> int:
        """How many tokens the model read."""
        return len(self.prompt_ids) if self.usage is None else self.usage.prompt_tokens

    def __repr__(self) -> str:
        from .display import quote

        tokens = f", {len(self.ids)} tokens" if len(self.ids) else ""
        turns = f", {len(self.turns)} turns" if self.turns else ""
        return f"Completion({quote(self.text)}{turns}{tokens}, {self.finish_reason})"

    def _repr_html_(self) -> str:
        from .display import tell_ending, write_html_fields, write_html_turns

        facts = [("tokens", len(self.ids) or "not known"), ("ended by", self.finish_reason)]
        if not self.turns:
            return write_html_fields("Completion", [*facts, ("text", self.text)])
        facts[1] = ("end", f"{tell_ending(self.finish_reason, episode=True)} {self.fault}".strip())
        if self.state is not None:
            facts.append(("state at the end", repr(self.state)))
        return write_html_fields("Completion", facts) + write_html_turns(self.turns)


class Unavailable(RuntimeError):
    """What a check needs is not there (a pool can't start, a service is down), whatever the completion says.

    A check raises this to abstain; any other exception is looked into (`criterion.run_check`).
    """


class ProblemLike(Protocol):
    """The part of a problem that a verifier may read."""

    @property
    def prompt(self) -> str | Sequence[Mapping[str, str]]: ...
    @property
    def reference(self) -> Any: ...
    @property
    def metadata(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Score:
    """A rubric's judgement of one completion.

    reward: what training sees, in [0, 1] (a rubric with a linear learned criterion:
        from its `least` to its `most`; with a function of another library: any number).
    passed: what pass-rates count, the correctness criterion alone.
    abstained: some verifier was broken, whatever the completion; it counts neither as right nor as wrong.
    learned: normalised rewards of reward models (criterion's name ->
        standard deviations above the mean answer).
    criterion: name of the rubric's correctness criterion, by which `parts` has its verdict;
        "" where no rubric scored.
    values, weights: what the reward is made of, by the criterion's name: the weights sum to 1, and the sum of
        weight times value is the reward. Where a gate failed, each value is the lowest that there is. A
        criterion that does not apply to the problem is in neither. Both are empty where it abstained or no
        rubric scored.
    by_turn: what of the reward each turn of an episode earned by itself, in order; the rest is of the whole.
        () where no criterion judges turns, and where a gate failed.

    >>> import palaestra as pal
    >>> score = pal.score("gcd", "<answer>6</answer> I think", pal.Problem("gcd of 12 and 18?", "6"))
    >>> round(score.reward, 3), score.passed
    (0.909, True)
    >>> {name: verdict.status.value for name, verdict in score.parts.items()}
    {'number': 'correct', 'answer_tag': 'malformed'}
    """

    reward: float
    passed: bool
    parts: Mapping[str, Verdict] = field(default_factory=dict)
    abstained: bool = False
    learned: Mapping[str, float] = field(default_factory=dict)
    criterion: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    by_turn: tuple[float, ...] = ()

    @property
    def correctness(self) -> Verdict | None:
        """The verdict of the correctness criterion; None where no rubric scored."""
        return self.parts.get(self.criterion)

    @property
    def extracted(self) -> bool:
        """Whether the criterion that decides `passed` found an answer to judge."""
        return self.correctness is not None and self.correctness.status not in _UNEXTRACTED

    @property
    def outcome(self) -> str:
        """`passed`, `not passed` or `abstained`."""
        return "abstained" if self.abstained else "passed" if self.passed else "not passed"

    def __repr__(self) -> str:
        parts = "".join(f", {name}: {verdict.status}" for name, verdict in self.parts.items())
        return f"Score(reward {self.reward:.3g}, {self.outcome}{parts})"

    def _repr_html_(self) -> str:
        from .display import write_html_table

        rows = [
            (
                name,
                part.status,
                f"{part.value:.3g}",
                self.weights.get(name, 0),
                part.answer or "",
                part.reason,
            )
            for name, part in self.parts.items()
        ]
        columns = ("criterion", "verdict", "value", "weight", "answer", "reason")
        return write_html_table(f"reward {self.reward:.3g}, {self.outcome}", columns, rows)


_UNEXTRACTED = (Status.NO_ANSWER, Status.MALFORMED)
