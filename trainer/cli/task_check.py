"""`palaestra task check [NAME ...]`: what is proven of a task, of several, or of every one."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ...tasks.core import registry
from ...tasks.core.errors import UserError
from ...tasks.core.isolation import isolate
from ...tasks.core.proofs.fresh import Recipe
from ...tasks.core.proofs.overlap import KnownSets
from ...tasks.core.proofs.proof import Proof
from ...tasks.core.proofs.prove import prove
from ...tasks.core.proofs.suite import find_data, prove_all
from ...tasks.core.proofs.table import replace_table, write_findings, write_table
from ...tasks.core.task import Task
from ..config.parse import make_task_options
from ..config.settings import Count
from ..terminal import say
from .data_flags import list_data_settings
from .task_flags import add_own_data, add_sandbox, load_isolated, read_number

SUMMARY = "Prove what a verifier does to completions of a known kind; without a name, of every task."


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="tasks' names, paths of files (./my_task.py), or data of your own (mine.jsonl); none: all",
    )
    add_own_data(parser)
    add_sandbox(parser)
    parser.add_argument("--all", action="store_true", help="every task, as without a name")
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="PATH",
        help="data of one task: a local file or folder; of several: NAME=PATH, or a folder with NAME/ or "
        "NAME.jsonl; repeat it (none: the hub's cache)",
    )
    parser.add_argument(
        "--count",
        type=read_number(Count),
        default=None,
        help="problems of each split to probe, 1 or more; none: 40 in all, 14 where programs are run, 4 "
        "where a judge is asked",
    )
    parser.add_argument("--json", action="store_true", help="one JSON array instead of text")
    parser.add_argument(
        "--table", default="", metavar="PAGE.md", help="page whose table of proofs is written anew; none"
    )
    parser.set_defaults(run=check)


def check(arguments: argparse.Namespace) -> int:
    """Exit status: 0 all is well, 1 a check failed, 2 for what the user can mend."""
    if arguments.all and arguments.names:
        raise UserError("--all checks every task: leave the names out.")
    if len(arguments.names) == 1:
        proofs = [prove_one(arguments.names[0], arguments)]
    else:
        proofs = _prove_several(arguments)
    if arguments.json:
        print(json.dumps([proof.as_dict() for proof in proofs], indent=2))
    if arguments.table:
        replace_table(Path(arguments.table), write_table(proofs))
        say(f"The table in {arguments.table} is written.", sys.stderr)
    return 0 if all(proof.ok for proof in proofs) else 1


def prove_one(name: str, arguments: argparse.Namespace) -> Proof:
    """The proof of the task that a command line names; said line by line where it is not for a program."""
    if isinstance(arguments.data, list):
        if len(arguments.data) > 1:
            raise UserError("--data is given more than once, for one task. Give one file or folder.")
        arguments.data = arguments.data[0] if arguments.data else None
    proof = prove_loaded(load_isolated(name, arguments), name, arguments)
    if not arguments.json:
        for line in write_findings(proof):
            say(line)
    return proof


def prove_loaded(task: Task, name: str, arguments: argparse.Namespace) -> Proof:
    """The proof of a task that is there already; name: as the command line has it. Raises UserError where its
    data can't be read: nothing is found of such a task."""
    for split in task.splits:
        task.source.size(split)
    known = KnownSets([registry.get(each) for each in registry.names()])
    return prove(task, arguments.count, recipe=_find_recipe(name, arguments), known=known)


def _find_recipe(name: str, arguments: argparse.Namespace) -> Recipe | None:
    """How another process finds the task; None for data of one's own, which have no task by name."""
    own = any(setting.name in arguments for setting in list_data_settings())
    package = name.partition(":")[0]
    if own or not (name.endswith(".py") or package in registry.PACKAGES or name in registry.names()):
        return None
    return Recipe(name, make_task_options(tuple(arguments.option), arguments.data or ""))


def _prove_several(arguments: argparse.Namespace) -> Sequence[Proof]:
    if arguments.option or any(setting.name in arguments for setting in list_data_settings()):
        raise UserError("Options and flags about data belong to one task: name it.")
    tasks = [registry.get(name) for name in arguments.names or registry.names()]
    data = find_data(tasks, arguments.data)
    _isolate_one(tasks, arguments)
    proofs: list[Proof] = []
    begin = time.perf_counter()
    for proof in prove_all(tasks, arguments.count, data):
        proofs.append(proof)
        if not arguments.json:
            _say_outcome(proof)
    if not arguments.json:
        say("")
        for line in write_table(proofs):
            say(line)
    looked_at = sum(not proof.left_out for proof in proofs)
    failed = [proof.task for proof in proofs if not proof.ok]
    said = f"failed: {', '.join(failed)}" if failed else "all pass"
    say(f"{looked_at} of {len(proofs)} tasks in {time.perf_counter() - begin:.0f} s; {said}.", sys.stderr)
    return proofs


def _isolate_one(tasks: Sequence[Task], arguments: argparse.Namespace) -> None:
    """Make sure that programs can be isolated, once for all tasks that run them."""
    running = next((task for task in tasks if task.kind == "code" and task.rubric.correctness.start), None)
    if running is not None:
        isolate(
            running, arguments.allow_weak_sandbox, lambda text: say(text, sys.stderr), "--allow-weak-sandbox"
        )


def _say_outcome(proof: Proof) -> None:
    if proof.left_out:
        say(f"-      {proof.task}: left out, {proof.left_out}")
        return
    wrong, right = proof.false_positives, proof.false_negatives
    said = (
        f"{wrong.count} of {wrong.total:,} wrong ones pass, {right.count} of {right.total:,} right ones don't"
    )
    say(f"{'ok    ' if proof.ok else 'FAILED'} {proof.task}: {said}")
    for finding in proof.findings:
        if not finding.ok:
            say(f"         {finding.name}: {finding.advice}")
