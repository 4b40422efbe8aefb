"""Evaluations from their settings: prepare all, then for each model sample and score what is not there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from ...tasks import Problem, Task
from ...tasks.core.errors import UserError
from ...tasks.core.export import PROCEDURAL_PROBLEMS
from ...tasks.core.isolation import isolate
from ..config.evaluation import EvalConfig
from ..config.paths import list_code, list_data
from ..config.suites import check_settings
from ..config.tasks import check_data
from ..config.tasks import load_task as load_named_task
from ..config.trajectories import check_branches
from ..model.budget import check_prompts
from ..model.policy import Policy
from ..model.template_file import check_template
from ..reward_models.scoring import Assignment, assign_models, judge
from ..rollouts.rollouts import Rollouts, make_sampling
from ..storage.folders import gather_facts
from ..storage.names import COMPLETIONS, ENGINE, FACTS, SUMMARY
from ..storage.records import write_json
from .baseline import read_baseline
from .breakdown import break_down
from .evaluate import Evaluation, evaluate
from .folder import (
    Begun,
    choose_folders,
    find_begun,
    refuse_another,
    write_start,
)
from .identity import Identity, gather_settings, gather_task_facts
from .journal import Journal
from .plan import check_subject, list_evaluations
from .subjects import Local, Opened, Subject, load_subject
from .summary import EvaluationRun, Suite
from .winrate import compare_with_baseline

COMMAND = "eval"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """An evaluation of which all is known but the model.

    task: as it will be scored.  begun: what its folder holds already.
    layers: of the sandbox, for the record.
    """

    config: EvalConfig
    task: Task
    assigned: Assignment
    problems: Sequence[Problem]
    folder: Path
    begun: Begun | None
    identity: Identity
    baseline: Mapping[str, Sequence[str]]
    layers: Mapping[str, object]


def evaluate_model(config: EvalConfig, policy: Policy | None = None, say: Say = print) -> EvaluationRun:
    """Measure one model on one task's held-out problems, or go on with an evaluation that stopped.

    policy: a model in memory, in place of the one that is named.
    Raises UserError for settings that make no sense or that ask for several evaluations, and for a folder
    that holds another evaluation, before anything is loaded.
    """
    asked = list_evaluations(config, policy.source if policy else "")
    if len(asked) > 1:
        raise UserError(
            f"This asks for {len(asked)} evaluations, and `evaluate` makes one: take `evaluate_all`, or "
            "`palaestra eval`."
        )
    check(asked[0], in_memory=policy is not None)
    task = load_task(asked[0])
    [folder] = choose_folders(asked, [task.name])
    prepared = prepare(asked[0], task, folder, say, in_memory=policy is not None)
    return measure(prepared, Local.of(policy) if policy else load_subject(asked[0]), say)


def evaluate_all(config: EvalConfig, say: Say = print) -> Suite:
    """Measure every model that the settings name on every task. Each evaluation has a folder of its own.

    All that can be wrong is found before anything is loaded. Says each result once it is there.
    """
    asked = list_evaluations(config)
    for each in asked:
        check(each)
    tasks = [load_task(each) for each in asked]
    folders = choose_folders(asked, [task.name for task in tasks])
    prepared = [
        prepare(each, task, folder, say) for each, task, folder in zip(asked, tasks, folders, strict=True)
    ]
    runs: list[EvaluationRun] = []
    for _, of_one_model in groupby(prepared, lambda each: each.config.model.source):
        together = list(of_one_model)
        subject = load_subject(together[0].config)
        for each in together:
            runs.append(measure(each, subject, say))
            say(str(runs[-1]))
    return Suite(runs)


def check(config: EvalConfig, *, in_memory: bool = False) -> None:
    """Raise UserError for settings that make no sense together, or name what can't be used."""
    check_template(config.prompt)
    check_settings(config)
    if not in_memory:
        check_subject(config)


def prepare(config: EvalConfig, task: Task, folder: Path, say: Say, *, in_memory: bool = False) -> Prepared:
    """Everything up to the model; nothing is loaded or written.

    task, folder: of this evaluation.  in_memory: whether the model is there already.
    """
    baseline = read_baseline(config.compare.baseline) if config.compare.baseline else {}
    if task.has_episodes and config.endpoint.url and config.endpoint.api == "completions":
        raise UserError(
            f"{task.name} has episodes, and an endpoint that completes texts can't hold a conversation: take "
            "--api chat."
        )
    check_branches(config.prompt, task, config.endpoint.url)
    layers = isolate(task, config.task.allow_weak_sandbox, say)
    task.check_level(config.task.single_level)
    check_data(task, [config.held_out.split], say)
    if not in_memory and not config.endpoint.url:
        budget = config.sampling.max_prompt_tokens
        check_prompts(config.model, task, [config.held_out.split], budget, say, config.prompt)
    begun = find_begun(folder)
    assigned = assign_models(task, config.compare.reward_model, 0.0)
    count, level = count_problems(task, config), config.task.single_level
    problems = task.problems(config.held_out.split, count, config.seed, level)
    identity = Identity(
        gather_settings(config),
        config.sampling.samples,
        len(problems),
        gather_task_facts(list_code(config.task), assigned.task, list(assigned.sources.values())),
    ).with_chain("problems", ([p.id, p.prompt, p.reference, dict(p.metadata)] for p in problems))
    refuse_another(folder, identity, begun)
    return Prepared(config, task, assigned, problems, folder, begun, identity, baseline, layers)


def measure(prepared: Prepared, subject: Subject, say: Say) -> EvaluationRun:
    """Sample, score and write down what is not there yet, then the summary.

    Raises UserError where the folder's evaluation was of another model, or its prompts were others.
    """
    config, folder, problems, model = (
        prepared.config,
        prepared.folder,
        prepared.problems,
        prepared.config.model,
    )
    judged = judge(
        prepared.task,
        config.compare.reward_model,
        0.0,
        model.device,
        model.dtype,
        trust_remote_code=model.trust_remote_code,
    )
    task = judged.task
    opened = subject.open(config, judged, _find_date(prepared.begun), say, folder / ENGINE)
    with contextlib.ExitStack() as stack:
        stack.callback(opened.close)
        identity = prepared.identity.with_chain("prompts", opened.render(problems, task.instruction))
        identity = identity.with_facts(**opened.identity)
        refuse_another(folder, identity, prepared.begun)
        folder.mkdir(parents=True, exist_ok=True)
        with Journal.open(folder / COMPLETIONS) as journal:
            begun = find_begun(folder)  # another process may have begun one here since it was prepared
            refuse_another(folder, identity, begun)
            journal.read(problems, task.rubric, identity.samples)
            facts = gather_facts(
                COMMAND, folder, list_code(config), list_data(config), **opened.facts, **prepared.layers
            )
            facts["identity"] = identity.to_dict()
            write_start(folder, config, facts)
            try:
                result = sample_and_score(opened, task, problems, journal, say)
            finally:
                if said := opened.describe():
                    facts["endpoint"] = add_said(begun.facts.get("endpoint", {}) if begun else {}, said)
                    write_json(folder / FACTS, facts)
                    tell_refused(said, say)
            wins = (
                compare_with_baseline(task, opened.scorers, result.groups, prepared.baseline)
                if prepared.baseline
                else {}
            )
            breakdown = break_down(result.groups, task.rubric, list(result.pass_at), result.too_long)
            run = EvaluationRun(result, breakdown, folder, opened.config, wins, task.name)
            write_json(folder / SUMMARY, run.summarise(facts))
    return run


def _find_date(begun: Begun | None) -> str:
    """The date that the prompts of an evaluation name; "" for one that begins."""
    return begun.facts.get("prompt_date", "") if begun else ""


def add_said(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """What an endpoint said of itself in all parts of an evaluation: of lists, what any part heard."""
    heard = {
        name: sorted({*before.get(name, []), *said}) for name, said in now.items() if isinstance(said, list)
    }
    return {**before, **now, **heard}


def tell_refused(said: Mapping[str, Any], say: Say) -> None:
    """Say why an endpoint refused prompts, where it did."""
    if said.get("refused"):
        say(f"The endpoint refused prompts, which count as not passed: {'; '.join(said['refused'])}")


def sample_and_score(
    opened: Opened, task: Task, problems: Sequence[Problem], journal: Journal, say: Say
) -> Evaluation:
    """Measure on these problems what the journal does not hold yet, and write it down row by row."""
    config, asked, folder = opened.config, opened.config.sampling, journal.path.parent
    rollouts = Rollouts(opened.engine, opened.prompts, task, asked.max_prompt_tokens, scorers=opened.scorers)
    if journal.answers:
        whole = len(journal.answers) == len(problems) * asked.samples
        said = "nothing is left to sample" if whole else "the others are sampled now"
        say(f"{folder} holds {len(journal.answers)} completions of this evaluation: {said}.")
    start, before = time.perf_counter(), journal.seconds
    try:
        score_unscored(rollouts, problems, journal, say)
        return evaluate(
            rollouts,
            problems,
            asked.samples,
            make_sampling(asked, stop=asked.stop),
            config.seed,
            show_progress=True,
            known=journal.answers,
            keep=lambda problem, sample, answer: journal.write(
                problem,
                sample,
                answer,
                before + time.perf_counter() - start,
                opened.write_prompt(sample, answer.completion),
            ),
            seconds=before,
            ks=config.estimate.list_ks(asked.samples),
        )
    except KeyboardInterrupt:
        say(
            f"Stopped. What was scored is in {journal.path}; the same command with --out {folder} goes on "
            "from there."
        )
        raise
    finally:
        rollouts.close()


def score_unscored(rollouts: Rollouts, problems: Sequence[Problem], journal: Journal, say: Say) -> None:
    """Score again what could not be scored when it was sampled: a judge that was down may be up."""
    places = [place for place, answer in journal.answers.items() if answer.score.abstained]
    if not places:
        return
    asked = [problems[place] for place, _ in places]
    scores = rollouts.score_again(asked, [journal.answers[place].completion for place in places])
    found = {place: score for place, score in zip(places, scores, strict=True) if not score.abstained}
    say(f"{len(places)} of them could not be scored then: {len(found)} are scored now.")
    if found:
        journal.replace_scores(problems, found)


def load_task(config: EvalConfig) -> Task:
    """The task that the settings name, with its answers read as they say."""
    task = load_named_task(config.task)
    if config.held_out.extraction == "lenient":
        task = replace(task, rubric=task.rubric.lenient())
    return task


def count_problems(task: Task, config: EvalConfig) -> int | None:
    """How many problems are asked; None for a whole split."""
    if config.held_out.problems != "auto":
        return config.held_out.problems
    return None if task.source.size(config.held_out.split) else PROCEDURAL_PROBLEMS
