"""`palaestra task card NAME`: what a task is and what is proven of it, as a page or as JSON."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from ...tasks.core.errors import UserError
from ...tasks.core.proofs.card import describe_task, pick_examples, write_card
from ..config.settings import Count
from ..terminal import say
from .task_check import prove_loaded
from .task_flags import add_sandbox, add_task, load_isolated, read_number

SUMMARY = "The task's card, in Markdown or JSON: what it is, examples, what is proven, licence and citation."


def add(parser: argparse.ArgumentParser) -> None:
    add_task(parser, "name")
    add_sandbox(parser)
    parser.add_argument(
        "--count",
        type=read_number(Count),
        default=None,
        help="problems of each split to probe, 1 or more; none: as of `palaestra task check`",
    )
    parser.add_argument("--json", action="store_true", help="JSON in place of Markdown")
    parser.add_argument("--out", default="-", help="new file for the card; - is standard output")
    parser.set_defaults(run=write)


def write(arguments: argparse.Namespace) -> int:
    """Exit status: 0 written, 1 written and a check failed, 2 for what the user can mend."""
    out = Path(arguments.out)
    if arguments.out != "-" and os.path.lexists(out):
        raise UserError(f"{out} is there already. Give another --out, or remove it first.")
    if arguments.out != "-" and not out.parent.is_dir():
        raise UserError(f"There is no folder {out.parent} for --out {out}. Make it first.")
    task = load_isolated(arguments.name, arguments)
    proof = prove_loaded(task, arguments.name, arguments)
    examples = pick_examples(task)
    if arguments.json:
        text = json.dumps(describe_task(task, proof, examples), indent=2, default=str) + "\n"
    else:
        text = write_card(task, proof, examples)
    if arguments.out == "-":
        say(text.rstrip("\n"))
    else:
        out.write_text(text, encoding="utf-8", errors="backslashreplace")
    return 0 if proof.ok else 1
