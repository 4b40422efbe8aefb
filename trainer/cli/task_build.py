"""`palaestra task build`: sample a model on a task, keep what passed, and write a set to train on."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...tasks.core import registry
from ...tasks.core.errors import UserError
from ..config.arguments import SentenceParser
from ..terminal import say

SAMPLES, SPLIT = 8, "train"


def main(argv: list[str]) -> int:
    """Build a set of folders with completions, or of a task that is sampled first."""
    parser = _make_parser()
    arguments, rest = parser.parse_known_args(argv)
    out = Path(arguments.out)
    from ..curation.build import Choice, build, check_out

    check_out(out)
    low, _, high = arguments.pass_rate.partition(":")
    try:
        choice = Choice(
            float(low), float(high or 1), arguments.per_problem, not arguments.unfinished, arguments.seed
        )
    except ValueError as failure:
        raise UserError(f"--pass-rate {arguments.pass_rate}: give LOW:HIGH, as 0.1:0.9.") from failure
    against = [registry.get(name.strip()) for name in arguments.against.split(",") if name.strip()]
    folders = [Path(name) for name in arguments.sources]
    if len(folders) == 1 and not folders[0].is_dir():
        folders = [_sample(arguments.sources[0], rest, out, arguments.seed)]
    elif rest:
        parser.error(
            f"{rest[0]} is about sampling, and {arguments.sources[0]} is sampled already: leave it out"
        )
    say(str(build(folders, out, choice, against)))
    say(f"To imitate them: palaestra sft --pairs {out} --model MODEL")
    return 0


def _sample(task: str, rest: list[str], out: Path, seed: int) -> Path:
    """The folder of an evaluation of the task's train split, begun or gone on with."""
    from ..config.evaluation import EvalConfig
    from ..config.parse import parse
    from ..curation.build import check_split
    from ..runs.checks import check_eval

    folder = out.with_name(f"{out.stem}-samples")
    defaults = ["--task", task, "--split", SPLIT, "--samples", str(SAMPLES), "--temperature", "1"]
    named = {text.partition("=")[0] for text in rest}
    defaults = [text for flag, value in zip(defaults[::2], defaults[1::2], strict=True) if flag not in named
                for text in (flag, value)]  # fmt: skip
    config = parse(
        EvalConfig, [*defaults, *rest, "--out", str(folder), "--seed", str(seed)], "palaestra task build"
    )
    check_split(config, f"{task} would be sampled for completions of")
    check_eval(config)
    from ..evaluation.run import evaluate_model

    say(str(evaluate_model(config, say=say)))
    return folder


def _make_parser() -> argparse.ArgumentParser:
    parser = SentenceParser(
        prog="palaestra task build",
        usage="palaestra task build FOLDER [FOLDER ...] --out FILE.parquet [options]\n"
        "       palaestra task build TASK --model MODEL --out FILE.parquet [options, those of eval, too]",
        description="A set to train on, of what a model sampled and the task's rubric passed.",
    )
    parser.add_argument(
        "sources", nargs="+", metavar="FOLDER|TASK",
        help="folders of runs or evaluations, or a task, which is sampled first (its train split, 8 "
        "completions of each problem at temperature 1, unless options of `palaestra eval` say otherwise)",
    )  # fmt: skip
    parser.add_argument("--out", required=True, metavar="FILE.parquet", help="new file for the set")
    parser.add_argument(
        "--pass-rate", default="0:1", metavar="LOW:HIGH",
        help="keep problems whose pass-rate is within these bounds, from 0 to 1 (default: 0:1)",
    )  # fmt: skip
    parser.add_argument(
        "--per-problem", type=int, default=4, metavar="N",
        help="different completions of one problem at most, 1 or more (default: 4)",
    )  # fmt: skip
    parser.add_argument(
        "--against", default="", metavar="TASK,...",
        help="tasks whose test split is kept out: problems that share 13 words in a row with one, or that "
        "are the same where a generator makes them (default: none)",
    )  # fmt: skip
    parser.add_argument(
        "--unfinished", action="store_true", help="keep completions that were cut at the length limit, too"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of what is kept (default: 0)")
    return parser
