"""Settings of a run that don't go together, whatever the machine. Imports no torch."""

from __future__ import annotations

from ...tasks.core.errors import UserError
from .train import TrainConfig


def check_ranks(config: TrainConfig) -> None:
    """Raise UserError for what several processes, sampling ahead, or a policy in shards can't do."""
    ranks, ahead, apart = config.ranks, config.rollouts.staleness, "don't go together"
    if ranks.processes > 1 and config.engine.kind != "local":
        raise UserError(
            f"--processes {ranks.processes} and --engine {config.engine.kind} {apart}: each process samples "
            "its problems from its own weights, and a server has one set of them. Leave out one of the two."
        )
    if ranks.processes > 1 and ahead:
        raise UserError(
            f"--processes {ranks.processes} and --staleness {ahead} {apart}: the processes exchange what "
            "they sampled between two updates, and not beside one. Leave out one of the two."
        )
    for flag, found, given in (
        ("--weights bfloat16", config.model.weights, "bfloat16"),
        ("--moments 8bit", config.optimizer.moments, "8bit"),
    ):
        if ranks.shard == "fsdp" and found == given:
            raise UserError(
                f"--shard fsdp and {flag} {apart}: rounding at random and moments in blocks are of whole "
                "weights. Leave out one of the two."
            )
