"""`palaestra tasks`, `palaestra task show|play|check|card|attack|export`, `palaestra score`: without weights.

Imports torch only for `task show --model`, which renders prompts by a model's tokenizer.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from ...tasks.core import registry
from ...tasks.core.conversation import write_conversation
from ...tasks.core.errors import UserError
from ...tasks.core.export import PROCEDURAL_PROBLEMS, export_rows
from ...tasks.core.problem import Problem
from ...tasks.core.proofs.episodes import win
from ...tasks.core.reach import find_reach
from ...tasks.core.task import Task
from ..config.arguments import SentenceParser
from ..config.parse import name_flag
from ..config.settings import Count, Natural, list_settings
from ..config.shared import PromptConfig
from ..model.source import check_source
from ..model.template_file import check_template
from ..terminal import say
from . import task_attack, task_card, task_check, task_play
from .data_flags import list_data_settings
from .task_flags import add_sandbox, add_task, load_isolated, read_config, read_number, read_task
from .task_table import select_tasks, write_table

Formatter = argparse.ArgumentDefaultsHelpFormatter

ELSEWHERE = {
    "new": "Write NAME.py, a task to be edited: over data of your own, or a generator of problems.",
    "build": "A set to train on, of what a model sampled and the task's rubric passed.",
}


def main(argv: list[str]) -> int:
    """argv starts with the command's name: tasks, task or score."""
    if argv[:2] == ["task", "new"]:
        from .task_new import main as write_new

        return write_new(argv[2:])
    if argv[:2] == ["task", "build"]:
        from .task_build import main as build

        return build(argv[2:])
    arguments = _make_parser(argv[0]).parse_args(argv[1:])
    return arguments.run(arguments)


def _make_parser(command: str) -> argparse.ArgumentParser:
    parser = SentenceParser(
        prog=f"palaestra {command}", formatter_class=Formatter, allow_abbrev=False, argument_default=None
    )
    if command == "tasks":
        _add_listing(parser)
    elif command == "score":
        _add_score(parser)
    else:
        actions = parser.add_subparsers(required=True, metavar="|".join((*ACTIONS, *ELSEWHERE)))
        for name, action in ACTIONS.items():
            chosen = actions.add_parser(
                name,
                help=action.summary,
                description=action.summary,
                formatter_class=Formatter,
                allow_abbrev=False,
            )
            action.add(chosen)
        for name, summary in ELSEWHERE.items():  # `main` has handed them on: named for --help alone
            actions.add_parser(name, help=summary)
    return parser


def _add_listing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("word", nargs="?", default="", help="only tasks with this in their name or summary")
    parser.add_argument(
        "--kind",
        action="append",
        default=[],
        help="only tasks of this kind (math, code, logic, ...); repeat it, or separate several by commas",
    )
    parser.add_argument(
        "--wide", action="store_true", help="every column in full, whatever the width of the terminal"
    )
    parser.add_argument("--json", action="store_true", help="one JSON array instead of a table")
    parser.set_defaults(run=_list)


def _add_score(parser: argparse.ArgumentParser) -> None:
    add_task(parser, "task")
    add_sandbox(parser)
    parser.add_argument(
        "completions",
        help="file of rows with completion (or completions, a list), and id or reference "
        "(JSONL, JSON, gzipped, Parquet)",
    )
    parser.add_argument("--column", default="auto", help="column that holds the completions")
    parser.add_argument(
        "--label",
        default="",
        metavar="COLUMN",
        help="column with what a person says of each completion, true or false (null: nothing; a list for "
        "several): how far the rubric agrees is said, with intervals; none",
    )
    parser.add_argument(
        "--out", default="-", help="new file for the verdicts (JSON Lines); - is standard output"
    )
    parser.add_argument(
        "--workers",
        type=read_number(Count),
        default=None,
        help="processes that score, 1 or more; none: one for each processor",
    )
    parser.set_defaults(run=_score)


def _add_stream(parser: argparse.ArgumentParser, split: str) -> None:
    parser.add_argument("--split", default=split, help="split to read")
    parser.add_argument(
        "--seed", type=read_number(Natural), default=0, help="seed of the stream of problems, 0 or more"
    )
    parser.add_argument(
        "--level",
        type=read_number(Count),
        default=None,
        help="one level only, 1 or more; none goes round them",
    )


def _add_show(parser: argparse.ArgumentParser) -> None:
    add_task(parser, "name")
    add_sandbox(parser)
    _add_stream(parser, "train")
    parser.add_argument("--count", type=read_number(Count), default=3, help="number of problems, 1 or more")
    group = parser.add_argument_group("the prompt as a model reads it")
    group.add_argument(
        "--model",
        default="",
        help="hub id or folder of a model, or embedded: show its prompts, rendered and counted by its "
        "tokenizer, which alone is loaded; none: the problems as they are",
    )
    group.add_argument(
        "--trust-remote-code", action="store_true", help="run the Python code that the tokenizer brings along"
    )
    for setting in list_settings(PromptConfig):
        default = setting.value(PromptConfig()) or "none"
        text = f"{setting.help} Needs --model. (default: {default})".replace("%", "%%")
        group.add_argument(name_flag(setting), dest=setting.name, default=argparse.SUPPRESS, help=text)
    parser.set_defaults(run=_show)


def _add_export(parser: argparse.ArgumentParser) -> None:
    add_task(parser, "name")
    _add_stream(parser, "test")
    parser.add_argument(
        "--count",
        type=read_number(Count),
        default=None,
        help=f"number of problems, 1 or more; none takes all of a data set, {PROCEDURAL_PROBLEMS} of a "
        "procedural task",
    )
    parser.add_argument("--out", default="-", help="new file for the rows (JSON Lines); - is standard output")
    parser.set_defaults(run=_export)


@dataclass(frozen=True)
class Action:
    """What `palaestra task` does by one word. add: its arguments to a parser."""

    summary: str
    add: Callable[[argparse.ArgumentParser], None]


ACTIONS = {
    "show": Action(
        "Problems, rubric, a solution and its score; with --model the prompts as it reads them.", _add_show
    ),
    "play": Action(task_play.SUMMARY, task_play.add),
    "check": Action(task_check.SUMMARY, task_check.add),
    "card": Action(task_card.SUMMARY, task_card.add),
    "attack": Action(task_attack.SUMMARY, task_attack.add),
    "export": Action(
        "Problems as rows of JSON, to sample elsewhere and come back with `palaestra score`.", _add_export
    ),
}


def _list(arguments: argparse.Namespace) -> int:
    tasks = select_tasks(
        [registry.get(name) for name in registry.names()],
        [kind.strip() for given in arguments.kind for kind in given.split(",")],
        arguments.word,
    )
    if arguments.json:
        print(json.dumps([_describe(task) for task in tasks], indent=2, default=str))
        return 0
    for line in write_table(tasks, wide=arguments.wide):
        say(line)
    return 0


def _describe(task: Task) -> dict[str, Any]:
    return {
        "name": task.name,
        "kind": task.kind,
        "data": find_reach(task),
        "splits": {split: task.declared_size(split) for split in task.splits},
        "source": task.origin,
        "licence": task.licence,
        "summary": task.summary,
        "options": dict(task.source.option_defaults),
    }


def _show(arguments: argparse.Namespace) -> int:
    chosen = {s.name: getattr(arguments, s.name) for s in list_settings(PromptConfig) if s.name in arguments}
    if chosen and not arguments.model:
        raise UserError(f"--{next(iter(chosen)).replace('_', '-')} is about a model's prompt: give --model.")
    config = PromptConfig.of(**chosen)
    if arguments.model:
        check_source(arguments.model)
        check_template(config)
    load = read_task if arguments.model else load_isolated  # a prompt runs no program
    task = load(arguments.name, arguments)
    problems = task.problems(arguments.split, arguments.count, arguments.seed, arguments.level)
    shown = _render(task, problems, config, arguments) if arguments.model else map(_solve(task), problems)
    say(f"{task.name} ({task.kind}): {task.summary}\nsource: {task.origin}, licence: {task.licence}")
    for name, value in task.source.option_defaults.items():
        say(f"option {name}: {value!r}")
    say(f"instruction: {task.instruction or '(none)'}\n\nrubric\n{task.rubric.describe()}")
    for text in shown:
        say(f"\n--- {text}")
    return 0


def _render(
    task: Task, problems: Sequence[Problem], config: PromptConfig, arguments: argparse.Namespace
) -> list[str]:
    """The prompts as a model reads them."""
    from ..model.rendering import render_prompts

    source, trusted = arguments.model, arguments.trust_remote_code
    return [
        str(prompt) for prompt in render_prompts(task, problems, source, config, trust_remote_code=trusted)
    ]


def _solve(task: Task) -> Callable[[Problem], str]:
    """What describes a problem with a solution and its score."""

    def describe_solved(problem: Problem) -> str:
        shown = f"{problem.id}\n{problem.text}\nreference: {problem.reference}\n"
        member = task.find_member(problem.id)
        if member.episode is None:
            solution = task.solution(problem)
            score = task.score(solution, problem)
            return f"{shown}solution: {solution}\nreward {score.reward:g}, {score.outcome}"
        if member.player is None:
            return (
                f"{shown}solution: none, for the task has no player; palaestra task play {task.name} is yours"
            )
        played = win(member, problem)
        score = task.score(played, problem)
        return f"{shown}{write_conversation(played)}\nreward {score.reward:g}, {score.outcome}"

    return describe_solved


def _export(arguments: argparse.Namespace) -> int:
    _check_new(arguments.out)
    task = read_task(arguments.name, arguments)
    rows = export_rows(task, arguments.split, arguments.count, seed=arguments.seed, level=arguments.level)
    text = "".join(json.dumps(row, default=str) + "\n" for row in rows)
    if arguments.out == "-":
        print(text, end="")
        return 0
    partial = Path(f"{arguments.out}.partial")
    partial.write_text(text, encoding="ascii")
    partial.replace(arguments.out)
    options = [part for option in arguments.option for part in ("-o", option)]
    data = ["--data", arguments.data] if arguments.data else []
    for setting in list_data_settings():
        if setting.name != "split" and setting.name in arguments:
            data += [name_flag(setting), getattr(arguments, setting.name)]
    say(
        f"{len(rows)} problems in {arguments.out}. Add a column completion (or completions, a list), then: "
        f"{shlex.join(['palaestra', 'score', arguments.name, *options, *data, 'FILE'])}",
        sys.stderr,
    )
    return 0


def _check_new(out: str) -> None:
    """Raise UserError where a file can't be made for want of its folder, before anything is computed."""
    if out != "-" and not Path(out).parent.is_dir():
        raise UserError(f"There is no folder {Path(out).parent} for --out {out}. Make it first.")
    if out != "-" and Path(out).is_dir():
        raise UserError(f"--out {out} is a folder. Give a file.")
    if out != "-" and os.path.lexists(out):
        raise UserError(f"{out} is there already. Give another --out, or remove it first.")


def _score(arguments: argparse.Namespace) -> int:
    from ..evaluation.offline import Verdict, score_file

    source, out = Path(arguments.completions), Path(arguments.out)
    _check_new(arguments.out)
    load_isolated(arguments.task, arguments)
    task = read_config(arguments.task, arguments)
    scored = 0
    file: TextIO | None = None
    with ExitStack() as stack:

        def keep(verdict: Verdict) -> None:
            nonlocal scored, file
            if file is None:  # opened for the first verdict: a mistake before it leaves no file
                to_stdout = arguments.out == "-"
                file = sys.stdout if to_stdout else stack.enter_context(out.open("w", encoding="utf-8"))
            # ASCII alone: a lone surrogate in an answer has no UTF-8, and what was scored so far would be
            # lost with it. Flushed, so that no row is lost when the process is killed.
            print(json.dumps(verdict, default=str), file=file, flush=True)
            scored += 1

        try:
            scores = score_file(
                task,
                source,
                column=arguments.column,
                label=arguments.label,
                keep=keep,
                workers=arguments.workers,
            )
        except UserError as failure:
            if not scored:
                raise
            kept = "" if arguments.out == "-" else f" and kept in {out}"
            raise UserError(f"{failure} The {scored} completions before it are scored{kept}.") from failure
    say(str(scores), sys.stderr)
    return 0
