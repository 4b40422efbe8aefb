"""Every generator of reasoning-gym as a task: `reasoning_gym:chain_sum`, its options those of its
configuration.

Problems are seeded as those of our own tasks are, and split by a hash of the question. The package's own
scorer decides, in a worker process with a deadline and a memory limit: some scorers read answers by `eval`
and by sympy's parser, which `reasoning_gym_scoring` takes from them.
"""

from __future__ import annotations

import difflib
import inspect
import json
import os
import random
from collections.abc import Mapping
from typing import Any

from ...verifiers import Criterion, Rubric, Verdict, answer_criterion, answer_tag
from ...verifiers.types import correct, malformed, partial, timeout, wrong
from ...verifiers.workers.pool import Pool, Reply
from ..core.errors import TaskError, UnknownTask
from ..core.packaged import import_extra
from ..core.problem import Problem
from ..core.sources import Procedural
from ..core.task import Kind, Task
from . import reasoning_gym_entries as entries

PACKAGE = "reasoning_gym"
# What is not served, and why.
LEFT_OUT = {
    "composite": "it mixes others, which --task reasoning_gym:a:2,reasoning_gym:b does here",
    **dict.fromkeys(
        ("isomorphic_strings", "knight_swap", "polynomial_multiplication", "ransom_note", "word_ladder"),
        "its problems follow the order of sets, which differs from process to process",
    ),
    "game_of_life_halting": "its scorer takes any text for a yes",
    "puzzle24": "its scorer does not look at which numbers an expression uses",
}
# Generators whose scorer finds the answer within a longer text: two answers would pass. Here an answer has
# as many words as the right one.
ONE_ANSWER = (
    "fraction_simplification",
    "gsm_symbolic",
    "letter_jumble",
    "sokoban",
    "spell_backward",
    "time_intervals",
)
MATH = ("algebra", "arithmetic", "geometry", "probability")
# Where an entry has no answer, the right one that its metadata hold as an example.
EXAMPLES = ("possible_answer", "example_answer", "example_correct_answer")
DEADLINE_S = 5.0  # of one answer; making the entry anew is in it
MEMORY_MB = 1024
MAX_CHARS = 20_000  # of an answer: no entry's own is as long
POOL = Pool(
    f"{__package__}.reasoning_gym_scoring:score",
    workers=max(1, min(4, (os.cpu_count() or 2) // 2)),
    memory_mb=MEMORY_MB,
)


def names() -> list[str]:
    """The names of all tasks of the package; none where it is not installed."""
    try:
        known = entries.list_datasets()
    except ImportError:
        return []
    return [f"{PACKAGE}:{name}" for name in sorted(known) if name not in LEFT_OUT]


def find(name: str) -> Task:
    """The task of one generator. Raises UnknownTask where the package has none of that name, TaskError
    where it is not installed."""
    import_extra("reasoning-gym", f"{PACKAGE}:{name}")
    known = entries.list_datasets()
    if name in LEFT_OUT:
        raise TaskError(f"reasoning-gym's {name} is not served: {LEFT_OUT[name]}.")
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"It has {', '.join(sorted(known))}."
        raise UnknownTask(f"reasoning-gym has no generator {name!r}. {hint}")
    made, rubric = known[name], Rubric(scored_by_its_package(), answer_tag(weight=0.1))
    return Task(
        f"{PACKAGE}:{name}",
        Procedural(f"{PACKAGE}:{name}", _make_generator(name, made.options)),
        rubric,
        kind=_find_kind(made.module),
        summary=f"reasoning-gym's {name}: {made.summary}",
        origin=f"procedural, by reasoning-gym {entries.read_version()}",
        licence="Apache-2.0",
        citation="Stojanovski et al. 2025, Reasoning Gym, arXiv:2505.24760",
        instruction=rubric.instruction,
    )


def _find_kind(module: str) -> Kind:
    parts = module.split(".")
    return "math" if any(part in MATH for part in parts) else "code" if "code" in parts else "logic"


def _make_generator(name: str, options: Mapping[str, Any]):
    """A generator function whose keyword options are those of the package's configuration."""

    def generate(rng: random.Random, _level: int, **chosen: Any) -> Problem:
        given = {option: value for option, value in chosen.items() if value != options[option]}
        seed = rng.getrandbits(32)
        try:
            entry = entries.make_entry(name, given, seed)
        except (AssertionError, ValueError, TypeError) as failure:
            raise TaskError(
                f"reasoning-gym's {name} can't make a problem with {given}: {failure}"
            ) from failure
        metadata = entry.get("metadata", {})
        examples = (metadata.get(key) for key in EXAMPLES)
        answer = entry.get("answer")
        answer = answer if answer is not None else next((each for each in examples if each is not None), None)
        return Problem(
            prompt=entry["question"],
            reference={"generator": name, "options": given, "seed": seed, "answer": _write(answer)},
            metadata={"generator": name},
        )

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(option, keyword, default=value) for option, value in options.items()]
    generate.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return generate


def _write(answer: Any) -> str | None:
    """An answer as a completion writes it."""
    return answer if isinstance(answer, str) or answer is None else json.dumps(answer)


def scored_by_its_package(name: str = "answer") -> Criterion:
    """The generator's own scorer decides: 1 is correct, less is its partial credit."""

    def judge(reference: Mapping[str, Any], answer: str) -> Verdict:
        if len(answer) > MAX_CHARS:
            return malformed(reason=f"It is longer than {MAX_CHARS:,} characters.")
        if reference["generator"] in ONE_ANSWER and len(answer.split()) != len(reference["answer"].split()):
            return wrong(answer[:200], "It is not one answer alone.")
        asked = {key: reference[key] for key in ("generator", "options", "seed")}
        return read_reply(POOL.call({**asked, "answer": answer}, DEADLINE_S), answer)

    return answer_criterion(name, judge, sources=("tag",), render=_render, several=True)


def _render(reference: Mapping[str, Any]) -> str:
    if reference["answer"] is None:
        raise TaskError(f"reasoning-gym gives no right answer for {reference['generator']}.")
    return f"<answer>{reference['answer']}</answer>"


def read_reply(reply: Reply, answer: str) -> Verdict:
    """The verdict of what the worker says."""
    if reply.status == "timeout":
        return timeout(answer[:80], f"Scoring took over {DEADLINE_S:g} s.")
    if reply.status == "error":
        return malformed(answer[:80], f"The scorer failed at it: {reply.reason[:200]}")
    value = float(reply.value)
    if value >= 1:
        return correct(answer[:200])
    # The package gives 0.01 for any answer at all; that is no credit for being near.
    return (
        partial(value, answer[:200])
        if 0.05 < value < 1
        else wrong(answer[:200], "The scorer says it is wrong.")
    )
