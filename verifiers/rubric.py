"""A rubric turns the verdicts of its criteria into one score per completion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from .criterion import Criterion, Reward, run_check
from .types import Completion, ProblemLike, Score, Status, Verdict, error

Given = Criterion | Reward | Sequence[Criterion | Reward]


class Rubric:
    """`Rubric(correctness, *others)`: the first criterion alone decides
    `passed`; all of them make up `reward`.

    A plain function `reward(completion, problem)` that returns a bool,
    a number from 0 to 1 or a Verdict is a criterion too, and so is one in TRL's form or that of `verifiers`
    (functions.py). A list of either may stand for one: `Rubric(checklist({...}))`.

    reward = sum(weight * value) / sum(weight) over the criteria that are no gates; when a gate is not correct
    it is `least`, the lowest reward that the rubric can give (0 without a linear learned criterion).
    A verdict `error` in any of them abstains. What a completion brings about is never one:
    a policy would learn to provoke it. A criterion that does not apply to the problem is left out of both
    sums; where that is the first one, the score abstains, for nothing says what passed.

    A learned criterion is open until `fill` puts a reward model's finding in; until then the score abstains.
    A rubric whose first criterion is learned verifies nothing:
    `passed` is always False and means nothing there.

    >>> import palaestra as pal
    >>> def is_short(completion, problem):
    ...     return len(completion.text) < 40
    >>> rubric = pal.Rubric(pal.criteria.number(), is_short)
    >>> score = rubric.score(pal.Completion("<answer>41</answer>"), pal.Problem("What is 7 * 6?", "42"))
    >>> score.reward, score.passed, score.parts["is_short"].correct
    (0.5, False, True)
    """

    def __init__(self, correctness: Given | None = None, *others: Given) -> None:
        if correctness is None:
            raise ValueError(
                "A rubric has no criterion; give one that decides `passed`: Rubric(number()) or "
                "Rubric(my_reward)."
            )
        self.criteria = tuple(each for given in (correctness, *others) for each in _as_criteria(given))
        names = [criterion.name for criterion in self.criteria]
        if len(set(names)) != len(names):
            raise ValueError(f"Two criteria of a rubric share a name: {names}. Rename one with `name=`.")
        self._check_combined()
        if self.correctness.gate:
            raise ValueError(
                f"The correctness criterion {self.correctness.name!r} can't be a gate: it decides `passed`."
            )
        open_ended = [criterion.name for criterion in self.criteria if criterion.low is None]
        if open_ended and any(criterion.gate for criterion in self.criteria):
            raise ValueError(
                f"What fails a gate gets the least that there is; that of {open_ended[0]!r} is not known. "
                f"Say it: criteria.function({open_ended[0]}, low=0), or lower."
            )
        self._total_weight = sum(criterion.weight for criterion in self.criteria if not criterion.gate)
        if self._total_weight <= 0:
            raise ValueError(
                f"The weights of the rubric {names} sum to 0; give one criterion a positive weight."
            )

    def _check_combined(self) -> None:
        names = {criterion.name for criterion in self.criteria}
        for criterion in self.criteria:
            missing = (
                [name for name in criterion.combined.weights if name not in names]
                if criterion.combined
                else []
            )
            if missing:
                raise ValueError(
                    f"{criterion.name!r} judges by {missing[0]!r}, which is no criterion of this rubric. "
                    "Give it the whole list: Rubric(checklist({...}))."
                )

    @property
    def correctness(self) -> Criterion:
        return self.criteria[0]

    @property
    def others(self) -> tuple[Criterion, ...]:
        """The criteria but the correctness criterion."""
        return self.criteria[1:]

    @property
    def instruction(self) -> str:
        """What a prompt must say so that a model knows the form of the answer."""
        return " ".join(dict.fromkeys(c.instruction for c in self.criteria if c.instruction))

    def of(self, problem_id: str) -> Rubric:  # noqa: ARG002
        """The rubric that judges a problem, by its id: this one, but where several tasks are mixed."""
        return self

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
    def bounded(self) -> bool:
        """Whether 1 is the most that a completion can get: no function of another library knows no bound."""
        return all(criterion.bounded for criterion in self._weighed())

    @property
    def least(self) -> float:
        """The lowest reward that the rubric can give, as far as functions of other libraries say theirs."""
        return sum(c.weight * _least(c) for c in self._weighed()) / self._total_weight

    @property
    def most(self) -> float:
        """The highest reward that the rubric can give, where functions of other libraries keep to 1."""
        return (
            sum(c.weight * (c.learned.most if c.learned else 1.0) for c in self._weighed())
            / self._total_weight
        )

    def score(self, completion: Completion, problem: ProblemLike) -> Score:
        return self.judge(self.verify(completion, problem), {})

    def verify(self, completion: Completion, problem: ProblemLike) -> dict[str, Verdict]:
        """The verdict of each criterion, by its name, in the rubric's order: what `judge` weighs."""
        found = {c.name: run_check(c, completion, problem) for c in self.criteria if c.combined is None}
        return {
            c.name: c.combined.make_verdict(found) if c.combined is not None else found[c.name]
            for c in self.criteria
        }

    def weigh(self, factors: Mapping[str, float]) -> Rubric:
        """This rubric with weights multiplied, by the criteria's names; what decides `passed` stays.

        Raises ValueError where no weight is left."""
        first, *rest = (replace(c, weight=c.weight * factors.get(c.name, 1.0)) for c in self.criteria)
        return Rubric(first, *rest)

    def fill(self, score: Score, rewards: Mapping[str, float]) -> Score:
        """The score with the normalised rewards of reward models put in
        (criterion's name -> standard deviations)."""
        named = {
            criterion.name: criterion.learned for criterion in self.criteria if criterion.learned is not None
        }
        unknown = [name for name in rewards if name not in named]
        if unknown:
            raise ValueError(
                f"The rubric has no learned criterion {unknown[0]!r}; it has {', '.join(named) or 'none'}."
            )
        parts = dict(score.parts)
        for name, z in rewards.items():
            parts[name] = replace(named[name].verdict(z), seconds=parts[name].seconds)
        return self.judge(parts, {**score.learned, **rewards})

    def judge(self, parts: Mapping[str, Verdict], learned: Mapping[str, float]) -> Score:
        """The score that verdicts make up, by their criteria's names: `score` finds them, this weighs them.

        learned: normalised rewards of reward models. Raises KeyError where a criterion has no verdict.
        """
        name = self.correctness.name
        silent = {each for each, verdict in parts.items() if verdict.status is Status.NOT_APPLICABLE}
        weighed = [c for c in self._weighed() if c.name not in silent]
        total_weight = sum(c.weight for c in weighed)
        if name in silent or total_weight <= 0:
            reason = parts[name].reason
            said = f"{name} does not apply to this problem, so that nothing says what passes. {reason}"
            parts = {**parts, name: error(said)}
        if any(verdict.status is Status.ERROR for verdict in parts.values()):
            return Score(0.0, False, parts, abstained=True, learned=learned, criterion=name)
        passed = parts[name].correct
        weights = {c.name: c.weight / total_weight for c in weighed}
        gates = [c.name for c in self.criteria if c.gate and c.name not in silent]
        by_turn: tuple[float, ...] = ()
        if not all(parts[gate].correct for gate in gates):
            values = {c.name: _least(c) for c in weighed}
        else:
            by_turn = _add_turns({c.name: parts[c.name] for c in weighed if c.by_turn}, weights)
            values = {
                c.name: c.learned.value(learned[c.name]) if c.learned else parts[c.name].amount
                for c in weighed
            }
        total = 0.0
        for c in weighed:
            total += c.weight * values[c.name]
        return Score(total / total_weight, passed, parts, False, learned, name, values, weights, by_turn)

    def without_learned(self) -> Rubric:
        """The criteria that are verified. Raises ValueError when there is none."""
        kept = [criterion for criterion in self.criteria if criterion.learned is None]
        if not kept:
            raise ValueError(
                "Every criterion of the rubric is learned; nothing is left without a reward model."
            )
        return Rubric(kept[0], *kept[1:])

    def lenient(self) -> Rubric:
        """This rubric with answers in plain prose read too. It is for evaluations
        alone: training would teach to be misread."""
        return Rubric(*(replace(c, check=c.lenient) if c.lenient is not None else c for c in self.criteria))

    def with_learned(self, criterion: Criterion, share: float) -> Rubric:
        """This rubric with a learned criterion that makes up `share` of the reward, in [0, 1].

        At 1 the other criteria, gates too, only measure; at 0 the reward model only measures.
        Who decides `passed` stays.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"The share of a learned criterion is {share}; give 0 to 1.")
        others = [
            replace(c, weight=c.weight / self._total_weight * (1 - share), gate=c.gate and share < 1)
            for c in self.criteria
        ]
        first, *rest = [*others, replace(criterion, weight=share)]
        return Rubric(first, *rest)

    def _weighed(self) -> list[Criterion]:
        return [criterion for criterion in self.criteria if not criterion.gate]

    def __repr__(self) -> str:
        parts = (
            f"{c.name} {'gate' if c.gate else f'{c.weight / self._total_weight:.3g}'}" for c in self.criteria
        )
        return f"Rubric({', '.join(parts)})"

    def _repr_html_(self) -> str:
        from .display import write_html_table

        lines = (line.partition(": ") for line in self.describe().split("\n"))
        return write_html_table("Rubric", ("criterion", "what it is worth"), [(n, s) for n, _, s in lines])

    def describe(self) -> str:
        """One line per criterion: name, weight, and which of them decides `passed`."""
        lines = []
        for criterion in self.criteria:
            share = "gate" if criterion.gate else f"{criterion.weight / self._total_weight:.3g} of the reward"
            decides = ", decides `passed`" if criterion is self.correctness and self.verifiable else ""
            decides += ", learned" if criterion.learned is not None else ""
            decides += f", needs {' and '.join(criterion.combined.weights)}" if criterion.combined else ""
            lines.append(f"{criterion.name}: {share}{decides}")
        return "\n".join(lines)


def _as_criteria(given: Given) -> Sequence[Criterion]:
    if isinstance(given, Criterion):
        return (given,)
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        return [each for one in given for each in _as_criteria(one)]
    from .functions import function  # few rubrics have one

    return (function(given),)


def _add_turns(parts: Mapping[str, Verdict], weights: Mapping[str, float]) -> tuple[float, ...]:
    """What each turn brings into the reward, by the verdicts of the criteria that judge turns."""
    shares = [[weights[name] * each for each in verdict.by_turn] for name, verdict in parts.items()]
    return tuple(sum(turn) for turn in zip_longest(*shares, fillvalue=0.0))


def _least(criterion: Criterion) -> float:
    """The lowest number that it can bring into the reward, 0 where that is not known."""
    return criterion.learned.least if criterion.learned else criterion.low or 0.0
