"""One verifier of a rubric, how a learned reward enters one, and what becomes of a check that raises."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from .combined import Combined
from .types import (
    FAULTS,
    Completion,
    Misreturned,
    ProblemLike,
    Status,
    Unavailable,
    Verdict,
    error,
    malformed,
    partial,
)

NOTHING = Completion("")
JUDGED = (Status.CORRECT, Status.PARTIAL, Status.WRONG)
# What a completion may look like, as the field's prompts ask for it, around what it says.
FORMS = (
    "{}",
    "<think>\nIt is so.\n</think>\n{}",
    "<think>\nIt is so.\n</think>\n<answer>\n{}\n</answer>",
    "<thinking>It is so.</thinking>\n{}",
    "<reasoning>\nIt is so.\n</reasoning>\n<answer>\n{}\n</answer>\n",
    "```python\n{}\n```",
    '```json\n{{"answer": "{}"}}\n```',
    '{{"answer": "{}"}}',
    "Answer: {}",
    "Step 1: It is so.\n\nStep 2: So it is.\n\nThe final answer is **{}**.",
    "It is so. " * 200 + "{}",
)
MOST_KEPT = 4096  # of what is known of whether a check applies to a problem
MAX_REASON = 500  # characters of an exception's message
# standard deviations: a learned reward beyond them says that the model is far from what it was trained on
CLIP = 10.0
Shape = Literal["logistic", "linear"]
# A problem is a ProblemLike; Any lets a function say that it takes the tasks' own Problem,
# which this room does not know.
Check = Callable[[Completion, Any], Verdict]
# a plain function that stands for a criterion, in one of the signatures of functions.py
Reward = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a source file, counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        path = os.path.relpath(self.file) if os.path.isabs(self.file) else self.file
        return f"{self.file if path.startswith('..') else path}, line {self.line}"


@dataclass(frozen=True)
class Criterion:
    """One verifier in a rubric.

    check: reads a completion and a problem, gives a verdict. It must be bounded by counts, or run its work in
        a process that its parent kills at a deadline; it should not raise on any
        completion (see `run_check` for what happens then).
    weight: share in the reward (any unit: the rubric divides by the sum of weights).
    gate: True for a condition that adds nothing itself but without which the reward is 0.
    render: the shortest completion that carries a given reference answer in the form this criterion reads;
        `palaestra task check` feeds it back when the task has no solution of its own.
    instruction: what a prompt must say so that a model knows the form; "" where nothing needs saying.
    start: called before the first completion of a run; gives facts for the run's record ({"sandbox_layers":
        [...]}), and raises an error with a sentence where the criterion can't work on this machine.
    learned: how the value of a reward model enters the reward; None for a criterion that `check` decides.
    several: whether a problem may have several right answers, of which the reference is one or says what they
        fulfil. Where it has one, however it is written, `palaestra task check` knows that another is wrong.
    free: whether any text is right that follows what is asked, whatever it says: `palaestra task check` then
        knows of a text without words alone that it is wrong.
    form: whether it reads the form of a completion alone, whatever the answer: a reward that differs by such
        criteria only is no sign that a run can learn to be right.
    lenient: the check with answers in plain prose read too, for the evaluation of models that were told no
        form; None where it reads no answer.
    low: the least number that its verdicts bring into the reward; None where that is not known.
    bounded: whether no number of them is above 1; False for a function of another library.
    place: where the function is written that it was made of, for sentences; None for others.
    rewrite: other texts of an answer that mean the same and that it promises to read (verifiers/rewrites.py);
        None where nothing is promised. No check looks at them: `palaestra task check` feeds them to it.
    by_turn: whether its verdicts say what each turn of an episode earned (`Verdict.by_turn`).
    combined: how its verdict is made of those of other criteria of the same rubric, which then calls `check`
        for none of them again; None for a criterion that judges by itself.

    >>> import palaestra as pal
    >>> from palaestra.verifiers.types import correct, wrong
    >>> def check(completion, problem):
    ...     right = completion.text.endswith(problem.reference)
    ...     return correct() if right else wrong(reason="Another last word.")
    >>> last_word = pal.Criterion("last_word", check, weight=0.5)
    >>> pal.Rubric(last_word).score(pal.Completion("It is over"), pal.Problem("", "over")).reward
    1.0
    """

    name: str
    check: Check
    weight: float = 1.0
    gate: bool = False
    render: Callable[[Any], str] | None = None
    instruction: str = ""
    learned: Learned | None = None
    start: Callable[[], Mapping[str, Any]] | None = None
    lenient: Check | None = None
    low: float | None = 0.0
    bounded: bool = True
    place: Place | None = None
    form: bool = False
    rewrite: Callable[[str], Iterable[str]] | None = None
    several: bool = False
    free: bool = False
    combined: Combined | None = None
    by_turn: bool = False

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError(
                f"Criterion {self.name!r} has weight {self.weight}; give it a weight of 0 or more."
            )
        if self.gate and self.learned is not None:
            raise ValueError(
                f"The learned criterion {self.name!r} can't be a gate: a reward model never says `correct`."
            )

    @property
    def label(self) -> str:
        """What sentences call it: its name, and where it is written."""
        return self.name if self.place is None else f"{self.name} ({self.place})"


class NoVerdictError(TypeError):
    """A check returned what is no verdict. The message says what, and goes on after the check's name."""


def is_own(criterion: Criterion) -> bool:
    """Whether somebody else's code judges: a function, or a check that is not one of this package's."""
    module = getattr(criterion.check, "__module__", None) or ""
    house = __name__.partition(".")[0]
    return module == f"{__package__}.functions" or not module.startswith(f"{house}.")


def run_check(criterion: Criterion, completion: Completion, problem: ProblemLike) -> Verdict:
    """The criterion's verdict with the time it took.

    A check that raises is tried on harmless completions for the same problem, three short ones at most: the
    criterion's own rendering of the reference, or else the reference as plain text and in every mark. When it
    raises there too, and judges none of them, it or the reference is broken: `error`, which abstains. The
    end of an episode is tried with harmless values in the place of those of its state, and of those that are
    missing there, and with harmless words in its turns (`list_softened`).
    Otherwise this completion brought the exception about: `malformed`. `Unavailable` is always `error`.
    A check that returns no verdict is judged in the same way, and what stands for it is a `Misreturned`.
    So is one that says `not_applicable`: where it applies to a harmless completion this one is `malformed`.
    A completion whose episode's world failed is not read at all: see `types.FAULTS`.
    """
    start = time.perf_counter()
    if completion.finish_reason in FAULTS:
        return judge_fault(criterion, completion)
    try:
        verdict = _check(criterion, completion, problem)
        if verdict.status is Status.NOT_APPLICABLE and _applies(criterion, problem):
            verdict = _penalise(f"{criterion.label}: {verdict.reason}", criterion, problem)
    except Unavailable as failure:
        verdict = error(f"{criterion.name}: {_text(failure)}")
    except NoVerdictError as failure:
        found = _blame(f"{criterion.label} {failure}", criterion, problem, completion)
        verdict = Misreturned(found.status, found.value, None, found.reason, number=found.number)
    except Exception as failure:  # noqa: BLE001 - a check may raise anything; what it means is found out, and a long run goes on
        verdict = _blame(_tell(criterion, failure), criterion, problem, completion)
    return replace(verdict, seconds=time.perf_counter() - start)


def judge_fault(criterion: Criterion, completion: Completion) -> Verdict:
    """Of a completion whose episode's world gave no reply: nothing is worth anything that the policy's words
    made fail, and what failed in any case abstains."""
    status = FAULTS[completion.finish_reason]
    number = criterion.low if status is not Status.ERROR and criterion.low else None
    return Verdict(status, 0.0, None, completion.fault or "The world gave no reply.", number=number)


def _tell(criterion: Criterion, failure: Exception) -> str:
    """What a check raised, and for a function at which of its file's lines."""
    where = ""
    if criterion.place is not None:
        import traceback  # slow to import, and only failures need it

        frames = traceback.walk_tb(failure.__traceback__)
        lines = [line for frame, line in frames if frame.f_code.co_filename == criterion.place.file]
        where = f" at line {lines[-1]}" if lines else ""
    return f"The check of {criterion.label} raised {type(failure).__name__}{where}: {_text(failure)}"


def _blame(said: str, criterion: Criterion, problem: ProblemLike, completion: Completion) -> Verdict:
    """Whether a check that failed is broken, or this completion brought it about."""
    broken = _fails_on_harmless(criterion, problem, completion)
    return error(said) if broken else _penalise(said, criterion, problem)


def _penalise(said: str, criterion: Criterion, problem: ProblemLike) -> Verdict:
    """What a completion gets that brought a failure about: the least that the criterion gives, where that is
    known, else what the harmless completions get at worst."""
    verdict = malformed(reason=f"{said} (on this completion)")
    if criterion.low == 0:
        return verdict
    if criterion.low is not None:
        return replace(verdict, number=criterion.low)
    judged = _judge_harmless(criterion, problem)
    return replace(verdict, number=min([0.0, *(each.amount for each in judged if each)]))


def _check(criterion: Criterion, completion: Completion, problem: ProblemLike) -> Verdict:
    verdict = criterion.check(completion, problem)
    if not isinstance(verdict, Verdict):
        raise NoVerdictError(f"returned {type(verdict).__name__}, which is no Verdict.")
    if criterion.low is not None and verdict.amount < criterion.low:
        raise NoVerdictError(
            f"returned {verdict.amount:g}, below the least that it may give, {criterion.low:g}. Say its "
            f"least: criteria.function({criterion.name}, low=...)."
        )
    return verdict


def _applies(criterion: Criterion, problem: ProblemLike) -> bool:
    """Whether a check applies to a problem, by what it says of harmless completions in every usual form: one
    that says nothing of a text without a think block applies all the same."""
    from hashlib import sha256  # few criteria ever say that they do not apply

    said = f"{problem.prompt}\0{problem.reference}\0{problem.metadata}"
    key = (criterion.check, sha256(said.encode(errors="surrogatepass")).digest())
    applies = _APPLIES.get(key)
    if applies is None:
        texts = (form.format(text) for text in find_harmless(criterion, problem) for form in FORMS)
        applies = any(each and each.status in JUDGED for each in _judge_all(criterion, problem, texts))
        if len(_APPLIES) >= MOST_KEPT:
            _APPLIES.clear()
        _APPLIES[key] = applies
    return applies


_APPLIES: dict[tuple[Check, bytes], bool] = {}  # a slow judge says it once for all completions of a problem


def _fails_on_harmless(criterion: Criterion, problem: ProblemLike, completion: Completion) -> bool:
    """Whether a check raises on harmless completions, however an episode ends, and judges none: one without
    an answer may not reach the fault."""
    from .softened import list_softened  # few checks ever raise

    try:
        for end in list_softened(completion):
            judged = _judge_harmless(criterion, problem, end)
            if None not in judged or any(each and each.status in JUDGED for each in judged):
                return False
    except Exception:  # noqa: BLE001 - a reference that can't be rendered is broken, in whatever way
        pass
    return True


def _judge_harmless(
    criterion: Criterion, problem: ProblemLike, end: Completion = NOTHING
) -> list[Verdict | None]:
    """The verdicts on harmless completions, None where the check raises."""
    return list(_judge_all(criterion, problem, find_harmless(criterion, problem), end))


def _judge_all(
    criterion: Criterion, problem: ProblemLike, texts: Iterable[str], end: Completion = NOTHING
) -> Iterator[Verdict | None]:
    """end: of the episode in which the texts are said."""
    for text in texts:
        try:
            yield _check(criterion, _say(text, end), problem)
        except Exception:  # noqa: BLE001 - that it raises is what is asked
            yield None


def _say(text: str, end: Completion) -> Completion:
    """A completion that ends so, in which the policy says nothing but a text."""
    turns = (replace(turn, text=text) if turn.role == "policy" else turn for turn in end.turns)
    return replace(end, text=text, turns=tuple(turns))


def find_harmless(criterion: Criterion, problem: ProblemLike) -> tuple[str, ...]:
    """Completions that no check should fail at: the reference as the criterion itself writes it, or else as
    plain text and in every mark."""
    if criterion.render is not None:
        return (criterion.render(problem.reference),)
    plain = str(problem.reference)
    return (
        plain,
        f"<answer>{plain}</answer>\n\\boxed{{{plain}}}\n#### {plain}",
        "<answer>0</answer>\n\\boxed{0}\n#### 0",
    )


def _text(failure: BaseException) -> str:
    """What an exception says, MAX_REASON characters at most; "" where saying it raises in turn."""
    try:
        return str(failure)[:MAX_REASON]
    except Exception:  # noqa: BLE001 - `__str__` of somebody's exception may raise anything
        return ""


@dataclass(frozen=True)
class Learned:
    """How a normalised reward z (in standard deviations of the answers the
    reward model was fitted on) enters a score.

    logistic: 1 / (1 + e^-z), in (0, 1) like every other criterion.  linear: z itself, clipped to +-CLIP.
    """

    shape: Shape = "logistic"

    @property
    def least(self) -> float:
        """The lowest value it can contribute to a reward."""
        return 0.0 if self.shape == "logistic" else -CLIP

    @property
    def most(self) -> float:
        """The highest value it can contribute to a reward."""
        return 1.0 if self.shape == "logistic" else CLIP

    def value(self, z: float) -> float:
        """What it contributes to the reward, before its weight."""
        z = max(-CLIP, min(CLIP, z))
        return 1 / (1 + math.exp(-z)) if self.shape == "logistic" else z

    def verdict(self, z: float) -> Verdict:
        """The finding of a reward model as a verdict: never `correct`, for nothing was verified."""
        if not math.isfinite(z):
            return error(f"The reward model gave {z}, which is no number to learn from.")
        return partial(Learned().value(z), reason=f"Learned reward {z:+.4g} standard deviations.")
