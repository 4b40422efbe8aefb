"""What can be said of a plan's settings before anything heavy is imported. Imports no torch."""

from __future__ import annotations

from ...tasks.core.errors import UserError
from ..config.plan import PlanConfig
from ..config.together import check_ranks
from .cards import HERE, check_card
from .shapes import find_shape


def check_plan(config: PlanConfig) -> None:
    """Raise UserError for a model or a card that is not known, and for settings that contradict each
    other."""
    find_shape(config.model.source)
    taken = config.hardware
    check_card(taken.gpu)
    if taken.sampler_gpus and taken.engine != "vllm":
        raise UserError(
            f"--sampler-gpus {taken.sampler_gpus} are cards of vLLM's own: give --engine vllm with it, or "
            "leave it out."
        )
    if taken.shard == "fsdp" and taken.gpus == 1:
        raise UserError("--shard fsdp splits a model among several cards: give --gpus 2 or more with it.")
    if taken.gpu == HERE and (taken.gpus > 1 or taken.engine == "vllm"):
        raise UserError("--gpu here plans for this machine alone: leave out --gpus and --engine vllm.")
    if taken.mean_tokens != "auto" and taken.mean_tokens > config.rollouts.max_new_tokens:
        raise UserError(
            f"--mean-tokens {taken.mean_tokens} is above --max-new-tokens {config.rollouts.max_new_tokens}: "
            "completions are cut there."
        )
    if taken.gpus > config.rollouts.prompts_per_step:
        raise UserError(
            f"--gpus {taken.gpus} and --prompts-per-step {config.rollouts.prompts_per_step}: some cards "
            "would have no problem in a step. Raise --prompts-per-step."
        )


def find_refusal(config: PlanConfig) -> str:
    """Why `palaestra train` would not begin the run that is planned, in its words; "" where it would."""
    try:
        check_ranks(config.as_training())
    except UserError as refusal:
        return str(refusal)
    return ""
