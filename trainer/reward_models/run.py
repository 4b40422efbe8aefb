"""A run that fits a reward model to comparisons: what it learns from, and the run of the fit around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...tasks.core import registry
from ...tasks.core.errors import UserError
from ..config.paths import list_code, list_data, make_paths_absolute
from ..config.reward_model import ComparisonConfig, RewardModelConfig
from ..config.settings import resolve
from ..model.context import count_positions
from ..model.policy import Policy, load_policy_of, take_weights
from ..model.probe import check_positions
from ..model.prompts import PromptFormat
from ..model.source import check_source
from ..model.template_file import check_template
from ..model.threads import choose_threads
from ..reports.loggers import check_loggers
from ..storage import checkpoint
from ..storage.background import Saver, saves_in_background
from ..storage.folders import (
    RunFolder,
    gather_facts,
    open_existing,
    open_new,
    reopen,
)
from ..storage.starts import begin_folder
from ..supervised.loop import FIT_TOKENS
from ..supervised.run import FitOutcome, FitRun, Numbers, begin_fit, resume_fit
from .data import ComparisonSplit, read_split
from .fit import Encoded, encode, freeze, make_pace, measure, prefer
from .metrics import PreferenceMetrics
from .model import RewardModel, load_reward_model, make_reward_model

COMMAND = "reward-model"


@dataclass(frozen=True)
class EncodedSplit:
    """The same as token ids, those over the budget left out."""

    train: Sequence[Encoded]
    held_out: Sequence[Encoded]


def fit_to_comparisons(
    config: RewardModelConfig, policy: Policy | None = None, say: Callable[[str], None] = print
) -> FitOutcome:
    """Fit a reward model from the beginning.

    policy: a model in memory to start from, in place of the one that is named.
    """
    config = take_weights(make_paths_absolute(config), policy)
    check_loggers(config.output.log)
    if policy is None:
        check_source(config.model.source)
    check_template(config.prompt)
    if config.comparisons.task:
        registry.get(config.comparisons.task)
    comparisons = read_split(config.comparisons, say)
    with begin_folder(config.output.out, f"reward-model-{config.seed}", say) as path:
        if policy is None:
            policy = load_policy_of(config.model, config.seed)
        check_positions(policy)
        threads = choose_threads(policy, config.model.threads)
        say(f"{policy.source}: {policy.parameters:,} parameters, {policy.device}, {threads} CPU thread(s)")
        reward_model = make_reward_model(
            policy,
            PromptFormat.of(policy.tokenizer, config.prompt, say),
            trust_remote_code=config.model.trust_remote_code,
        )
        data = encode_all(reward_model, comparisons, config.comparisons, say)
        found = {"device": str(policy.device), "threads": threads, **reward_model.prompts.facts}
        found["policy"] = policy.facts
        facts = gather_facts(COMMAND, path, list_code(config), list_data(config), **found)
        folder = open_new(path, config, facts, config.output.log)
        return _conclude(begin_fit(_make_run(folder, reward_model, data, config), say), say)


def resume_reward_model(
    path: Path, config: RewardModelConfig, say: Callable[[str], None] = print
) -> FitOutcome:
    """Go on from the newest checkpoint of a run, as if it had never stopped.

    config: its settings from now on.
    """
    folder = open_existing(path)
    newest = folder.find_newest_checkpoint()
    state = checkpoint.load_state(newest)
    reward_model = load_reward_model(
        str(newest),
        config.model.device,
        config.model.dtype,
        weights=config.model.weights,
        trust_remote_code=config.model.trust_remote_code,
    )
    prompts = PromptFormat.of_run(reward_model.tokenizer, config.prompt, folder.read_facts(), say)
    reward_model = replace(reward_model, prompts=prompts)
    reward_model.model.requires_grad_(True)
    data = encode_all(reward_model, read_split(config.comparisons, say), config.comparisons, say)
    say(f"Going on from {newest}, step {state['step']} of {config.steps}.")
    folder = reopen(path, config, config.output.log, state["step"])
    return _conclude(resume_fit(_make_run(folder, reward_model, data, config), state, say), say)


def encode_all(
    reward_model: RewardModel,
    comparisons: ComparisonSplit,
    config: ComparisonConfig,
    say: Callable[[str], None],
) -> EncodedSplit:
    """The comparisons as token ids, those over the token budget left out and counted.

    Raises UserError when none is left.
    """
    positions = count_positions(reward_model.model) or config.max_tokens
    limit = min(config.max_tokens, positions)
    remedy = (
        "raise --max-tokens"
        if limit == config.max_tokens
        else "the model has no more positions: take another"
    )
    instruction = registry.get(config.task).instruction if config.task else ""
    encoded = []
    for name, items in (("training", comparisons.train), ("held-out", comparisons.held_out)):
        kept = encode(reward_model, items, instruction, limit)
        if len(kept) < len(items):
            say(
                f"{len(items) - len(kept)} of {len(items)} {name} comparisons are over {limit} "
                "tokens: left out."
            )
        if not kept:
            raise UserError(f"No {name} comparison fits into {limit} tokens; {remedy}.")
        encoded.append(kept)
    say(f"{len(encoded[0])} prompts to learn from, {len(encoded[1])} held out.")
    return EncodedSplit(*encoded)


def _make_run(
    folder: RunFolder, reward_model: RewardModel, data: EncodedSplit, config: RewardModelConfig
) -> FitRun:
    tokens = resolve(config.optimizer.tokens_per_microbatch, FIT_TOKENS)

    def measure_held_out() -> Numbers:
        return measure(reward_model, data.held_out, tokens).summarise()

    def save(model: Any, target: Path) -> None:
        replace(reward_model, model=model).save(target)

    def save_with_statistics(target: Path) -> None:
        freeze(reward_model, data.train, tokens).save(target, config.output.save_dtype)

    return FitRun(
        folder=folder,
        fit=prefer(reward_model, data.train, config.loss, tokens),
        pace=make_pace(config),
        optimizer=config.optimizer,
        output=config.output,
        stop_after=config.stop_after,
        eval_every=config.evaluation.eval_every,
        measure=measure_held_out,
        save_model=save,
        save_final=save_with_statistics,
        title=f"reward model, seed {config.seed}",
        threads=config.model.threads,
        saver=Saver(saves_in_background(config.output.background_saving, reward_model.device)),
    )


def _conclude(outcome: FitOutcome, say: Callable[[str], None]) -> FitOutcome:
    if outcome.after is not None:
        say(describe(PreferenceMetrics.of(outcome.after)))
        say(
            f"The reward model: {outcome.model}    next: palaestra train --reward-model {outcome.model} "
            "--task TASK "
            "--model SFT_MODEL"
        )
    return outcome


def describe(metrics: PreferenceMetrics) -> str:
    """The metrics as lines for a person."""
    known = max(metrics.longer_preferred, 1 - metrics.longer_preferred)
    return "\n".join(
        [
            f"On {metrics.pairs} held-out pairs of {metrics.prompts} prompts:",
            (
                f"  accuracy {metrics.accuracy}   (95 % interval; 0.5 is chance, {known:.3f} knowing lengths "
                "alone)"
            ),
            (
                f"  loss {metrics.loss:.3f}, margin {metrics.margin:.3f} (nats), calibration error "
                f"{metrics.calibration:.3f}"
            ),
            f"  reward per 100 tokens {metrics.length_slope:+.3f} standard deviations "
            f"(correlation with length {metrics.length_correlation:+.2f})",
        ]
    )
