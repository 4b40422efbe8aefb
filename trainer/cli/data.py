"""`palaestra data check FILE`: what a run would say of data of one's own, without a run."""

from __future__ import annotations

import sys

from ...tasks.core.isolation import isolate
from ...tasks.data.report import describe_example, report, try_solutions
from ..config.parse import SentenceParser
from ..config.settings import Count
from ..config.tasks import load_task
from ..terminal import say
from .data_flags import add_data_flags, read_data_flags


def main(argv: list[str]) -> int:
    """Exit status: 0 where a run could begin, 1 where something is wrong with the data, 2 where they can't be
    read at all."""
    arguments = _make_parser().parse_args(argv)
    task = load_task(read_data_flags(arguments, arguments.file))
    found = report(task, [split for split in ("train", "test") if split in task.splits])
    for line in found.write_lines():
        say(line)
    isolate(task, arguments.allow_weak_sandbox, lambda text: say(text, sys.stderr), "--allow-weak-sandbox")
    for warning in [] if found.errors else try_solutions(task):
        say(f"Warning: {warning}")
    if arguments.model and not found.errors:
        from ..config.parse import read_text
        from ..config.shared import ModelConfig
        from ..model.budget import check_prompts

        budget = read_text(arguments.max_prompt_tokens, Count, "--max-prompt-tokens")
        check_prompts(ModelConfig.of(model=arguments.model), task, task.splits, budget, say)
    for error in found.errors:
        say(f"Error: {error}", sys.stderr)
    if found.errors:
        return 1
    for line in describe_example(task, task.splits[0]):
        say(line)
    return 0


def _make_parser() -> SentenceParser:
    parser = SentenceParser(
        prog="palaestra data",
        description="Look at data of your own before a model is trained on them: how they are read, counts, "
        "lengths, an example, and what is wrong. Exit code 0: a run could begin; 1: rows are wrong; 2: the "
        "data can't be read.",
    )
    actions = parser.add_subparsers(required=True, metavar="check")
    check = actions.add_parser("check", help="read everything, and say what is wrong", allow_abbrev=False)
    check.add_argument("file", metavar="FILE", help="file, folder with a file a split, or hub id")
    add_data_flags(check)
    check.add_argument(
        "--model",
        default="",
        help="hub id or folder of a model: its tokenizer, which alone is loaded, counts tokens; none: "
        "characters only",
    )
    check.add_argument(
        "--max-prompt-tokens",
        default="1024",
        metavar="INT",
        help="with --model: tokens that a prompt may have, 1 or more (default: 1024)",
    )
    check.add_argument(
        "--allow-weak-sandbox", action="store_true", help="run programs even where isolation is too weak"
    )
    return parser
