"""What a run measured on held-out problems, kept as an evaluation's folder in its own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...tasks import Problem, Task
from ..config.settings import Settings, list_settings
from ..rollouts.rollouts import Prompts
from ..storage.atomic import write_folder
from ..storage.names import COMPLETIONS, FACTS, OF_A_RUN, SUMMARY
from ..storage.records import write_json
from .evaluate import Evaluation
from .identity import Identity, gather_task_facts
from .likeness import NAMED, SETTINGS, TOLD
from .measured import locate_held_out
from .records import write_groups


def identify(
    config: Settings,
    task: Task,
    code: Sequence[str],
    problems: Sequence[Problem],
    split: str,
    samples: int,
    prompts: Iterable[Any],
    reward_models: Sequence[str],
) -> dict[str, Any]:
    """What a run's evaluations are of, as `Identity` writes it, so that they can be compared with others.

    code: what the settings name of the task.  split: of the problems.  samples: of each.  prompts: what the
    model reads.
    """
    names = {NAMED, *TOLD, *(setting for listed in SETTINGS.values() for setting in listed)}
    values = {s.name: s.value(config) for s in list_settings(type(config)) if s.name in names}
    values |= {"split": split, "extraction": "strict", "stop": [], "seed": 0}
    values |= {"endpoint": "", "api": "chat"}
    facts = gather_task_facts(code, task, reward_models)
    identity = Identity(json.loads(json.dumps(values)), samples, len(problems), facts)
    identity = identity.with_chain(
        "problems", ([p.id, p.prompt, p.reference, dict(p.metadata)] for p in problems)
    )
    return identity.with_chain("prompts", prompts).to_dict()


def write_held_out(
    run: Path, step: int, result: Evaluation, prompts: Prompts, identity: Mapping[str, Any]
) -> Path:
    """Write the completions of an evaluation at a step, with what they are of; returns their folder.

    It is there whole or not at all; that of an earlier try goes. Raises DiskError where it can't be written.
    """
    folder = locate_held_out(run, step)
    facts = {"command": OF_A_RUN, "step": step, "identity": identity, **getattr(prompts, "facts", {})}

    def write(new: Path) -> None:
        write_groups(new / COMPLETIONS, result.groups, prompts, step=step)
        write_json(new / FACTS, facts)
        write_json(new / SUMMARY, result.summarise())

    write_folder(folder, write)
    return folder
