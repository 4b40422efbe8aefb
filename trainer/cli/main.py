"""The `palaestra` command: imports only the subcommand's module, and turns the user's errors into sentences.

Exit codes: 0 done; 2 the user can fix it (a sentence on stderr, no stack trace); 130 interrupted. `UserError`
and `OSError` (a full disk, a permission) are the user's. Any other exception, a plain ValueError too, is a
bug of ours and keeps its traceback. A subcommand's module has `main(argv) -> int`.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import sys
from dataclasses import dataclass
from importlib.metadata import version

from ...tasks.core.errors import UserError
from ..distributed.ranks import refuse_ranks
from ..terminal import say, survive_odd_characters


@dataclass(frozen=True, slots=True)
class Command:
    """module: the module of `palaestra.trainer` that holds `main(argv)`.  summary: its line in `--help`."""

    module: str
    summary: str


COMMANDS = {
    "tasks": Command("tasks", "list the tasks"),
    "task": Command(
        "tasks",
        "show NAME: problems, rubric; play NAME: in the model's place; check NAME: prove it; card NAME: its "
        "page; attack NAME: cheats; export NAME: problems as rows; new NAME: a file",
    ),
    "data": Command("data", "check FILE: data of your own, how they are read and what is wrong with them"),
    "score": Command("tasks", "score completions from a file with a task's rubric"),
    "demo": Command(
        "demo", "train a real small model by reinforcement learning, in minutes, on this machine"
    ),
    "sft": Command("sft", "fine-tune a model on a task's demonstrations"),
    "reward-model": Command("reward_model", "fit a reward model to comparisons of answers"),
    "train": Command("train", "train a model on a task by reinforcement learning"),
    "plan": Command("plan", "memory, operations and seconds of a run on given cards, before there is one"),
    "resume": Command("train", "go on with a run from its newest checkpoint"),
    "replay": Command("train", "re-create a step of a run and say whether it matches"),
    "eval": Command(
        "eval", "measure pass-rates with intervals: models, runs, endpoints, on one task or many"
    ),
    "push": Command("push", "give a run's model to others: to the hub, or to a folder, with a card"),
    "compare": Command("compare", "compare evaluations, runs or arms problem by problem, with exact tests"),
    "rescore": Command("rescore", "judge a run's or an evaluation's completions again, by another rubric"),
    "query": Command(
        "query", "ask a run's or an evaluation's completions by SQL, or write them as JSONL or CSV"
    ),
    "report": Command("report", "a run, an evaluation or a comparison as one page to read in a browser"),
    "plot": Command("plot", "the curves of runs as PNG and SVG, for papers"),
    "chat": Command("chat", "type problems, see a model's completions and their verdicts"),
    "verify": Command("verify", "verify one answer"),
    "engine": Command("engine", "install vllm: the environment that --engine vllm runs in"),
    "doctor": Command("doctor", "what this machine has and what is missing"),
}
SHARED_MODULES = {
    "tasks",
    "train",
}  # serve several commands and take the command's name as their first argument
SHARED_RANKS = {"train", "resume"}  # run in several processes


def main(argv: list[str] | None = None) -> int:
    """Run one command line (default: this process's) and return its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    survive_odd_characters()
    try:
        try:
            code = dispatch(arguments)
        except SystemExit:  # after a help text
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except UserError as failure:
        return _complain(str(failure))
    except KeyboardInterrupt as stop:
        _complain(str(stop) or "Interrupted.")
        return 130
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        _drop_unwritten()
        return 0
    except OSError as failure:
        _drop_unwritten()
        return _complain(_write_sentence(failure))
    return code


def _drop_unwritten() -> None:
    """Where standard output takes nothing more, keep the interpreter's last flush from complaining again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def dispatch(arguments: list[str]) -> int:
    """Run one command; errors are raised. Raises UserError for an unknown command."""
    name, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if name in ("--help", "-h", "help"):
        print(write_usage())
        return 0
    if name == "--version":
        print(f"palaestra {version('palaestra')}")
        return 0
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=3, cutoff=0.65)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"Commands: {', '.join(COMMANDS)}."
        raise UserError(f"There is no command {name!r}. {hint}")
    command = COMMANDS[name]
    if name not in SHARED_RANKS:
        refuse_ranks(name)
    try:
        module = importlib.import_module(f".{command.module}", __package__)
    except ModuleNotFoundError as failure:
        if failure.name != f"{__package__}.{command.module}":
            raise
        raise UserError(f"The command {name!r} is not part of this version of palaestra.") from failure
    return module.main([name, *rest] if command.module in SHARED_MODULES else rest)


def write_usage() -> str:
    lines = [f"  {name:<12} {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: palaestra COMMAND [options]",
            "",
            *lines,
            "",
            "palaestra COMMAND --help lists the options of a command.",
        ]
    )


def _complain(sentence: str) -> int:
    say(f"palaestra: {sentence}", sys.stderr)
    return 2


def _write_sentence(failure: OSError) -> str:
    where = f" {failure.filename}" if failure.filename else ""
    if failure.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk is full{': could not write' + where if where else ''}. Free some space or write "
            "elsewhere."
        )
    if failure.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"No permission for{where or ' a file'}. Choose another place or change its permissions."
    return f"{failure.strerror or failure}{':' + where if where else ''}."
