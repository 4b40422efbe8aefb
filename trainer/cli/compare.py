"""`palaestra compare`"""

from __future__ import annotations

import argparse
import json

from ..config.arguments import SentenceParser


def main(argv: list[str]) -> int:
    """Compare evaluations problem by problem; write comparison.json and flips.jsonl."""
    options = _make_parser().parse_args(argv)
    from ..evaluation.compare import compare_measured, read_all
    from ..evaluation.comparison import write_comparison
    from ..terminal import say

    measured = read_all(options.evaluation)
    across = [kind.strip() for kind in options.across.split(",") if kind.strip()]
    ks = [int(text) for text in options.k.split(",")] if options.k else []
    found = compare_measured(measured, across, every=options.all_pairs, ks=ks)
    folder = write_comparison(found, options.out)
    if options.json:
        print(json.dumps(found.to_dict(), indent=1, default=str))
        return 0
    say(str(found))
    say(f"\nEvery problem that flipped, with both completions: {folder / 'flips.jsonl'}")
    return 0


def _read_ks(text: str) -> str:
    if text and not all(part.strip().isdecimal() and int(part) for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers from 1, as 1,4,8")
    return text


def _make_parser() -> argparse.ArgumentParser:
    parser = SentenceParser(
        prog="palaestra compare",
        usage="palaestra compare A B [C ...] [options]",
        description="Compare evaluations of the same problems, problem by problem: differences with 95 % "
        "intervals, exact tests, the problems that flipped, and what so many problems could have shown.",
    )
    parser.add_argument(
        "evaluation",
        nargs="+",
        help="folder of an evaluation; of a run, for its last held-out evaluation (RUN@50: that of step "
        "50; RUN@first, RUN@best); or of a run's arms. A run alone is its first evaluation against its last",
    )
    parser.add_argument(
        "--across",
        default="",
        metavar="KINDS",
        help="what the evaluations may differ in, of tasks,prompts,verifiers (default: none of them)",
    )
    parser.add_argument(
        "--all-pairs", action="store_true", help="each against each (default: each against the first)"
    )
    parser.add_argument(
        "--k",
        type=_read_ks,
        default="",
        metavar="K,K,...",
        help="k of pass@k, each from 1 to the samples of a problem (default: 1, 2, 4, ... as far as all go)",
    )
    parser.add_argument("--json", action="store_true", help="print the record in place of the table")
    parser.add_argument(
        "--out", default="auto", metavar="FOLDER",
        help="where comparison.json and flips.jsonl go (default: one in runs/, named after what is compared)",
    )  # fmt: skip
    return parser
