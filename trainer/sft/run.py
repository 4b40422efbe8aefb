"""A run of supervised fine-tuning: its demonstrations, and the run of the fit around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...tasks import Task
from ...tasks.core.errors import UserError
from ..config.paths import list_code, list_data, make_paths_absolute
from ..config.settings import resolve
from ..config.sft import SFTConfig
from ..config.tasks import TRAINED, check_data, load_task, name_flags
from ..model.budget import check_prompts
from ..model.context import limit_tokens
from ..model.policy import Policy, load_policy_of, take_weights
from ..model.prompts import PromptFormat
from ..model.source import check_source
from ..model.template_file import check_template
from ..model.threads import choose_threads
from ..model.update_probe import check_update
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
from .data import encode_pairs
from .fit import (
    Demonstration,
    compute_mean_loss,
    draw_training_problems,
    encode_demonstrations,
    imitate,
    make_pace,
)
from .pairs import read_split

COMMAND = "sft"


@dataclass(frozen=True)
class Data:
    """What to imitate and what to measure on. name: for the default folder.  task: any,
    where pairs are given."""

    name: str
    task: Task
    train: Sequence[Demonstration]
    held_out: Sequence[Demonstration]


def sft(config: SFTConfig, policy: Policy | None = None, say: Callable[[str], None] = print) -> FitOutcome:
    """Fine-tune from the beginning. policy: a model in memory to start from,
    in place of the one that is named."""
    config = take_weights(make_paths_absolute(config), policy)
    task = load_task(config.task)
    name = "pairs" if config.imitation.pairs else task.name
    check_loggers(config.output.log)
    if policy is None:
        check_source(config.model.source)
    check_template(config.prompt)
    if not config.imitation.pairs:
        task.check_level(config.task.single_level)
        check_data(task, TRAINED, say)
    if policy is None and not config.imitation.pairs:
        check_prompts(
            config.model, task, TRAINED, config.imitation.max_tokens, say, config.prompt, "--max-tokens"
        )
    with begin_folder(config.output.out, f"{name}-sft-{config.seed}", say) as path:
        if policy is None:
            policy = load_policy_of(config.model, config.seed)
        limited = hold_to_model(policy, config)
        threads = choose_threads(policy, config.model.threads)
        say(f"{policy.source}: {policy.parameters:,} parameters, {policy.device}, {threads} CPU thread(s)")
        prompts = PromptFormat.of(policy.tokenizer, config.prompt, say, end_ids=policy.end_ids)
        data = prepare(prompts, task, limited, config.imitation.max_tokens, say)
        found = {"device": str(policy.device), "threads": threads, **prompts.facts}
        found |= {"policy": policy.facts} | ({} if config.imitation.pairs else {"task": task.facts})
        facts = gather_facts(COMMAND, path, list_code(config), list_data(config), **found)
        folder = open_new(path, config, facts, config.output.log)
        return _conclude(begin_fit(_make_run(folder, policy, data, config), say), config, say)


def resume_sft(path: Path, config: SFTConfig, say: Callable[[str], None] = print) -> FitOutcome:
    """Go on from the newest checkpoint of a run, as if it had never stopped. config:
    its settings from now on."""
    folder = open_existing(path)
    newest = folder.find_newest_checkpoint()
    state = checkpoint.load_state(newest)
    policy = load_policy_of(config.model, config.seed, source=str(newest))
    policy = replace(policy, source=config.model.source)
    facts = folder.read_facts()
    prompts = PromptFormat.of_run(policy.tokenizer, config.prompt, facts, say, policy.end_ids)
    task = load_task(config.task)
    data = prepare(prompts, task, hold_to_model(policy, config), config.imitation.max_tokens, say)
    say(f"Going on from {newest}, step {state['step']} of {config.steps}.")
    folder = reopen(path, config, config.output.log, state["step"])
    return _conclude(resume_fit(_make_run(folder, policy, data, config), state, say), config, say)


def hold_to_model(policy: Policy, config: SFTConfig) -> SFTConfig:
    """The settings within the model's positions.

    Raises UserError for a model that can't be trained rightly.
    """
    check_update(policy)
    return config.but(max_tokens=limit_tokens(policy, config.imitation.max_tokens))


def prepare(
    prompts: PromptFormat, task: Task, config: SFTConfig, asked: int, say: Callable[[str], None]
) -> Data:
    """The demonstrations, those over the token budget left out and counted.
    Raises UserError when none is left.

    asked: tokens that --max-tokens gives, where the model's positions leave fewer.
    """
    if config.imitation.pairs:
        shown, hidden = read_split(config.imitation)
        train = encode_pairs(prompts, shown, config.imitation.max_tokens)
        held_out = encode_pairs(prompts, hidden, config.imitation.max_tokens)[
            : config.evaluation.eval_problems
        ]
        left_out, everything = len(shown) - len(train), len(shown)
    else:
        problems = draw_training_problems(
            task, config.imitation.demonstrations, config.seed, config.task.single_level
        )
        train = encode_demonstrations(prompts, task, problems, config.seed, config.imitation.max_tokens)
        split = "test" if "test" in task.splits else task.splits[-1]
        unseen = task.problems(split, config.evaluation.eval_problems, level=config.task.single_level)
        held_out = encode_demonstrations(prompts, task, unseen, 0, config.imitation.max_tokens)
        left_out, everything = len(problems) - len(train), len(problems)
    if left_out:
        say(
            f"{left_out} of {everything} demonstrations are over {config.imitation.max_tokens} tokens: left "
            "out."
        )
    if not train or not held_out:
        which = "demonstration" if not train else "held-out demonstration"
        limit = config.imitation.max_tokens
        if limit < asked:
            raise UserError(
                f"There is no {which} within the model's {limit} positions. Take a model with a longer "
                "context, or shorter demonstrations."
            )
        raise UserError(f"There is no {which} of at most {limit} tokens; raise --max-tokens or --eval-share.")
    return Data("pairs" if config.imitation.pairs else task.name, task, train, held_out)


def _make_run(folder: RunFolder, policy: Policy, data: Data, config: SFTConfig) -> FitRun:
    tokens = resolve(config.optimizer.tokens_per_microbatch, FIT_TOKENS)

    def measure() -> Numbers:
        return {"loss": compute_mean_loss(policy, data.held_out, tokens)}

    return FitRun(
        folder=folder,
        fit=imitate(policy, data.train, tokens),
        pace=make_pace(config),
        optimizer=config.optimizer,
        output=config.output,
        stop_after=config.stop_after,
        eval_every=config.evaluation.eval_every,
        measure=measure,
        save_model=lambda model, folder: replace(policy, model=model).save(folder),
        save_final=lambda folder: policy.save(folder, config.output.save_dtype),
        title=f"SFT on {data.name}, seed {config.seed}",
        threads=config.model.threads,
        saver=Saver(saves_in_background(config.output.background_saving, policy.device)),
    )


def _conclude(outcome: FitOutcome, config: SFTConfig, say: Callable[[str], None]) -> FitOutcome:
    if outcome.after is not None:
        before, after = outcome.before["loss"], outcome.after["loss"]
        say(
            f"Held-out loss per completion token: {before:.3f} before, {after:.3f} after {outcome.steps} "
            "steps (nats)."
        )
        say(
            f"The model: {outcome.model}    next: palaestra train {name_flags(config.task)} --model "
            f"{outcome.model}"
        )
    return outcome
