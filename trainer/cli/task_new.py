"""`palaestra task new NAME`: the file of a new task, whose check passes at once."""

from __future__ import annotations

from pathlib import Path

from ...tasks.data.report import report
from ...tasks.data.write import choose_file, write_from_data, write_procedural
from ..config.parse import SentenceParser
from ..config.tasks import load_task
from ..terminal import say
from .data_flags import add_data_flags, list_data_settings, read_data_flags


def main(argv: list[str]) -> int:
    """Write NAME.py: over the data of --from, or a generator to begin with."""
    parser = SentenceParser(
        prog="palaestra task new",
        description="Write NAME.py, a task to be edited: over data of your own, or a generator of problems.",
    )
    parser.add_argument("name", metavar="NAME", help="name of the task: letters, digits and _")
    parser.add_argument(
        "--from", dest="data", default="", metavar="FILE", help="file, folder with a file a split, or hub id "
        "(default: none, a generator)",
    )  # fmt: skip
    add_data_flags(parser)
    arguments = parser.parse_args(argv)
    path = choose_file(arguments.name)
    if not arguments.data:
        given = [setting.name for setting in list_data_settings() if setting.name in arguments]
        if given:
            parser.error(f"--{given[0].replace('_', '-')} is about data: give --from FILE, too")
        write_procedural(path)
    else:
        task = load_task(read_data_flags(arguments, arguments.data))
        found = report(task, [split for split in ("train", "test") if split in task.splits])
        for line in found.write_lines():
            say(line)
        found.refuse()
        write_from_data(path, task)
    beside = "./" if path.parent == Path() else ""
    say(f"{path} is written. Edit it, then: palaestra task check {beside}{path}")
    return 0
