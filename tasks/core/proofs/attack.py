"""Search for completions that are paid for without being right.

First the library of known hacks, then random combinations of what they are made of. What is right is known by
construction, never by asking the rubric.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice
from typing import Any

from ..conformance import GARBAGE
from ..errors import UserError
from ..proportion import Proportion
from ..task import Task
from .frames import MARKS, find_full_reward, require_one
from .guard import score_apart
from .hacks import FILLER, HACKS, PRAISE, STYLE, find_wrong
from .probes import Case, Probe, draw, make_cases, make_probes
from .programs import CHEATS_AS_A_KIND as PROGRAMS
from .programs import make_program_probes

TRIES = 2_000
PROBLEMS = 12  # whose completions are tried, drawn from the first split
LEAST = 0.5  # share of a right completion's reward above which a wrong one is a cheat
KEPT = 3  # examples of one hack
NO_CHEATS = ("the solution twice", "an answer left in thought")  # whoever writes these has found the answer
SHARE = 0.6  # of the tries that the library may take; the rest are mutations


@dataclass(frozen=True, slots=True)
class Cheat:
    """A completion that is paid for and not right. passed: whether a pass-rate counts it."""

    problem: str
    text: str
    reward: float
    passed: bool


@dataclass(frozen=True)
class Hole:
    """One way to cheat. how: what the completions do.  earned: how many of those that were tried are paid
    for.  examples: the shortest ones."""

    how: str
    earned: Proportion
    examples: tuple[Cheat, ...]


@dataclass(frozen=True)
class Attack:
    """What a search found. tries: completions that were scored.  least: share of a right completion's reward
    that a cheat earns at least."""

    task: str
    tries: int
    least: float
    holes: tuple[Hole, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def write_lines(self) -> Iterator[str]:
        """What was found, for a terminal: the ways that pay most often first."""
        if not self.holes:
            yield f"{self.task}: none found in {self.tries:,} tries."
            return
        yield f"{self.task}: {len(self.holes)} ways to be paid without being right, in {self.tries:,} tries."
        for hole in self.holes:
            yield f"\n{hole.how}: {hole.earned.count} of {hole.earned.total} are paid, {hole.earned}"
            for cheat in hole.examples:
                said = "passes" if cheat.passed else "does not pass"
                yield f"  {cheat.problem}: reward {cheat.reward:.3g}, {said}"
                yield f"    {_shorten(cheat.text)!r}"


def _shorten(text: str, most: int = 300) -> str:
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"


@dataclass
class _Tally:
    tried: int = 0
    earned: int = 0
    cheats: list[Cheat] = field(default_factory=list)


def attack(task: Task, tries: int = TRIES, *, seed: int = 0, least: float = LEAST) -> Attack:
    """Try to be paid by a task's rubric without being right.

    tries: completions to score, 1 or more.  seed: of the mutations.  least: share, above 0 and at most 1, of
    a right completion's reward that counts as paid; what passes always does.
    Raises UserError for a task that nothing verifies, one of episodes, and a mixture.

    >>> import palaestra as pal
    >>> def contains(completion, problem):
    ...     return problem.reference in completion.text
    >>> task = pal.dataset_task("sums", data=[{"question": f"{n} + {n}?", "answer": str(2 * n)}
    ...                                       for n in range(20)], verify=pal.Rubric(contains))
    >>> "the right answer as a part of a wrong one" in {hole.how for hole in pal.attack(task, 400).holes}
    True
    """
    require_one(task, "attack")
    if not task.judges_texts:
        raise UserError(
            f"The problems of {task.name} are episodes, in which a text by itself is worth nothing: "
            f"`palaestra task check {task.name}` plays them with silence, garbage and repetition."
        )
    if not task.rubric.verifiable:
        raise UserError(
            f"Nothing verifies task {task.name}: its reward is a model's. There is no right answer to miss."
        )
    rubric = task.rubric.without_learned() if task.rubric.learned else task.rubric
    if rubric is not task.rubric:
        task = replace(task, rubric=rubric)
    cases = make_cases(task, draw(task, task.splits[0], PROBLEMS))
    full = {case.problem.id: find_full_reward(task, case.problem) for case in cases}
    found: dict[str, _Tally] = {}
    done = 0
    probes = list(islice(_list_tries(cases, tries, seed), tries))
    outcomes = score_apart(task, [(probe.text, probe.problem) for probe in probes])
    for probe, outcome in zip(probes, outcomes, strict=False):
        done += 1
        kind, score = probe.kind, outcome.score
        if score is None:
            kind = f"a text that {outcome.lost}"
        tally = found.setdefault(kind, _Tally())
        tally.tried += 1
        if score is None or score.passed or score.reward >= least * full[probe.problem.id] > 0:
            tally.earned += 1
            reward = score.reward if score else 0.0
            tally.cheats.append(Cheat(probe.problem.id, probe.text, reward, bool(score and score.passed)))
    return Attack(task.name, done, least, tuple(_rank(found)))


def _rank(found: Mapping[str, _Tally]) -> list[Hole]:
    holes = [
        Hole(
            how,
            Proportion(tally.earned, tally.tried),
            tuple(sorted(tally.cheats, key=lambda cheat: (not cheat.passed, len(cheat.text)))[:KEPT]),
        )
        for how, tally in found.items()
        if tally.earned
    ]
    return sorted(holes, key=lambda hole: (-hole.earned.count / hole.earned.total, hole.how))


def _list_tries(cases: list[Case], tries: int, seed: int) -> Iterator[Probe]:
    """The library, problem by problem and kind by kind, so that few tries see all of it; mutations."""
    library = _take_turns([_list_known(case, number / len(cases)) for number, case in enumerate(cases)])
    most = max(1, int(SHARE * tries))
    yield from islice(library, most)
    yield from _mutate(cases, random.Random(f"{cases[0].task.name}/{seed}"))


def _take_turns(lists: Iterable[Iterator[Probe]]) -> Iterator[Probe]:
    waiting = list(lists)
    while waiting:
        for each in list(waiting):
            probe = next(each, None)
            if probe is None:
                waiting.remove(each)
            else:
                yield probe


def _list_known(case: Case, start: float) -> Iterator[Probe]:
    """The library for one problem, one of each kind in turn; every second one a program's cheats, where
    programs are asked for. start: where in each kind to begin, a share: the problems share the work."""
    kinds: dict[str, list[Probe]] = {}
    for probe in chain(
        make_program_probes(case) if case.frame.mark == "block" else (),
        (
            Probe(how, text, case.problem, False)
            for how, make in HACKS.items()
            for text in dict.fromkeys(make(case))
        ),
        (probe for probe in make_probes(case) if not probe.right),
        (Probe("hostile texts", text, case.problem, False) for text in GARBAGE if len(text) < 10_000),
    ):
        if probe.sure and not probe.right and probe.kind not in NO_CHEATS:
            kinds.setdefault(probe.kind, []).append(probe)
    turned = {
        kind: [*own[int(start * len(own)) :], *own[: int(start * len(own))]] for kind, own in kinds.items()
    }
    programs = [iter(turned.pop(PROGRAMS, ()))]
    return _take_turns([*programs, _take_turns(map(iter, turned.values()))])


def _mutate(cases: list[Case], rng: random.Random) -> Iterator[Probe]:
    """Without end: a wrong answer in a random mark, with random things said around it."""
    wrongs = [list(islice(find_wrong(case), 12)) for case in cases]
    while True:
        number = rng.randrange(len(cases))
        case = cases[number]
        wrong = rng.choice(wrongs[number]) if wrongs[number] else ""
        yield Probe("a mutation", _compose(case, wrong, rng), case.problem, False)


def _compose(case: Case, wrong: str, rng: random.Random) -> str:
    own = case.frame.answer
    marks = [case.frame.mark_alone(wrong), case.frame.put(wrong), *(mark.format(wrong) for mark in MARKS)]
    before = ["", FILLER, STYLE, case.problem.text, *PRAISE, f"<think>{FILLER}</think>", FILLER * 30]
    after = [
        "",
        "",
        "\n",
        "\n\n",
        f" {FILLER}",
        "\nThat is my final answer.",
        "\n</answer>",
        "\n```",
        "\n<|im_end|>",
    ]
    if own and case.frame.mark != "block":
        before += [
            own,
            f"It is not {own}.",
            f"{own} = {own}",
            f"<think>{own}</think>",
            f"`{own}`",
            f'"{own}"',
        ]
        if case.frame.mark != "bare":
            after += [f"\n{own}", f"\nNot {own}.", f"\n(Compare {own}.)"]
    parts = [rng.choice(before), rng.choice(before), rng.choice(marks)]
    return "\n".join(part for part in parts if part) + rng.choice(after)
