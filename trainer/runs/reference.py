"""The model that a run began with: whether it is kept, and what it is."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

from ...tasks.core.errors import UserError
from ..algorithms.named import find_algorithm
from ..config.train import TrainConfig
from ..model.policy import Policy, load_policy_of
from ..storage.folders import REFERENCE, RunFolder


def keeps_reference(config: TrainConfig) -> bool:
    """Whether the first policy is kept.

    Beside a reward model it shows how far the policy has gone to please it.
    """
    return find_algorithm(config.algorithm).needs_reference(config) or bool(config.reward.reward_model)


def check_reference(before: TrainConfig, config: TrainConfig) -> None:
    """Raise UserError where a run would go on with a reference that it did not keep from its start."""
    if keeps_reference(config) and not (keeps_reference(before) or config.model.lora_rank):
        raise UserError(
            "A KL penalty needs the model that the run began with, which this run did not keep: start a new "
            "run with it."
        )


def make_reference(policy: Policy, config: TrainConfig, kept: Path) -> Policy:
    """The policy as it was at the start.

    Without its adapters where it has any, else a frozen copy, of the model in the folder `kept` where that is
    there.
    """
    if config.model.lora_rank:
        return replace(policy, adapted=False)
    if not kept.exists():
        reference = replace(policy, model=copy.deepcopy(policy.model))
    else:
        reference = load_policy_of(config.model, source=str(kept))
    reference.model.eval().requires_grad_(False)
    return reference


def find_base(config: TrainConfig, folder: RunFolder) -> str:
    """Where others find the model that the adapters of a run belong to; "" for a run without adapters.

    That is the source by its name, where it has the very weights that the run began with, else the kept
    reference.
    """
    if not config.model.lora_rank:
        return ""
    base = folder.read_facts().get("base", REFERENCE)
    return str((folder.path / REFERENCE).resolve()) if base == REFERENCE else base
