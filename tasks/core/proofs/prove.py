"""`prove(task)`: run the probes, and say what a verifier does to each kind of completion.

A completion that is no answer must earn neither `passed` nor the full reward, nor make the score abstain.
Where functions of other libraries know no bounds, the full reward is what the solution earns.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ..conformance import COUNT, check
from ..errors import TaskError, UserError
from ..problem import Problem
from ..programs import fence
from ..proportion import Proportion
from ..remembered import remember
from ..task import Task
from .episodes import PROBLEMS as PROBLEMS_PLAYED
from .frames import find_full_reward, find_solution, knows_solution, require_one
from .fresh import PROBES, PROGRAMS, Elsewhere, Recipe, judge_anew, pick_probes, write_verdict
from .guard import Outcome, score_apart
from .levels import find_easier, measure_levels
from .overlap import KnownSets, measure_overlap
from .probes import MAY_PASS, Case, Probe, draw, make_cases, make_probes
from .programs import make_program_probes, mutate_program
from .proof import Finding, Latency, Overlap, Proof, References, Stability, Tally

PROBLEMS = 40  # whose completions are probed, over all splits
RUN = 14  # of a task whose completions are run
ASKED = 4  # of one that asks a judge each time
REFERENCES = 400  # whose own solution is scored; of a task whose completions are run, RUN
MOST_MS = 50.0  # p99 of a verdict that runs no program and asks nobody
MANY = 0.5  # share of other problems' solutions that may pass where a problem has several right answers
SHOWN = 140  # characters of a completion in a sentence


def prove(
    task: Task,
    count: int | None = None,
    *,
    recipe: Recipe | None = None,
    known: KnownSets | None = None,
    elsewhere: Elsewhere | None = None,
) -> Proof:
    """What is found of a task. A check that can't run is a failed one.

    count: problems of each split that are probed, 1 or more; None: about 40 in all, 14 where completions are
    run, 4 where a judge is asked.  recipe: how another process finds the task; None: verdicts are not tried
    in one.  known: evaluation sets that training problems are looked for in.  elsewhere: processes that judge
    several tasks, one after the other; None: such are begun for this one.
    Learned criteria are left out, for no reward model is here. A task that nothing verifies is held to its
    problems alone. Raises UserError for a mixture.

    >>> import palaestra as pal
    >>> proof = pal.prove(pal.tasks.get("gcd"), 5)
    >>> proof.ok, proof.false_positives.count, proof.false_positives.total > 300
    (True, 0, True)
    """
    require_one(task, "check")
    task = remember(task)
    runs = task.rubric.verifiable and task.rubric.correctness.start is not None
    findings = check(task, count or (ASKED if runs else COUNT))
    if not task.rubric.verifiable:
        return Proof(task.name, task.kind, 0, tuple(findings))
    if not task.judges_texts:
        return _prove_episodes(task, findings, count, known or KnownSets(()))
    if task.rubric.learned:
        task = replace(task, rubric=task.rubric.without_learned())
    try:
        with contextlib.ExitStack() as stack:
            judges = elsewhere or stack.enter_context(Elsewhere())
            return _prove(task, findings, count, recipe, known or KnownSets(()), judges)
    except UserError as failure:
        said = str(failure)
    except Exception as failure:  # noqa: BLE001  the task's own code: whatever it raises is the finding
        said = f"{type(failure).__name__}: {failure}"
    return Proof(task.name, task.kind, 0, (*findings, Finding("the probes can be made", False, said)))


def _prove(
    task: Task,
    findings: list[Finding],
    count: int | None,
    recipe: Recipe | None,
    known: KnownSets,
    elsewhere: Elsewhere,
) -> Proof:
    runs = task.rubric.correctness.start is not None
    first = _find_first_known(task)
    programs = runs and make_cases(task, [first])[0].frame.mark == "block"
    each = count or math.ceil((RUN if programs else ASKED if runs else PROBLEMS) / len(task.splits))
    drawn = [problem for split in task.splits for problem in draw(task, split, each)]
    problems = [problem for problem in drawn if knows_solution(task, problem)] or [first]
    cases = make_cases(task, problems)
    probes = [probe for case in cases for probe in _list_probes(case, programs)]
    outcomes = list(score_apart(task, [(probe.text, probe.problem) for probe in probes]))
    judged = [Judged(*pair) for pair in zip(probes, outcomes, strict=False)]
    tallies = tuple(_count(task, judged))
    latency = _time([each.outcome.seconds for each in judged])
    verdicts = {id(each.probe): write_verdict(each.outcome.score) for each in judged if each.outcome.score}
    sound = [probe for probe in probes if id(probe) in verdicts]
    chosen = pick_probes(sound, PROGRAMS if programs else ASKED if runs else PROBES)
    stability = judge_anew(task, chosen, [verdicts[id(probe)] for probe in chosen], recipe, elsewhere)
    references = _try_references(task, each if runs else math.ceil(REFERENCES / len(task.splits)))
    overlap = measure_overlap(task, known)
    levels = measure_levels(task)
    proof = Proof(
        task.name, task.kind, len(problems), (), tallies, latency, stability, overlap, references, levels,
        _try_mutants(task, cases) if programs else None,
    )  # fmt: skip
    free = task.rubric.correctness.free
    return replace(proof, findings=(*findings, *_conclude(proof, runs=runs, free=free)))


def _find_first_known(task: Task) -> Problem:
    """The first problem that has a solution. Raises TaskError where there is none among the first."""
    for problem in draw(task, task.splits[0], COUNT):
        if knows_solution(task, problem):
            return problem
    raise TaskError(
        f"Of {COUNT} problems of {task.name} none has a solution that is known: nothing can be proven of its"
        " verifier. Give the task a `solve`, or rows that hold solutions."
    )


def _prove_episodes(task: Task, findings: list[Finding], count: int | None, known: KnownSets) -> Proof:
    """What was found of a world by playing. No probe is a text alone: none is worth anything."""
    overlap = measure_overlap(task, known)
    problems = min(count or COUNT, PROBLEMS_PLAYED) * len(task.splits)
    return Proof(task.name, task.kind, problems, (*findings, _conclude_overlap(overlap)), overlap=overlap)


def _list_probes(case: Case, programs: bool) -> Iterator[Probe]:
    yield from make_probes(case)
    if programs:
        yield from make_program_probes(case)


@dataclass(frozen=True, slots=True)
class Judged:
    probe: Probe
    outcome: Outcome


def _count(task: Task, judged: list[Judged]) -> Iterator[Tally]:
    full: dict[str, float] = {}

    def find_full(problem: Problem) -> float:
        if problem.id not in full:
            full[problem.id] = find_full_reward(task, problem)
        return full[problem.id]

    for kind in dict.fromkeys(each.probe.kind for each in judged):
        own = [each for each in judged if each.probe.kind == kind]
        bad = [each for each in own if _is_bad(each, find_full)]
        sure = [
            each for each in bad if each.probe.sure or not each.outcome.score or each.outcome.score.abstained
        ]
        undecided = len(bad) - len(sure)
        example = _tell(sure[0]) if sure else ""
        yield Tally(kind, own[0].probe.right, len(own) - undecided, len(sure), undecided, example)


def _is_bad(each: Judged, find_full: Callable[[Problem], float]) -> bool:
    score = each.outcome.score
    if score is None or score.abstained:
        return True
    if each.probe.right:
        return not score.passed
    passes = score.passed and each.probe.kind not in MAY_PASS
    return passes or score.reward >= find_full(each.probe.problem)


def _tell(each: Judged) -> str:
    text = each.probe.text
    shown = repr(text) if len(text) <= SHOWN else f"...{text[-SHOWN:]!r}"
    score = each.outcome.score
    if score is None:
        return f"{each.probe.problem.id}: {shown} {each.outcome.lost}."
    reasons = " ".join(part.reason for part in score.parts.values() if part.reason)
    said = f"{score.outcome}, reward {score.reward:.3g}"
    return f"{each.probe.problem.id}: {shown} is {said}. {reasons[:SHOWN]}".strip()


def _time(seconds: list[float]) -> Latency:
    ranked = sorted(seconds)
    return Latency(
        1000 * ranked[len(ranked) // 2],
        1000 * ranked[min(len(ranked) - 1, len(ranked) * 99 // 100)],
        len(ranked),
    )


def _try_references(task: Task, each: int) -> References:
    """Score each problem's own solution. each: problems of a split."""
    unusable: dict[str, str] = {}
    looked_at = unknown = 0
    for split in task.splits:
        for problem in draw(task, split, each):
            looked_at += 1
            if not knows_solution(task, problem):
                unknown += 1
                continue
            score = task.score(find_solution(task, problem), problem)
            if not score.passed:
                reasons = [part.reason for part in score.parts.values() if part.reason]
                unusable[problem.id] = f"{score.outcome}: {' '.join(reasons)[:SHOWN]}"
    return References(looked_at, unusable, unknown)


def _try_mutants(task: Task, cases: list[Case]) -> Proportion:
    """How many programs with one slip the tests turn down. One that passes may mean the same."""
    killed = total = 0
    for case in cases:
        for source in mutate_program(case.frame.answer):
            total += 1
            killed += not task.score(fence(source), case.problem).passed
    return Proportion(killed, total)


def _conclude(proof: Proof, *, runs: bool, free: bool) -> Iterator[Finding]:
    """What the figures say, as findings. free: any text may be right, so that many may pass."""
    for tally in proof.tallies:
        advice = ""
        if tally.broke:
            remedy = "Read more forms of the answer" if tally.right else "Make the rubric stricter"
            advice = f"{tally.broke} of {tally.tried} do not: {tally.example} {remedy}."
        elif not free and tally.undecided > MANY * (tally.tried + tally.undecided):
            advice = f"{tally.undecided} of {tally.tried + tally.undecided} pass. Make the rubric stricter."
        yield Finding(_name(tally), not advice, advice)
    yield _conclude_stability(proof.stability)
    yield _conclude_references(proof.references)
    yield _conclude_overlap(proof.overlap)
    if proof.levels:
        advice = find_easier(proof.levels)
        yield Finding(
            "no level is easier than the one before, and the last is harder than the first",
            not advice,
            advice,
        )
    if proof.latency is not None and not runs:
        slow = proof.latency.p99_ms > MOST_MS
        said = f"It takes {proof.latency.p99_ms:.0f} ms. Bound the verifier's work." if slow else ""
        yield Finding(f"a verdict takes {MOST_MS:.0f} ms at most (p99)", not slow, said)


def _name(tally: Tally) -> str:
    if tally.right:
        return f"{tally.kind} passes"
    if tally.kind in MAY_PASS:
        return f"{tally.kind} has less than reward 1"
    return f"{tally.kind} {'fail' if tally.kind.startswith('two ') else 'fails'}"


def _conclude_stability(found: Stability | None) -> Finding:
    assert found is not None
    advice = (
        f"{found.differing} differ: {found.example} Draw nothing at random, keep no state."
        if found.differing
        else ""
    )
    return Finding(f"the verdict is the same across {', '.join(found.ways)}", not advice, advice)


def _conclude_references(found: References) -> Finding:
    problem, reason = next(iter(found.unusable.items()), ("", ""))
    advice = ""
    if found.unusable:
        advice = f"{len(found.unusable)} of {found.looked_at} are not, as {problem}: {reason} Leave them out."
    return Finding("every reference is usable", not advice, advice)


def _conclude_overlap(found: Overlap) -> Finding:
    shared = found.held_out
    advice = ""
    if shared is not None and shared.exact:
        said = f"{shared.exact} of {shared.of} held-out problems have the words of one that is trained on."
        advice = f"{said} Leave them out."
    return Finding("no held-out problem is trained on", not advice, advice)
