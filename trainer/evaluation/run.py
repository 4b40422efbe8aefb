"""One evaluation from its settings: sample, score, compare, write down, describe."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ...tasks import Problem, Task
from ...tasks.core.errors import UserError
from ...tasks.core.export import PROCEDURAL_PROBLEMS
from ...tasks.core.isolation import isolate
from ...verifiers.display import write_html
from ..config.evaluation import EvalConfig
from ..config.paths import list_code, list_data
from ..config.tasks import check_data
from ..config.tasks import load_task as load_named_task
from ..engines.local import LocalEngine
from ..model.budget import check_prompts
from ..model.context import limit_prompts
from ..model.policy import Policy, load_policy_of
from ..model.probe import describe_decoding
from ..model.prompts import PromptFormat, check_template
from ..model.source import check_source
from ..model.threads import use_threads
from ..reward_models.model import Scorer
from ..reward_models.scoring import Judged, judge
from ..rollouts.rollouts import Rollouts, make_sampling
from ..storage.folders import find_free, gather_facts, open_new
from ..storage.rows import read_completions
from .evaluate import Evaluation, evaluate
from .records import write_groups
from .winrate import WinRate, compare_with_baseline, read_baseline

COMMAND = "eval"


@dataclass(frozen=True)
class EvaluationRun:
    """result: what was found.  folder: of completions.jsonl, summary.json and facts.json.

    config: what was asked.  task: its name.
    wins: against a baseline, by the reward model that judged.
    """

    result: Evaluation
    folder: Path
    config: EvalConfig = field(repr=False)
    wins: Mapping[str, WinRate] = field(default_factory=dict)
    task: str = ""

    def completions(self) -> list[dict[str, Any]]:
        """Every completion with its verdicts and the prompt as the model saw it (`rendered_prompt`)."""
        return read_completions(self.folder / "completions.jsonl")

    def __str__(self) -> str:
        return describe(self)

    def __repr__(self) -> str:
        task, what = self.config.task.name, "pass@1" if self.result.pass_at else "reward"
        return (
            f"EvaluationRun({task!r}, {self.result.problems} problems, {what} {self.result.headline}, "
            f"{str(self.folder)!r})"
        )

    def _repr_html_(self) -> str:
        return write_html(self)


def check(config: EvalConfig) -> None:
    """Raise UserError for settings that make no sense together, or name a template that can't be used."""
    check_template(config.prompt)
    if config.sampling.temperature == 0 and config.sampling.samples > 1:
        raise UserError(
            "Greedy decoding gives the same completion every time: use --samples 1, or a --temperature "
            "above 0."
        )


def check_model(source: str) -> None:
    """Raise UserError where no model is named, or a folder that holds none."""
    if not source:
        raise UserError("Say which model: --model HUB_ID_OR_FOLDER.")
    check_source(source)


def evaluate_model(
    config: EvalConfig, policy: Policy | None = None, say: Callable[[str], None] = print
) -> EvaluationRun:
    """Measure a model on a task's held-out problems.

    policy: a model in memory, in place of the one that is named.
    Raises UserError for settings that make no sense, before anything is loaded.
    """
    check(config)
    source = policy.source if policy else config.model.source
    if policy is None:
        check_model(source)
    baseline = read_baseline(config.compare.baseline) if config.compare.baseline else {}
    task = load_task(config)
    layers = isolate(task, config.task.allow_weak_sandbox, say)
    task.check_level(config.task.single_level)
    check_data(task, [config.held_out.split], say)
    if policy is None:
        budget = config.sampling.max_prompt_tokens
        check_prompts(config.model, task, [config.held_out.split], budget, say, config.prompt)
    folder = find_free(config.output.out, f"eval-{task.name}-{name_model(source)}")
    judged = judge(
        task,
        config.compare.reward_model,
        0.0,
        config.model.device,
        config.model.dtype,
        trust_remote_code=config.model.trust_remote_code,
    )
    problems = task.problems(
        config.held_out.split, count_problems(task, config), config.seed, config.task.single_level
    )
    if policy is None:
        policy = load_policy_of(config.model)
    config = hold_to_model(policy, config, say, judged)
    use_threads(config.model.threads)
    prompts = PromptFormat.of(policy.tokenizer, config.prompt, say, end_ids=policy.end_ids)
    scorers = judged.make_scorers(prompts)
    result = sample_and_score(
        config, policy, prompts, judged.task, scorers, problems, folder / "completions.jsonl"
    )
    wins = {}
    if config.compare.baseline:
        wins = compare_with_baseline(judged.task, scorers, result.groups, baseline)
    run = EvaluationRun(result, folder, config, wins, task.name)
    found = {"device": str(policy.device), **prompts.facts, **layers}
    facts = gather_facts(COMMAND, folder, list_code(config), list_data(config), **found)
    write_summary(run, task, facts)
    return run


def sample_and_score(
    config: EvalConfig,
    policy: Policy,
    prompts: PromptFormat,
    task: Task,
    scorers: Mapping[str, Scorer],
    problems: Sequence[Problem],
    completions: Path,
) -> Evaluation:
    """Measure on these problems. completions: the file that they are written to, group by group."""
    asked = config.sampling
    engine = LocalEngine(policy, None if asked.rows == "auto" else asked.rows)
    rollouts = Rollouts(engine, prompts, task, asked.max_prompt_tokens, scorers=scorers)
    try:
        return evaluate(
            rollouts,
            problems,
            asked.samples,
            make_sampling(asked, stop=asked.stop),
            config.seed,
            show_progress=True,
            keep=lambda group: write_groups(completions, [group], prompts),
        )
    finally:
        rollouts.close()


def hold_to_model(
    policy: Policy, config: EvalConfig, say: Callable[[str], None], judged: Judged
) -> EvalConfig:
    """The settings within the positions of the model, and of the reward models that read its completions.

    Says how it is sampled from where that is not as usual.

    Raises UserError for a model that can't be sampled from rightly.
    """
    note = describe_decoding(policy)
    if note:
        say(note)
    asked = config.sampling
    readers = {f"The reward model {name}": model.positions for name, model in judged.models.items()}
    return config.but(
        max_prompt_tokens=limit_prompts(policy, asked.max_prompt_tokens, asked.max_new_tokens, say, readers)
    )


def load_task(config: EvalConfig) -> Task:
    """The task that the settings name, with its answers read as they say."""
    task = load_named_task(config.task)
    if config.held_out.extraction == "lenient":
        task = replace(task, rubric=task.rubric.lenient())
    return task


def name_model(source: str) -> str:
    """The last part of a hub id or of a folder, with the run's name where the folder is a run's."""
    folder = Path(source)
    run = folder.resolve().parent
    if folder.name == "model":
        return run.name
    return f"{run.parent.name}-{folder.name}" if run.name == "checkpoints" else folder.name


def count_problems(task: Task, config: EvalConfig) -> int | None:
    """How many problems are asked; None for a whole split."""
    if config.held_out.problems != "auto":
        return config.held_out.problems
    return None if task.source.size(config.held_out.split) else PROCEDURAL_PROBLEMS


def write_summary(run: EvaluationRun, task: Task, facts: Mapping[str, object]) -> None:
    """summary.json, config.json and facts.json."""
    config = run.config
    summary = {
        "task": task.name,
        "split": config.held_out.split,
        "model": config.model.source,
        "extraction": config.held_out.extraction,
        **run.result.summarise(),
        "baseline": config.compare.baseline,
        "win_rate": {name: asdict(win) for name, win in run.wins.items()},
    }
    (run.folder / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    open_new(run.folder, config, facts, ())


def describe(run: EvaluationRun) -> str:
    """The result as lines for a person."""
    result, config, asked = run.result, run.config, run.config.sampling
    mode = (
        "greedy"
        if asked.temperature == 0
        else f"temperature {asked.temperature:g}, {asked.samples} sample(s) each"
    )
    lines = [f"{run.task}, {config.held_out.split} split, {result.problems} problems, {mode}"]
    if config.held_out.extraction == "lenient":
        lines.append(
            "  lenient extraction: answers in plain prose are read too, so this is no rate to set beside a "
            "strict one"
        )
    lines += [f"  pass@{k:<3} {estimate}   (95 % interval)" for k, estimate in result.pass_at.items()]
    lines += [
        f"  learned reward {name} {interval}   (standard deviations above the answers its model was fitted "
        "on; no pass-rate)"
        for name, interval in result.learned.items()
    ]
    for name, win in run.wins.items():
        lines.append(
            f"  win-rate by {name} against {config.compare.baseline}: {win}   (ties {win.ties:.1%}, counted "
            "half)"
        )
        if win.unmatched:
            lines.append(f"    {win.unmatched} problems are on one side only and were left out")
    extracted = f"answer extracted {result.extracted:.1%}, " if result.pass_at else ""
    lines.append(f"  {extracted}truncated {result.truncated:.1%}, unscorable {result.abstained:.1%}")
    lines.append(
        f"  mean reward {result.reward:.3f}, mean length {result.tokens:.1f} tokens, {result.seconds:.0f} s"
    )
    if result.too_long:
        lines.append(
            f"  {result.too_long} prompts are over {asked.max_prompt_tokens} tokens and count as not passed; "
            "raise --max-prompt-tokens (or lower --max-new-tokens, where the model has no more positions) to "
            "try them"
        )
    return "\n".join(lines)
