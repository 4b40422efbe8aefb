"""`palaestra tasks`, `palaestra task show|check`, `palaestra score`: what needs no model.

Never imports torch.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...tasks.core import conformance, registry
from ...tasks.core.errors import DataError
from ...tasks.core.isolation import isolate
from ...tasks.core.lookup import ProblemsById
from ...tasks.core.problem import Problem
from ...tasks.core.rowfiles import Row, read_rows
from ...tasks.core.task import Task
from ..config.tasks import load_task
from ..terminal import say
from .data_flags import add_data_flags, read_data_flags

Formatter = argparse.ArgumentDefaultsHelpFormatter


def main(argv: list[str]) -> int:
    """argv starts with the command's name: tasks, task or score."""
    if argv[:2] == ["task", "new"]:
        from .task_new import main as write_new

        return write_new(argv[2:])
    arguments = _make_parser(argv[0]).parse_args(argv[1:])
    return arguments.run(arguments)


def _make_parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"palaestra {command}", formatter_class=Formatter)
    if command == "tasks":
        parser.add_argument("--json", action="store_true", help="one JSON array instead of a table")
        parser.set_defaults(run=_list)
    elif command == "score":
        _add_task(parser, "task")
        parser.add_argument(
            "completions", help="rows with completion, and id or reference (JSONL, JSON, ...)"
        )
        parser.add_argument(
            "--out", default="-", help="file for the verdicts as JSON Lines; - is standard output"
        )
        parser.set_defaults(run=_score)
    else:
        actions = parser.add_subparsers(required=True, metavar="show|check|new")
        show = actions.add_parser(
            "show", help="problems, rubric, a solution and its score", formatter_class=Formatter
        )
        _add_task(show, "name")
        show.add_argument("--split", default="train", help="split to read")
        show.add_argument("--count", type=int, default=3, help="number of problems")
        show.add_argument("--seed", type=int, default=0, help="seed of the stream of problems")
        show.add_argument("--level", type=int, default=None, help="one level only; none goes round them")
        show.set_defaults(run=_show)
        check = actions.add_parser(
            "check", help="the checks every task has to pass", formatter_class=Formatter
        )
        _add_task(check, "name")
        check.add_argument("--count", type=int, default=conformance.COUNT, help="problems per split to check")
        check.set_defaults(run=_check)
    return parser


def _add_task(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument(
        name, help="a task's name, the path of its file (./my_task.py), or data of your own (mine.jsonl)"
    )
    add_data_flags(parser, split=False)
    parser.add_argument(
        "--option", "-o", action="append", default=[], metavar="NAME=VALUE", help="option of the task"
    )
    parser.add_argument("--data", default=None, metavar="PATH", help="local file or folder; none: the hub")
    parser.add_argument(
        "--allow-weak-sandbox", action="store_true", help="run programs even where isolation is too weak"
    )


def _load_task(name: str, arguments: argparse.Namespace) -> Task:
    task = load_task(
        read_data_flags(arguments, arguments.data or "", split=False, name=name, option=arguments.option)
    )
    # What these commands print on standard output may be read by a program.
    isolate(task, arguments.allow_weak_sandbox, lambda text: say(text, sys.stderr), "--allow-weak-sandbox")
    return task


def _list(arguments: argparse.Namespace) -> int:
    tasks = [registry.get(name) for name in registry.names()]
    if arguments.json:
        print(json.dumps([_describe(task) for task in tasks], indent=2, default=str))
        return 0
    table = [("name", "kind", "splits (problems)", "source", "licence")]
    for task in tasks:
        sizes = {split: task.declared_size(split) for split in task.splits}
        splits = [f"{split} {'-' if size is None else f'{size:,}'}" for split, size in sizes.items()]
        table.append((task.name, task.kind, ", ".join(splits), task.origin, task.licence))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        say("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())
    print("- : without end or not known before reading. palaestra task show NAME shows problems.")
    return 0


def _describe(task: Task) -> dict[str, Any]:
    return {
        "name": task.name,
        "kind": task.kind,
        "splits": {split: task.declared_size(split) for split in task.splits},
        "source": task.origin,
        "licence": task.licence,
        "summary": task.summary,
        "options": dict(task.source.option_defaults),
    }


def _show(arguments: argparse.Namespace) -> int:
    task = _load_task(arguments.name, arguments)
    problems = task.problems(arguments.split, arguments.count, arguments.seed, arguments.level)
    say(f"{task.name} ({task.kind}): {task.summary}\nsource: {task.origin}, licence: {task.licence}")
    for name, value in task.source.option_defaults.items():
        say(f"option {name}: {value!r}")
    say(f"instruction: {task.instruction or '(none)'}\n\nrubric\n{task.rubric.describe()}")
    for problem in problems:
        solution = task.solution(problem)
        score = task.score(solution, problem)
        say(f"\n--- {problem.id}\n{problem.text}\nreference: {problem.reference}")
        say(f"solution: {solution}\nreward {score.reward:g}, {'passed' if score.passed else 'not passed'}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    findings = conformance.check(_load_task(arguments.name, arguments), arguments.count)
    for finding in findings:
        say(
            f"{'ok    ' if finding.ok else 'FAILED'} "
            f"{finding.name}{'' if finding.ok else ': ' + finding.advice}"
        )
    return 0 if all(finding.ok for finding in findings) else 1


def _score(arguments: argparse.Namespace) -> int:
    task = _load_task(arguments.task, arguments)
    problems = ProblemsById(task)
    counts: Counter[str] = Counter()
    rewards = 0.0
    to_stdout = arguments.out == "-"
    with nullcontext(sys.stdout) if to_stdout else Path(arguments.out).open("w", encoding="utf-8") as file:
        for row, problem, text in _read_rows(task, problems, Path(arguments.completions)):
            score = task.score(text, problem)
            parts = {name: asdict(part) for name, part in score.parts.items()}
            verdict = {
                "reward": score.reward,
                "passed": score.passed,
                "abstained": score.abstained,
                "parts": parts,
            }
            # ASCII alone: a lone surrogate in an answer has no UTF-8, and what was scored so far would be
            # lost with it.
            print(json.dumps({"id": row.get("id", problem.id), **verdict}, default=str), file=file)
            counts["abstained" if score.abstained else "passed" if score.passed else "failed"] += 1
            rewards += 0.0 if score.abstained else score.reward
    decided = counts["passed"] + counts["failed"]
    rates = (
        f"pass-rate {counts['passed'] / decided:.4f}, mean reward {rewards / decided:.4f}"
        if decided
        else "no rate"
    )
    totals = f"{decided} scored, {counts['passed']} passed, {rates}; {counts['abstained']} abstained"
    say(f"{task.name}: {totals}", sys.stderr)
    return 0


def _read_rows(
    task: Task, problems: ProblemsById, path: Path
) -> Iterator[tuple[Mapping[str, Any], Problem, str]]:
    if not path.is_file():
        raise DataError(f"There is no file {path} with completions.")
    for row in read_rows(path):
        text = row.values.get("completion")
        if not isinstance(text, str):
            raise DataError(
                f"{row.where}: no text in the column 'completion'; it has {', '.join(row.values)}."
            )
        yield row.values, _find_problem(task, problems, row), text


def _find_problem(task: Task, problems: ProblemsById, row: Row) -> Problem:
    """The row's own problem where it brings a reference, else the task's problem of that id."""
    values = row.values
    if "reference" in values:
        return Problem(
            values.get("prompt", ""), values["reference"], values.get("metadata") or {}, values.get("id", "")
        )
    if "id" not in values:
        raise DataError(f"{row.where}: give an id of task {task.name}, or a prompt and a reference.")
    problem = problems.find(str(values["id"]))
    if problem is None:
        raise DataError(f"{row.where}: task {task.name} has no problem {values['id']!r}.")
    return problem
