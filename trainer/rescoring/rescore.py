"""Judge again, offline, what a run or an evaluation has sampled: verdicts, rewards, advantages.

Nothing is written into the run or the evaluation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ...sandbox import default_workers
from ...tasks import Task
from ...tasks.core.errors import UserError
from ...tasks.core.isolation import isolate
from ...verifiers import Rubric, Score
from ...verifiers.version import hash_rubric
from ..config.evaluation import EvalConfig
from ..config.train import TrainConfig
from ..evaluation.measured import write_verdict
from ..reports.progress import make_progress_bar
from ..reward_models.scoring import assign_models
from ..storage.names import COMPLETIONS, FACTS
from ..storage.records import drop_nan, read_json_if_there, write_json, write_lines
from ..storage.rows import write_episode
from ..storage.starts import number_folder
from .changes import Changes, find_changes
from .credit import Credits, credit_steps
from .judges import RubricName
from .judging import Problems, count_unfinished, judge_anew
from .recorded import Recorded, Source, open_source, read_recorded
from .report import describe

RECORD, GROUPS = "rescore.json", "groups.jsonl"
DEFAULT_JUDGE = "now"  # in a folder's name: the task's present rubric
DEADLINE_S = 60.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Rescored:
    """What another judgement says.

    source: the run or the evaluation.  rubric: what judged, by its name.  same_rubric: whether that is the
    rubric that was recorded, in its present version.  changes: of the completions.  credits: of the groups of
    a run; None for an evaluation, and where they can't be had.  notes: what to know of it, as sentences.
    folder: of completions.jsonl, rescore.json and, of a run, groups.jsonl.
    """

    source: Path
    rubric: str
    same_rubric: bool
    changes: Changes
    credits: Credits | None
    notes: Sequence[str]
    folder: Path
    rows_B: Sequence[Recorded] = field(repr=False)
    scores_B: Sequence[Score] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: everything but the rows."""
        credits = self.credits
        record = {
            "command": "rescore",
            "source": str(self.source),
            "rubric": self.rubric,
            "same_rubric": self.same_rubric,
            "notes": list(self.notes),
            "changes": asdict(self.changes),
            "steps": [asdict(step) for step in credits.steps] if credits else [],
            "groups": (
                {
                    "all": len(credits.groups),
                    **{
                        kind: credits.count(kind) for kind in ("flipped", "silenced", "woken", "kept", "none")
                    },
                }
                if credits
                else {}
            ),
        }
        return drop_nan(record)

    def __str__(self) -> str:
        return describe(self.to_dict(), self.credits)


def rescore(
    source: Path,
    rubric: str = "",
    task: str = "",
    *,
    out: str = "auto",
    workers: int = 0,
    deadline_s: float = DEADLINE_S,
    allow_weak: bool = False,
    say: Say = print,
) -> Rescored:
    """Judge the completions of a run or an evaluation again.

    rubric: as `--verify` takes it (math, number, FILE.py, FILE.py:name, module:name).  task: one whose rubric
    judges.  With neither it is the present rubric of the task that was scored.
    out: folder for what is written; auto takes one in runs/.  workers: processes; 0 takes as many as cores.
    deadline_s: seconds for one completion.
    Raises UserError where there is nothing to judge, or nothing that judges.
    """
    if rubric and task:
        raise UserError("Give --rubric or --task, not both.")
    opened = open_source(source)
    folder = choose_folder(opened, rubric or task, out)
    own = RubricName.of_task(opened.config.task, lenient=_is_lenient(opened.config))
    name = own if not (rubric or task) else RubricName(rubric, {"name": task} if task else {})
    own_task = own.load_task()
    own_rubric = add_learned(replace(own_task, rubric=own.load()), opened.config)
    new_task = replace(own_task, rubric=name.load())
    new_rubric = own_rubric if name == own else new_task.rubric
    isolate(new_task, allow_weak or opened.config.task.allow_weak_sandbox, say)
    rows = list(read_recorded(opened))
    if not rows:
        raise UserError(f"{opened.path} holds no completion yet.")
    problems = Problems(own_task)
    workers = workers or default_workers()
    with make_progress_bar(total=len(rows), desc="rescore", unit="completion") as bar:
        scores = judge_anew(rows, problems, name, new_rubric, workers, deadline_s, bar.update)
    label = f"task {own_task.name}" if name == own else str(name)
    credits, notes = None, [*list_notes(new_rubric, scores, problems)]
    if isinstance(opened.config, TrainConfig):
        configs = opened.read_configs({row.step for row in rows})
        found = credit_steps(rows, scores, own_rubric, configs)
        credits, more = (None, [found]) if isinstance(found, str) else (found, list(found.notes))
        notes += more
    result = Rescored(
        source, label, name == own, find_changes(rows, scores), credits, notes, folder, rows, scores
    )
    write(result, opened, new_rubric)
    return result


def _is_lenient(config: TrainConfig | EvalConfig) -> bool:
    return isinstance(config, EvalConfig) and config.held_out.extraction == "lenient"


def add_learned(task: Task, config: TrainConfig | EvalConfig) -> Rubric:
    """The task's rubric with the learned criterion that the settings give it."""
    reward = config.reward if isinstance(config, TrainConfig) else None
    if reward is not None and reward.reward_model:
        return assign_models(task, reward.reward_model, reward.reward_model_share).task.rubric
    if isinstance(config, EvalConfig) and config.compare.reward_model:
        return assign_models(task, config.compare.reward_model, 0.0).task.rubric
    return task.rubric


def list_notes(rubric: Rubric, scores: Sequence[Score], problems: Problems) -> list[str]:
    """What to know of a judgement, as sentences."""
    notes = []
    if rubric.learned:
        names = ", ".join(criterion.name for criterion in rubric.learned)
        notes.append(
            f"Learned criteria ({names}) keep what their reward models found then; no reward model is run. A "
            "completion without such a finding is left unscored."
        )
    if unscored := sum(score.abstained for score in scores):
        notes.append(
            f"{unscored} completion(s) could not be scored now; they are in no rate and no advantage, as in "
            "a run."
        )
    if unfinished := count_unfinished(scores):
        notes.append(
            f"{unfinished} completion(s) count as not passed because checking them took longer than the "
            "deadline, or ended the worker process. Where those are many, the rubric that judges now is at "
            "fault, and the false positives above say nothing of the earlier one."
        )
    if problems.by_record:
        notes.append(
            f"{len(problems.by_record)} problem(s) are not (any more) those of task {problems.task.name}: "
            "they were judged by the prompt and reference of their rows, without the task's metadata."
        )
    return notes


def choose_folder(source: Source, judge: str, out: str) -> Path:
    """Where a judgement goes; in place of an earlier one of the same source. Raises UserError for a folder
    that holds something else, the run's own too."""

    def is_of_source(folder: Path) -> bool:
        found = read_json_if_there(folder / RECORD).get("source", "")
        return bool(found) and Path(found).resolve() == source.folder.resolve()

    if out == "auto":
        return number_folder(f"rescore-{source.folder.resolve().name}-{judge or DEFAULT_JUDGE}", is_of_source)
    folder = Path(out)
    if folder.is_file():
        raise UserError(f"{folder} is a file, not a folder. Give another --out.")
    if folder.is_dir() and any(folder.iterdir()) and not is_of_source(folder):
        raise UserError(
            f"{folder} is not empty, and holds no judgement of {source.folder}. Give another --out."
        )
    return folder


def write(result: Rescored, source: Source, rubric: Rubric) -> None:
    """completions.jsonl as an evaluation's, rescore.json, groups.jsonl. Each is there whole or not at all."""
    result.folder.mkdir(parents=True, exist_ok=True)
    credits = result.credits
    advantages = _list_advantages(credits, result.rows_B) if credits else {}
    rows = (
        json.dumps({**_make_row(row, score), **advantages.get(place, {})}, default=str)
        for place, (row, score) in enumerate(zip(result.rows_B, result.scores_B, strict=True))
    )
    identity = source.facts.get("identity")
    facts: dict[str, Any] = {**source.facts, "command": "rescore", "rescored": str(source.folder)}
    if identity:
        judged = {**identity["facts"], "verifiers": hash_rubric(rubric)}
        facts["identity"] = {**identity, "facts": judged}
    groups = (json.dumps(drop_nan(asdict(group))) for group in (credits.groups if credits else []))
    write_lines(result.folder / COMPLETIONS, rows)
    write_json(result.folder / FACTS, facts)
    write_lines(result.folder / GROUPS, groups)
    write_json(result.folder / RECORD, result.to_dict())


def _make_row(row: Recorded, score: Score) -> dict[str, Any]:
    """As an evaluation's rows, with what was recorded under `before`."""
    return {
        "step": row.step, "sample": row.sample, "id": row.problem, "prompt": row.prompt,
        "reference": row.reference, "completion": row.completion.text, "tokens": row.completion.tokens,
        "prompt_tokens": row.completion.prompt_tokens, "finish_reason": row.completion.finish_reason,
        **write_episode(row.completion),
        "reward": score.reward, "passed": score.passed, "abstained": score.abstained,
        **({"learned": dict(score.learned)} if score.learned else {}),
        "verdicts": {name: write_verdict(verdict) for name, verdict in score.parts.items()},
        "before": {
            "reward": row.reward, "passed": row.passed, "abstained": row.abstained,
            "verdicts": {name: write_verdict(verdict) for name, verdict in row.verdicts.items()},
        },
        "seconds": sum(verdict.seconds for verdict in score.parts.values()),
    }  # fmt: skip


def _list_advantages(credits: Credits, rows_B: Sequence[Recorded]) -> dict[int, dict[str, float]]:
    """Of each row its advantages before and after, by its place."""
    members: dict[int, list[int]] = {}
    for place, row in enumerate(rows_B):
        members.setdefault(row.group, []).append(place)
    found: dict[int, dict[str, float]] = {}
    for group in credits.groups:
        pairs = zip(members[group.group], group.before_G, group.after_G, strict=True)
        for place, before, after in pairs:
            found[place] = {"advantage_before": before, "advantage_after": after}
    return found
