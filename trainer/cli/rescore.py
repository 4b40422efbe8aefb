"""`palaestra rescore`"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..config.arguments import SentenceParser


def main(argv: list[str]) -> int:
    """Judge a run's or an evaluation's completions again; write the result into a folder of its own."""
    options = _make_parser().parse_args(argv)
    from ..rescoring.recorded import open_source

    open_source(options.source)  # a mistake is answered before anything heavy is imported
    import sys

    from ..rescoring.rescore import rescore
    from ..terminal import say

    found = rescore(
        options.source,
        options.rubric,
        options.task,
        out=options.out,
        workers=options.workers,
        deadline_s=options.deadline,
        allow_weak=options.allow_weak_sandbox,
        say=lambda line: say(line, sys.stderr),
    )
    if options.json:
        print(json.dumps(found.to_dict(), indent=1, default=str))
        return 0
    say(str(found))
    say(f"\nEvery completion with both judgements: {found.folder / 'completions.jsonl'}")
    return 0


def _read_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


def _read_workers(text: str) -> int:
    if not text.isdecimal() or int(text) > 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 1024")
    return int(text)


def _make_parser() -> argparse.ArgumentParser:
    parser = SentenceParser(
        prog="palaestra rescore",
        usage="palaestra rescore RUN|EVALUATION [options]",
        description="Judge what a run or an evaluation has sampled again, offline: which verdicts change, "
        "how often the one is a false positive of the other, and which groups' gradients would have changed "
        "sign.",
    )
    parser.add_argument("source", type=Path, help="folder of a run of `palaestra train`, or of an evaluation")
    parser.add_argument(
        "--rubric",
        default="",
        metavar="RUBRIC",
        help="what judges: FILE.py, FILE.py:name or module:name (a Rubric, a Criterion or a function), or "
        "math, number, exact, choice, code, regex:PATTERN (default: the task's present rubric)",
    )
    parser.add_argument(
        "--task", default="", metavar="TASK", help="a task, or its file, whose rubric judges (default: none)"
    )
    parser.add_argument(
        "--workers",
        type=_read_workers,
        default=0,
        metavar="INT",
        help="worker processes, from 1; 0 takes as many as there are cores (default: 0)",
    )
    parser.add_argument(
        "--deadline",
        type=_read_seconds,
        default=60.0,
        metavar="SECONDS",
        help="for one completion, above 0; one that takes longer has timed out (default: 60)",
    )
    parser.add_argument(
        "--allow-weak-sandbox",
        action="store_true",
        help="run programs even where isolation is too weak (default: as in the run)",
    )
    parser.add_argument("--json", action="store_true", help="print the record in place of the lines")
    parser.add_argument(
        "--out",
        default="auto",
        metavar="FOLDER",
        help="where completions.jsonl, rescore.json and groups.jsonl go (default: one in runs/)",
    )
    return parser
