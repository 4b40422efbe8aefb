"""A rubric turns the verdicts of its criteria into one score per completion."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .types import Completion, ProblemLike, Score, Status, Unavailable, Verdict, error, malformed

if TYPE_CHECKING:
    from .reward_models import Learned

JUDGED = (Status.CORRECT, Status.PARTIAL, Status.WRONG)
MAX_REASON = 500  # characters of an exception's message

Check = Callable[[Completion, ProblemLike], Verdict]


@dataclass(frozen=True)
class Criterion:
    """One verifier in a rubric.

    check: reads a completion and a problem, gives a verdict. It must be bounded by counts, or run its work in a process
        that its parent kills at a deadline; it should not raise on any completion (see `timed` for what happens then).
    weight: share in the reward (any unit: the rubric divides by the sum of weights).
    gate: True for a condition that adds nothing itself but without which the reward is 0.
    render: the shortest completion that carries a given reference answer in the form this criterion reads;
        `palaestra task check` feeds it back when the task has no solution of its own.
    instruction: what a prompt must say so that a model knows the form; "" where nothing needs saying.
    start: called before the first completion of a run; gives facts for the run's record ({"sandbox_layers": [...]}), and
        raises an error with a sentence where the criterion can't work on this machine.
    learned: how the value of a reward model enters the reward; None for a criterion that `check` decides.
    lenient: the check with answers in plain prose read too, for the evaluation of models that were told no form; None
        where it reads no answer.
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

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError(f"Criterion {self.name!r} has weight {self.weight}; give it a weight of 0 or more.")
        if self.gate and self.learned is not None:
            raise ValueError(f"The learned criterion {self.name!r} can't be a gate: a reward model never says `correct`.")


class Rubric:
    """`Rubric(correctness, *others)`: the first criterion alone decides `passed`; all of them make up `reward`.

    reward = sum(weight * value) / sum(weight) over the criteria that are no gates; when a gate is not correct it is
    `least`, the lowest reward that the rubric can give (0 without a linear learned criterion).
    A verdict `error` in any of them abstains. What a completion brings about is never one: a policy would learn to provoke it.

    A learned criterion is open until `fill` puts a reward model's finding in; until then the score abstains. A rubric
    whose first criterion is learned verifies nothing: `passed` is always False and means nothing there.
    """

    def __init__(self, correctness: Criterion, *others: Criterion) -> None:
        self.criteria = (correctness, *others)
        names = [criterion.name for criterion in self.criteria]
        if len(set(names)) != len(names):
            raise ValueError(f"Two criteria of a rubric share a name: {names}. Rename one with `name=`.")
        if correctness.gate:
            raise ValueError(f"The correctness criterion {correctness.name!r} can't be a gate: it decides `passed`.")
        self._total_weight = sum(criterion.weight for criterion in self.criteria if not criterion.gate)
        if self._total_weight <= 0:
            raise ValueError(f"The weights of the rubric {names} sum to 0; give one criterion a positive weight.")

    @property
    def correctness(self) -> Criterion:
        return self.criteria[0]

    @property
    def instruction(self) -> str:
        """What a prompt must say so that a model knows the form of the answer."""
        return " ".join(dict.fromkeys(c.instruction for c in self.criteria if c.instruction))

    def start(self) -> dict[str, Any]:
        """Let every criterion see to it that it can work here; returns what belongs in the run's record."""
        return {key: fact for c in self.criteria if c.start is not None for key, fact in c.start().items()}

    @property
    def learned(self) -> tuple[Criterion, ...]:
        """The criteria that a reward model fills in."""
        return tuple(criterion for criterion in self.criteria if criterion.learned is not None)

    @property
    def verifiable(self) -> bool:
        """Whether `passed` has a meaning: the correctness criterion is not a learned one."""
        return self.correctness.learned is None

    @property
    def least(self) -> float:
        """The lowest reward that the rubric can give."""
        return sum(c.weight * (c.learned.least if c.learned else 0.0) for c in self._weighed()) / self._total_weight

    @property
    def most(self) -> float:
        """The highest reward that the rubric can give."""
        return sum(c.weight * (c.learned.most if c.learned else 1.0) for c in self._weighed()) / self._total_weight

    def score(self, completion: Completion, problem: ProblemLike) -> Score:
        return self._judge({criterion.name: timed(criterion, completion, problem) for criterion in self.criteria}, {})

    def fill(self, score: Score, rewards: Mapping[str, float]) -> Score:
        """The score with the normalised rewards of reward models put in (criterion's name -> standard deviations)."""
        named = {criterion.name: criterion.learned for criterion in self.criteria if criterion.learned is not None}
        unknown = [name for name in rewards if name not in named]
        if unknown:
            raise ValueError(f"The rubric has no learned criterion {unknown[0]!r}; it has {', '.join(named) or 'none'}.")
        parts = dict(score.parts)
        for name, z in rewards.items():
            parts[name] = replace(named[name].verdict(z), seconds=parts[name].seconds)
        return self._judge(parts, {**score.learned, **rewards})

    def without_learned(self) -> Rubric:
        """The criteria that are verified. Raises ValueError when there is none."""
        kept = [criterion for criterion in self.criteria if criterion.learned is None]
        if not kept:
            raise ValueError("Every criterion of the rubric is learned; nothing is left without a reward model.")
        return Rubric(kept[0], *kept[1:])

    def lenient(self) -> Rubric:
        """This rubric with answers in plain prose read too. It is for evaluations alone: training would teach to be misread."""
        return Rubric(*(replace(c, check=c.lenient) if c.lenient is not None else c for c in self.criteria))

    def with_learned(self, criterion: Criterion, share: float) -> Rubric:
        """This rubric with a learned criterion that makes up `share` of the reward, in [0, 1].

        At 1 the other criteria, gates too, only measure; at 0 the reward model only measures. Who decides `passed` stays.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"The share of a learned criterion is {share}; give 0 to 1.")
        others = [
            replace(c, weight=c.weight / self._total_weight * (1 - share), gate=c.gate and share < 1) for c in self.criteria
        ]
        first, *rest = [*others, replace(criterion, weight=share)]
        return Rubric(first, *rest)

    def _judge(self, parts: Mapping[str, Verdict], learned: Mapping[str, float]) -> Score:
        if any(verdict.status is Status.ERROR for verdict in parts.values()):
            return Score(0.0, False, parts, abstained=True, learned=learned)
        passed = parts[self.correctness.name].correct
        if any(criterion.gate and not parts[criterion.name].correct for criterion in self.criteria):
            return Score(self.least, passed, parts, learned=learned)
        total = 0.0
        for c in self._weighed():
            total += c.weight * (c.learned.value(learned[c.name]) if c.learned else parts[c.name].value)
        return Score(total / self._total_weight, passed, parts, learned=learned)

    def _weighed(self) -> list[Criterion]:
        return [criterion for criterion in self.criteria if not criterion.gate]

    def describe(self) -> str:
        """One line per criterion: name, weight, and which of them decides `passed`."""
        lines = []
        for criterion in self.criteria:
            share = "gate" if criterion.gate else f"{criterion.weight / self._total_weight:.3g} of the reward"
            decides = ", decides `passed`" if criterion is self.correctness and self.verifiable else ""
            decides += ", learned" if criterion.learned is not None else ""
            lines.append(f"{criterion.name}: {share}{decides}")
        return "\n".join(lines)


def timed(criterion: Criterion, completion: Completion, problem: ProblemLike) -> Verdict:
    """The criterion's verdict with the time it took.

    A check that raises is tried on harmless completions for the same problem, three short ones at most: the criterion's
    own rendering of the reference, or else the reference as plain text and in every mark. When it raises there too, and
    judges none of them, it or the reference is broken: `error`, which abstains. Otherwise this completion brought the
    exception about: `malformed`. `Unavailable` is always `error`.
    """
    start = time.perf_counter()
    try:
        verdict = _checked(criterion, completion, problem)
    except Unavailable as failure:
        verdict = error(f"{criterion.name}: {_text(failure)}")
    except Exception as failure:  # noqa: BLE001 - a check may raise anything; what it means is found out, and a long run goes on
        said = f"The check of {criterion.name} raised {type(failure).__name__}: {_text(failure)}"
        verdict = error(said) if _fails_on_harmless(criterion, problem) else malformed(reason=f"{said} (on this completion)")
    return replace(verdict, seconds=time.perf_counter() - start)


def _checked(criterion: Criterion, completion: Completion, problem: ProblemLike) -> Verdict:
    verdict = criterion.check(completion, problem)
    if not isinstance(verdict, Verdict):
        raise TypeError(f"it returned {type(verdict).__name__}, not a Verdict.")
    return verdict


def _fails_on_harmless(criterion: Criterion, problem: ProblemLike) -> bool:
    """Whether a check raises on a harmless completion, and judges none: one without an answer may not reach the fault."""
    raised = False
    try:
        probes = _harmless(criterion, problem)
    except Exception:  # noqa: BLE001 - a reference that can't be rendered is broken, in whatever way
        return True
    for text in probes:
        try:
            found = _checked(criterion, Completion(text), problem)
        except Exception:  # noqa: BLE001 - that it raises is what is asked
            raised = True
        else:
            if found.status in JUDGED:
                return False
    return raised


def _harmless(criterion: Criterion, problem: ProblemLike) -> tuple[str, ...]:
    if criterion.render is not None:
        return (criterion.render(problem.reference),)
    plain = str(problem.reference)
    return plain, f"<answer>{plain}</answer>\n\\boxed{{{plain}}}\n#### {plain}", "<answer>0</answer>\n\\boxed{0}\n#### 0"


def _text(failure: BaseException) -> str:
    """What an exception says, MAX_REASON characters at most; "" where saying it raises in turn."""
    try:
        return str(failure)[:MAX_REASON]
    except Exception:  # noqa: BLE001 - `__str__` of somebody's exception may raise anything
        return ""
