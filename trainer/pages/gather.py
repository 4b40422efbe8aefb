"""Everything that a page shows, as plain data, from the folders of runs, evaluations and comparisons."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from ...tasks.core.errors import UserError
from ...verifiers.display import ENDINGS
from ..evaluation.comparison import FLIPS, RECORD
from ..evaluation.measured import list_steps, locate_held_out
from ..reports.curves import look_at_metrics
from ..storage.names import (
    ARMS,
    COMPLETIONS,
    CONFIG,
    END,
    FACTS,
    LEDGER,
    METRICS,
    ROLLOUTS,
    SUMMARY,
    TRIPPED,
)
from ..storage.records import read_json, read_json_if_there, read_objects
from ..storage.rows import is_count, is_number
from ..storage.starts import is_held
from .answers import Answer, answer_better, answer_ending, answer_hacking, answer_learning
from .measures import answer_evaluation, describe_comparison
from .paired import pair_runs, pair_steps
from .rows import Table, list_criteria
from .series import Series, measure_bands, round_digits, trace
from .turns import describe_episode

MEASURED_BY = {  # settings that say what held-out problems are, how they are asked and how they are judged
    "task": ("name", "option", "data", "level", "prompt", "answer", "choices", "verify", "test_share"),
    "prompt": ("system", "instruction", "template", "chat_template_kwargs"),
    "evaluation": ("eval_problems",),
}
Found = TypeVar("Found")
HEAT_ROWS = 400  # problems of the heat map, those that were visited most


@dataclass(frozen=True)
class Ledger:
    """visits: of each problem, as [step, passed, scored].
    suspects: problems whose reference may be wrong."""

    visits: Mapping[str, Any] = field(default_factory=dict)
    suspects: Sequence[str] = ()


@dataclass(frozen=True)
class Beside:
    """What a page can do without. end, tripped: how the run ended, and what stopped it; {} where it is not
    said.  damaged: names of the files that are."""

    ledger: Ledger
    end: Mapping[str, Any]
    tripped: Mapping[str, Any]
    damaged: Sequence[str]

    @classmethod
    def read(cls, folder: Path) -> Beside:
        damaged: list[str] = []

        def attempt(name: str, read: Callable[[Path], Found], without: Found) -> Found:
            try:
                return read(folder / name)
            except UserError:
                damaged.append(name)
                return without

        ledger = attempt(LEDGER, read_ledger, Ledger())
        end, tripped = (attempt(name, read_json_if_there, {}) for name in (END, TRIPPED))
        return cls(ledger, end, tripped, damaged)


@dataclass(frozen=True)
class RunData:
    """A run, or an evaluation, without its completions.

    kind: `train`, `sft`, `reward-model`, or `eval` for whatever holds scored completions.
    beside: what its small files say.  heat: of each problem its name and its visits ([step, passed, scored]).
    summary: of an evaluation.  damaged: lines of its metrics and files that the page does without.
    """

    name: str
    folder: Path
    kind: str
    config: dict[str, Any]
    facts: dict[str, Any]
    metrics: list[dict[str, Any]] = field(repr=False)
    series: Series = field(repr=False)
    beside: Beside = field(repr=False)
    heat: list[dict[str, Any]] = field(default_factory=list, repr=False)
    summary: dict[str, Any] = field(default_factory=dict)
    damaged: Sequence[str] = ()

    @property
    def command(self) -> str:
        """What wrote the folder: of completions `eval`, `held-out` or `rescore`, too."""
        return str(self.facts.get("command", self.kind))

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        return [line for line in self.metrics if line["kind"] == "evaluation"]

    def list_evaluations(self) -> list[dict[str, Any]]:
        """Their estimates (value, low, high), by name, and where each stands on every axis of the curves."""
        return [_shorten_evaluation(line, self.series) for line in self.evaluations]


@dataclass(frozen=True)
class Page:
    """What a page is made of. table: the completions of all runs.  comparison: a record, {} for none."""

    runs: list[RunData]
    table: Table
    comparison: dict[str, Any] = field(default_factory=dict)

    def to_head(self) -> dict[str, Any]:
        """All but the completions, as plain data for the page."""
        runs = [_describe(self, number) for number in range(len(self.runs))]
        names = [run.name for run in self.runs]
        shown = [str(side["name"]) for side in self.comparison.get("sides", [])] or names
        crossed = [
            asdict(
                answer_better(
                    names,
                    [run.evaluations for run in self.runs],
                    self.table,
                    number,
                    find_difference(self.runs[0], self.runs[number]),
                    pair_runs(self.runs[0].folder, self.runs[number].folder),
                )
            )
            for number in range(1, len(self.runs))
            if not self.comparison and self.runs[number].kind == "train" == self.runs[0].kind
        ]
        kind = "comparison" if self.comparison else "evaluation" if self.runs[0].kind == "eval" else "run"
        return {
            "kind": kind,
            "title": " and ".join(shown) if len(shown) < 4 else f"{shown[0]} and {len(shown) - 1} more",
            "version": version("palaestra"),
            "made": time.strftime("%Y-%m-%d %H:%M"),
            "criteria": list_criteria(self.table),
            "answers": [*describe_comparison(self.comparison), *crossed],
            "comparison": self.comparison,
            "runs": runs,
            "generation": self.table.generation,
            "endings": {reason: of_episode for reason, (_, of_episode) in ENDINGS.items()},
        }


def gather(paths: Sequence[Path]) -> Page:
    """Read the folders. Raises UserError for one that holds no run, evaluation or comparison."""
    if len(paths) == 1 and (record := find_comparison(paths[0])) is not None:
        return gather_comparison(record)
    paths = [folder for path in paths for folder in list_arms(path)]
    names = name_runs(paths)
    table = Table()
    runs = []
    for number, (path, name) in enumerate(zip(paths, names, strict=True)):
        runs.append(read_run(path, name, table, number))
    table.read_new()
    if len({run.kind == "eval" for run in runs}) > 1:
        raise UserError("A page shows runs or evaluations, not both: make two.")
    return Page([finish(run, table, number) for number, run in enumerate(runs)], table)


def list_arms(path: Path) -> list[Path]:
    """The runs in the folder of arms, those that have begun; another folder stands for itself."""
    if not (path / ARMS).is_file():
        return [path]
    begun = [
        path / arm for arm in read_json(path / ARMS, ("arms",))["arms"] if (path / arm / FACTS).is_file()
    ]
    if not begun:
        raise UserError(f"No arm of {path} has begun yet.")
    return begun


def refresh(page: Page) -> Page:
    """The page with what was written since; its table takes in the new rows."""
    runs = [read_run(run.folder, run.name, page.table, number) for number, run in enumerate(page.runs)]
    page.table.read_new()
    return replace(page, runs=[finish(run, page.table, number) for number, run in enumerate(runs)])


def find_comparison(path: Path) -> Path | None:
    """The record of a comparison in a folder, or the file itself."""
    record = path / RECORD if path.is_dir() else path
    return record if record.is_file() and record.name == RECORD else None


def gather_comparison(record: Path) -> Page:
    """The page of a comparison: its record, and the completions of the evaluations that are still there."""
    values = read_json(record, ("sides", "pairs"))
    flips = record.with_name(FLIPS)
    values["flips"] = [_describe_flip(line.values) for line in read_objects(flips)] if flips.is_file() else []
    table, runs = Table(), []
    for side in values["sides"]:
        folder = find_side(record, str(side.get("folder", "")))
        if folder is not None:
            runs.append(read_run(folder, side["name"], table, len(runs)))
    table.read_new()
    return Page(runs, table, values)


def _describe_flip(flip: Mapping[str, Any]) -> dict[str, Any]:
    """A problem that flipped, with what both said as the page shows it."""
    sides = {name: flip[name] for name in ("first", "second") if isinstance(flip.get(name), Mapping)}
    return {**flip, **{name: {**row, "turns": None, **describe_episode(row)} for name, row in sides.items()}}


def find_side(record: Path, named: str) -> Path | None:
    """The folder of a compared evaluation, named as from where the comparison was made: from here, or from
    a folder above the record; None where its completions are gone."""
    if not named:
        return None
    places = [Path(named), *(above / named for above in record.resolve().parents)]
    return next((place for place in places if (place / COMPLETIONS).is_file()), None)


def name_runs(paths: Sequence[Path]) -> list[str]:
    """The folders' names, with as much of what is above as tells them apart."""
    for path in paths:
        if not path.is_dir():
            raise UserError(f"There is no folder {path}. Give the folder of a run or of an evaluation.")
    resolved = [path.resolve() for path in paths]
    if len({*resolved}) < len(resolved):
        raise UserError("A folder is named twice.")
    for depth in range(1, 9):
        names = ["/".join(path.parts[-depth:]) for path in resolved]
        if len({*names}) == len(names):
            return names
    return [str(path) for path in resolved]


def read_run(path: Path, name: str, table: Table | None, number: int) -> RunData:
    """A run, or completions that were scored: those of an evaluation, of a run's held-out problems, of a
    judgement anew. table: takes in its completions, where one is given."""
    facts, config = read_json_if_there(path / FACTS), read_config(path / CONFIG)
    kind = "eval" if (path / COMPLETIONS).is_file() else str(facts.get("command", ""))
    if not kind or not (kind == "eval" or (path / CONFIG).is_file()):
        raise UserError(
            f"{path} holds no run, evaluation or comparison (no {CONFIG if facts else FACTS}). Give the "
            "folder that `palaestra train`, `sft`, `eval` or `compare` wrote."
        )
    if table is not None:
        table.add_file(path / (COMPLETIONS if kind == "eval" else ROLLOUTS), number)
        for step in list_steps(path):
            table.add_file(locate_held_out(path, step) / COMPLETIONS, number, held_out=True)
    metrics, beside, summary = look_at_metrics(path), Beside.read(path), read_json_if_there(path / SUMMARY)
    damaged = [*(f"{METRICS}, line {line}" for line in metrics.damaged), *beside.damaged]
    return RunData(name, path, kind, config, facts, metrics.lines, trace(metrics.lines), beside,
                   summary=summary, damaged=damaged)  # fmt: skip


def read_config(path: Path) -> dict[str, Any]:
    """The settings of a run, {} where it has none. Raises UserError where a group of them is no table, or
    `steps` is no number."""
    config = read_json_if_there(path)
    for name in ("rollouts", "reward", "task", "evaluation"):
        if not isinstance(config.get(name, {}), dict):
            raise UserError(f"{path} is damaged: {name!r} is no table. Put the file back from a copy.")
    if not is_count(config.get("steps", 0)):
        raise UserError(f"{path} is damaged: 'steps' is no whole number. Put the file back from a copy.")
    return config


def read_ledger(path: Path) -> Ledger:
    """The ledger in a file. Raises UserError where it is damaged."""
    ledger = read_json_if_there(path)
    items = ledger.get("problems", {})
    visits = {name: item.get("visits") for name, item in items.items() if isinstance(item, dict)}
    if len(visits) < len(items) or not all(map(_are_visits, visits.values())):
        raise UserError(f"{path} is damaged: a problem has no visits. Put the file back from a copy.")
    return Ledger(visits, [str(name) for name in ledger.get("suspects", [])])


def _are_visits(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(visit, list) and len(visit) >= 3 and all(map(is_number, visit[:3])) for visit in values
    )


def finish(run: RunData, table: Table, number: int) -> RunData:
    """With what is made of its completions: intervals of the curves, the heat map."""
    items = run.beside.ledger.visits or count_visits(table, number)
    most = sorted(items, key=lambda name: -len(items[name]))[:HEAT_ROWS]
    heat = [{"name": name, "visits": items[name]} for name in sorted(most, key=sort_key)]
    series = replace(run.series, bands=measure_bands(run.series, table, number))
    return replace(run, heat=heat, series=series)


def count_visits(table: Table, run: int) -> dict[str, list[list[int]]]:
    """Of each problem of a run [step, passed, scored] of each visit, from its completions."""
    if "problem" not in table.words:
        return {}
    columns, names = table.columns, table.words["problem"].texts
    counts: dict[tuple[int, int], list[int]] = {}
    names_of = ("run", "problem", "step", "passed", "abstained", "held_out")
    rows = zip(*(columns[name] for name in names_of), strict=True)
    for of_run, problem, step, passed, abstained, held_out in rows:
        if of_run == run and not abstained and not held_out:
            count = counts.setdefault((problem, step), [0, 0])
            count[0] += passed
            count[1] += 1
    visits: dict[str, list[list[int]]] = {}
    for (problem, step), (passed, scored) in counts.items():
        visits.setdefault(names[problem], []).append([step, passed, scored])
    return visits


def sort_key(name: str) -> list[tuple[int, str]]:
    """Order of names with numbers in them: 2 before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in name.replace(" ", "/").split("/")]


def find_difference(first: RunData, second: RunData) -> str:
    """In what two runs were measured otherwise, by their settings; "" where these say nothing of it."""
    for group, keys in MEASURED_BY.items():
        for key in keys:
            one, other = (run.config.get(group, {}).get(key) for run in (first, second))
            if one != other:
                return f"{key} is {one!r} in the one, {other!r} in the other"
    return ""


def _describe(page: Page, number: int) -> dict[str, Any]:
    """One run for the page."""
    run, table = page.runs[number], page.table
    control = run.config.get("reward", {}).get("control", "none")
    beside = run.beside
    answers: list[Answer] = []
    if run.kind == "eval" and (run.summary or run.command == "eval"):
        answers = answer_evaluation(run.summary)
    elif run.kind == "train":
        learning = answer_learning(run.evaluations, table, number, partial(pair_steps, run.folder))
        silent_s, held = measure_silence(run.folder), is_held(run.folder)
        answers = [
            learning,
            answer_ending(run.metrics, run.config, beside.end, beside.tripped, silent_s, held=held),
            answer_hacking(run.metrics, control, learning, beside.ledger.suspects),
        ]
    files = [file for file in table.files if file.run == number]
    repeat = f"palaestra {run.command} --config {run.folder / CONFIG} --out NEW_FOLDER" if run.config else ""
    return {
        "name": run.name,
        "folder": str(run.folder),
        "kind": run.kind,
        "answers": [asdict(answer) for answer in answers],
        **asdict(run.series),
        "evaluations": run.list_evaluations(),
        "heat": run.heat,
        "summary": run.summary,
        "settings": run.config,
        "facts": run.facts,
        "repeat": repeat,
        "damaged": [
            *(f"{file.path.relative_to(run.folder)}, line {line}" for file in files for line in file.damaged),
            *run.damaged,
        ],
    }


def _shorten_evaluation(line: Mapping[str, Any], series: Series) -> dict[str, Any]:
    step = line["step"]
    place = sum(done <= step for done in series.axes["step"]) - 1
    at = {name: values[place] if place >= 0 else 0 for name, values in series.axes.items()}
    shown: dict[str, Any] = {}
    for mode in ("greedy", "sampled"):
        result = line.get(mode) or {}
        estimates = {f"pass@{k}": each for k, each in result.get("pass_at", {}).items()}
        if "reward_interval" in result:
            estimates["reward"] = result["reward_interval"]
        for name, each in estimates.items():
            ends = [round_digits(each[end]) for end in ("value", "low", "high")]
            shown[f"{mode} {name}"] = ends
    return {"at": {**at, "step": step}, "values": shown}


def measure_silence(folder: Path) -> float:
    """Seconds since a run wrote its last step, or its settings."""
    metrics = folder / METRICS
    return time.time() - (metrics if metrics.is_file() else folder / CONFIG).stat().st_mtime
