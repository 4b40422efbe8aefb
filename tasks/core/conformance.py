"""What a task's problems and its verifier have to keep, whatever a model says: `check(task)`.

What the verifier makes of completions of a known kind is proven in `proofs`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

from ...verifiers import Score
from ...verifiers.types import Misreturned
from .errors import UserError
from .problem import Problem
from .proofs.episodes import CHECKS as OF_EPISODES
from .proofs.episodes import check_ends, check_text_alone
from .proofs.frames import find_full_reward, has_solution
from .proofs.guard import Outcome, score_apart
from .proofs.probes import says_something
from .proofs.proof import Finding
from .remembered import forget
from .task import Task
from .trial import find_broken

COUNT = 20
MAX_SECONDS = 1.0
GARBAGE = (  # -7/13: a number that is hardly ever the answer
    # texts that no verifier may accept, trip over or spend a second on
    "\x00\x01\x02",
    "<answer>\x00</answer>",
    "<answer></answer>",
    "<answer>" * 1_000,
    "</answer>" * 1_000,
    "<answer><answer>-7/13</answer></answer>",
    "<think>" * 1_000,
    "\\boxed{" * 1_000,
    "\\boxed{-7/13}" * 1_000,
    "#### \n" * 1_000,
    "(" * 200_000,
    f"<answer>{'(' * 200_000}</answer>",
    f"<answer>{'9' * 200_000}</answer>",
    f"<answer>{'1,' * 100_000}</answer>",
    f"<answer>{'1/' * 100_000}</answer>",
    f"<answer>{'-' * 200_000}-7/13</answer>",
    f"<answer>{' ' * 200_000}-7/13</answer>",
    "<answer>９</answer>",
    "<answer>²</answer>",
    "<answer>\u202e-7/13\u200b</answer>",
    "<answer>\ud800</answer>",
    "<answer>nan</answer>",
    "<answer>1/0</answer>",
    "<answer>1e999999999</answer>",
    "<answer>9**9**9**9</answer>",
    "<answer>__import__('os').abort()</answer>",
    "\U0001f600" * 50_000,
)


def check(task: Task, count: int = COUNT) -> list[Finding]:
    """Every check over the first `count` problems of each split. A check that can't run is a failed one.

    Learned criteria are left out, for no reward model is here. A task that nothing verifies is held to
    its problems alone.
    """
    if task.rubric.learned and task.rubric.verifiable:
        task = replace(task, rubric=task.rubric.without_learned())
    findings: list[Finding] = []
    for name, run in _pick_checks(task).items():
        try:
            advice = next(run(task, count), "")
        except UserError as failure:
            advice = str(failure)
        except Exception as failure:  # noqa: BLE001  the task's own code: whatever it raises is the finding
            advice = f"{type(failure).__name__}: {failure}"
        if advice and run is check_ends:
            return [Finding(name, False, f"{advice} The other checks have to wait for that.")]
        findings.append(Finding(name, not advice, advice))
    return findings


def _pick_checks(task: Task) -> dict[str, Callable[[Task, int], Iterator[str]]]:
    """The checks that a task is held to, by their names."""
    if not task.rubric.verifiable:
        return {name: run for name, run in CHECKS.items() if run in OF_PROBLEMS}
    if task.episode is None:
        return CHECKS
    if task.judges_texts:
        return {**{name: run for name, run in OF_EPISODES.items() if run is not check_text_alone}, **CHECKS}
    of_texts = (check_solution, check_deterministic)  # of a text that solves a problem alone
    return {
        **OF_EPISODES,
        **{name: run for name, run in CHECKS.items() if run not in of_texts},
    }


def _draw(task: Task, split: str, count: int, seed: int = 0) -> list[Problem]:
    return [task.problem(split, index, seed) for index in range(count)]


def _is_finite(task: Task) -> bool:
    """Whether the problems are the rows of a data set, the same under every seed."""
    return task.source.size(task.splits[0]) is not None


def check_reward(task: Task, count: int) -> Iterator[str]:  # noqa: ARG001
    """Criteria of one's own judge something."""
    fault = find_broken(task)
    if fault:
        yield fault


def check_same_seed(task: Task, count: int) -> Iterator[str]:
    task = forget(task)
    for split in task.splits:
        if _draw(task, split, count) != _draw(task, split, count):
            yield (
                f"Split {split} gives other problems under the same seed; draw only from the `rng` you "
                "are given."
            )


def check_neighbouring_seeds(task: Task, count: int) -> Iterator[str]:
    """At most one problem in ten is shared.

    A small task may collide by chance, a shifted stream shares nearly all.
    """
    if _is_finite(task):
        return
    for split in task.splits:
        streams = [_draw(task, split, count, seed) for seed in (0, 1, 2)]
        for left, right in pairwise(streams):
            shared = {problem.key for problem in left} & {problem.key for problem in right}
            if len(shared) > count / 10:
                yield (
                    f"Neighbouring seeds share {len(shared)} of {count} {split} problems; make more "
                    "different ones."
                )


def check_splits_apart(task: Task, count: int) -> Iterator[str]:
    for by in ("key", "text"):
        seen: dict[str, str] = {}
        for split in task.splits:
            for problem in task.problems(split, None if _is_finite(task) else 10 * count):
                if seen.setdefault(getattr(problem, by), split) != split:
                    yield (
                        f"A problem is in two splits by its {by}: {getattr(problem, by)[:80]!r}; set a "
                        "better `key`."
                    )


def check_ids(task: Task, count: int) -> Iterator[str]:
    for split in task.splits:
        size = task.source.size(split)
        problems = _draw(task, split, min(count, size) if size is not None else count)
        if len({problem.id for problem in problems}) != len(problems):
            yield f"Ids of split {split} repeat."
        if not all(problem.id.startswith(f"{task.name}/{split}/") for problem in problems):
            yield f"Ids of split {split} don't start with {task.name}/{split}/."


def check_solution(task: Task, count: int) -> Iterator[str]:
    for problem in _sample_known(task, count):
        score = task.score(task.solution(problem), problem)
        mistakes = [part.reason for part in score.parts.values() if isinstance(part, Misreturned)]
        if mistakes:
            yield f"{problem.id}: {mistakes[0]}"
        if (score.reward < 1 and task.rubric.bounded) or not score.passed or score.abstained:
            yield (
                f"{problem.id}: the solution has reward {score.reward:g}, {_explain(score)}; fix `solve` "
                "or the rubric."
            )


def _sample(task: Task, count: int) -> list[Problem]:
    return [problem for split in task.splits for problem in task.problems(split, count)]


def _sample_known(task: Task, count: int) -> list[Problem]:
    """The problems whose solution is known. Raises what `solution` raises where none is."""
    problems = _sample(task, count)
    known = [problem for problem in problems if has_solution(task, problem)]
    return known or problems[:1]


def _explain(score: Score) -> str:
    return " ".join(f"{name} {part.status} {part.reason}".strip() for name, part in score.parts.items())


def check_garbage(task: Task, count: int) -> Iterator[str]:  # noqa: ARG001
    """Each text is scored twice, both times in a process apart: a verifier may hang, or end its process."""
    problem = task.problem(task.splits[0], 0)
    full = find_full_reward(task, problem)
    outcomes = score_apart(task, [(text, problem) for text in GARBAGE], each_check=True)
    tried = list(zip(GARBAGE, outcomes, strict=False))
    for text, outcome in tried:
        if outcome.lost:
            yield f"Scoring {text[:40]!r}... {outcome.lost}; never evaluate an answer."
    kept = [(text, outcome) for text, outcome in tried if outcome.score is not None]
    again = score_apart(task, [(text, problem) for text, _ in kept])
    for (text, outcome), second in zip(kept, again, strict=False):
        may_pass = task.rubric.correctness.free and says_something(text)
        yield from _judge_garbage(text, outcome, second, math.inf if may_pass else full)


def _judge_garbage(text: str, outcome: Outcome, again: Outcome, full: float) -> Iterator[str]:
    """full: what a right completion earns; infinity where this one may be right."""
    score = outcome.score
    assert score is not None
    if outcome.seconds > MAX_SECONDS:
        yield (
            f"Scoring {text[:40]!r}... took {outcome.seconds:.1f} s; bound the verifier's work by the "
            "answer's length."
        )
    broken = [f"{name}: {part.reason}" for name, part in score.parts.items() if part.status == "error"]
    broken += outcome.raised
    if broken:
        yield (
            f"Scoring {text[:40]!r}... gives an error, as {broken[0]}; a check must give a verdict on "
            "any text."
        )
    if score.reward >= full or (score.passed and full < math.inf):
        yield f"{text[:40]!r}... has reward {score.reward:g}; make the rubric stricter."
    second = again.score
    if second is None or (score.reward, score.passed) != (second.reward, second.passed):
        yield f"Scoring {text[:40]!r}... twice gives two scores; a verifier must be deterministic."


def check_deterministic(task: Task, count: int) -> Iterator[str]:
    for problem in _sample_known(task, count):
        scores = [task.score(task.solution(problem), problem) for _ in range(2)]
        if len({(score.reward, score.passed, score.abstained) for score in scores}) != 1:
            yield (
                f"{problem.id}: the solution scored twice gives two scores; a verifier must be deterministic."
            )


# What a task is held to that nothing verifies.
OF_PROBLEMS = (check_same_seed, check_neighbouring_seeds, check_splits_apart, check_ids, check_deterministic)

CHECKS: dict[str, Callable[[Task, int], Iterator[str]]] = {
    "the reward can be computed": check_reward,
    "same seed, same problems": check_same_seed,
    "neighbouring seeds share no problem": check_neighbouring_seeds,
    "splits share no problem": check_splits_apart,
    "ids are unique and stable": check_ids,
    "the solution has reward 1 and passes": check_solution,
    "garbage fails within a second": check_garbage,
    "scores are deterministic": check_deterministic,
}
