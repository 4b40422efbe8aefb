"""Where `--trajectories branching` has a meaning: for episodes that are drawn here. Imports no torch."""

from __future__ import annotations

from ...tasks.core.errors import UserError
from ...tasks.core.task import Task
from .shared import PromptConfig
from .train import TrainConfig


def refuse_branches(prompt: PromptConfig, reason: str, remedy: str = "Leave it out.") -> None:
    """Raise UserError with the reason where the settings ask for branches."""
    if prompt.trajectories == "branching":
        raise UserError(f"--trajectories branching: {reason} {remedy}")


def check_branches(prompt: PromptConfig, task: Task, endpoint: str = "") -> None:
    """Raise UserError where branches would have no effect. endpoint: the URL that answers, if any."""
    if not task.has_episodes:
        refuse_branches(prompt, f"it would have no effect, since problems of {task.name} have single turns.")
    if endpoint:
        refuse_branches(prompt, "an endpoint renders the conversation at each turn by itself.")


def check_branches_of_run(config: TrainConfig, task: Task) -> None:
    """Raise UserError where a run can't learn from branches."""
    check_branches(config.prompt, task)
    if config.sft_steps and config.model.source == "embedded":
        refuse_branches(
            config.prompt,
            "the warm-up of the embedded model imitates conversations that only grow.",
            "Give --sft-steps 0, or a --model that plays.",
        )
    if config.ranks.shard != "none":
        refuse_branches(
            config.prompt, "a policy in shards takes as many passes in every process, and branches are more."
        )
