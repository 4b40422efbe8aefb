"""Whether two evaluations may be compared: of one task, with the same prompts, judged by the same verifiers.

Imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ...tasks.core.errors import UserError, shorten
from .measured import Measured

Kind = Literal["tasks", "prompts", "verifiers"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SETTINGS: dict[Kind, tuple[str, ...]] = {
    "tasks": ("split", "level", "option"),
    "prompts": ("system", "instruction", "chat_template_kwargs"),
    "verifiers": ("extraction",),
}
NAMED = "verify"
"""A setting that names what judges. The same code may be named in two ways, so its hash decides."""
TOLD = (
    *("temperature", "top_p", "top_k", "min_p", "max_new_tokens", "stop", "seed"),
    "endpoint", "api",
)  # fmt: skip
"""Settings that two evaluations may differ in, and that whoever reads the difference should know of."""


@dataclass(frozen=True)
class Unlike:
    """Something in which two evaluations differ. kind: what may have to be allowed for it."""

    kind: Kind
    sentence: str


def check_alike(first: Measured, second: Measured, across: Collection[str] = ()) -> list[str]:
    """What differs and was allowed, or may differ, as phrases.

    across: what two evaluations may differ in, of `KINDS`. Raises UserError where they differ in anything
    else, with all of it, or have no problem in common.
    """
    if not first.rows_P.keys() & second.rows_P.keys():
        raise UserError(
            f"{first.name} and {second.name} have no problem in common, so they can't be compared: evaluate "
            "the same task, split, level and seed twice."
        )
    found = list(list_unlike(first, second))
    refused = [each for each in found if each.kind not in across]
    if refused:
        kinds = [kind for kind in KINDS if any(each.kind == kind for each in found)]
        said = "; ".join(dict.fromkeys(each.sentence for each in refused))
        raise UserError(
            f"{first.name} and {second.name} are not of one kind: {said}. A difference of their rates would "
            f"not be the models'. Evaluate again with the same, or give --across {','.join(kinds)}."
        )
    return [*dict.fromkeys(each.sentence for each in found), *list_told(first, second)]


def list_unlike(first: Measured, second: Measured) -> Iterator[Unlike]:
    """Everything that may not differ, and does. What either has no record of is compared by its rows
    alone."""
    yield from _compare_problems(first, second)
    if not (first.identity and second.identity):
        return
    for kind, names in SETTINGS.items():
        for name in names:
            was, now = (each.identity["settings"].get(name) for each in (first, second))
            if was != now and kind != "prompts":
                yield Unlike(kind, f"{name} is {_show(was)} in one and {_show(now)} in the other")
    facts = [each.identity["facts"] for each in (first, second)]
    if facts[0].get("task") != facts[1].get("task"):
        yield Unlike("tasks", f"the tasks are {facts[0].get('task')} and {facts[1].get('task')}")
    elif _differs(first, second, "task_source"):
        yield Unlike("tasks", "the task's code changed between them")
    yield from _compare_prompts(first, second)
    if _differs(first, second, "verifiers"):
        was, now = (each.identity["settings"].get(NAMED) for each in (first, second))
        why = f" (--verify is {_show(was)} in one and {_show(now)} in the other)" if was != now else ""
        yield Unlike(
            "verifiers", f"the rubric, its parameters or the verifiers' code changed between them{why}"
        )
    if _differs(first, second, "reward_models"):
        yield Unlike("verifiers", "the reward models are others")


def _compare_problems(first: Measured, second: Measured) -> Iterator[Unlike]:
    common = first.questions.keys() & second.questions.keys()
    other = sorted(key for key in common if _plain(first.questions[key]) != _plain(second.questions[key]))
    if other:
        yield Unlike(
            "tasks",
            f"{len(other)} problem(s) have another text or reference in one ({other[0]}, for example)",
        )


def _compare_prompts(first: Measured, second: Measured) -> Iterator[Unlike]:
    """By their hash where both have as many problems, else by what they are made of and by their lengths."""
    if first.identity["problems"] == second.identity["problems"]:
        alike = not _differs(first, second, "prompts")
    else:
        template = first.facts.get("chat_template") == second.facts.get("chat_template")
        alike = template and all(
            row.prompt_tokens == other.prompt_tokens
            for key in first.rows_P.keys() & second.rows_P.keys()
            for row, other in zip(first.rows_P[key][:1], second.rows_P[key][:1], strict=True)
        )
    changed = [
        f"{name} is {_show(was)} and {_show(now)}"
        for name in SETTINGS["prompts"]
        if (was := first.identity["settings"].get(name)) != (now := second.identity["settings"].get(name))
    ]
    if not changed and alike:
        return
    if first.facts.get("chat_template") != second.facts.get("chat_template"):
        changed.append("the chat templates differ")
    dates = [each.facts.get("prompt_date") for each in (first, second)]
    if not changed and dates[0] != dates[1]:
        changed.append(f"they were rendered on {dates[0]} and {dates[1]}")
    why = f" ({'; '.join(changed)})" if changed else " (another tokenizer, for example)"
    yield Unlike("prompts", f"the prompts as the models read them differ{why}")


def _differs(first: Measured, second: Measured, fact: str) -> bool:
    """Whether a fact that both have on record differs."""
    left, right = (each.identity["facts"] for each in (first, second))
    return fact in left and fact in right and left[fact] != right[fact]


def list_told(first: Measured, second: Measured) -> list[str]:
    """Settings of the sampling that differ, as phrases."""
    if not (first.identity and second.identity):
        return [
            "not both have a record of their task, prompts and verifiers: whether they agree is not known"
        ]
    pairs = [(name, *(each.identity["settings"].get(name) for each in (first, second))) for name in TOLD]
    return [f"{name} is {_show(was)} in {first.name}, {_show(now)} in {second.name}"
            for name, was, now in pairs if was != now]  # fmt: skip


def _plain(value: Any) -> str:
    return json.dumps(vars(value), sort_keys=True, default=str)


def _show(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False), 40)
