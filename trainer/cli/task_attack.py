"""`palaestra task attack NAME`: search for completions that are paid for without being right."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from ...tasks.core.proofs.attack import LEAST, TRIES, attack
from ..config.settings import Amount, Count, Natural, Positive
from ..config.train import TrainConfig, TrainTaskConfig
from ..terminal import say
from .task_flags import add_sandbox, add_task, load_isolated, read_config, read_number

SUMMARY = "Search for completions that are paid for without being right: known hacks, mutations, a policy."


def add(parser: argparse.ArgumentParser) -> None:
    add_task(parser, "name")
    add_sandbox(parser)
    parser.add_argument(
        "--tries", type=read_number(Count), default=TRIES, help="completions to score, 1 or more"
    )
    parser.add_argument(
        "--seed", type=read_number(Natural), default=0, help="seed of the mutations, 0 or more"
    )
    parser.add_argument(
        "--least",
        type=read_number(Positive),
        default=LEAST,
        help="share of a right completion's reward, above 0, that counts as paid; what passes always does",
    )
    parser.add_argument(
        "--minutes",
        type=read_number(Amount),
        default=0.0,
        help="minutes to train a small policy on other problems' references, 0 or more; 0 trains none",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit status: 0 none found, 1 found, 2 for what the user can mend."""
    task = load_isolated(arguments.name, arguments)
    found = attack(task, arguments.tries, seed=arguments.seed, least=arguments.least)
    result = found.as_dict()
    if not arguments.json:
        for line in found.write_lines():
            say(line)
    holes = bool(found.holes)
    if arguments.minutes:
        from ..runs.attack import attack_by_training  # loads torch

        said: dict[str, Any] = dict(vars(read_config(arguments.name, arguments)))
        said |= {"option": tuple(said["option"]), "allow_weak_sandbox": arguments.allow_weak_sandbox}
        config = TrainConfig(task=TrainTaskConfig(**said))
        config = config.but(seed=arguments.seed)
        trained = attack_by_training(config, arguments.minutes, lambda line: say(line, sys.stderr))
        holes = holes or trained.found
        result["trained"] = {**asdict(trained), "folder": str(trained.folder), "found": trained.found}
        if not arguments.json:
            for line in trained.write_lines():
                say(line)
    elif not arguments.json:
        say("No policy was trained: --minutes 3 trains a small one against the rubric.", sys.stderr)
    if arguments.json:
        print(json.dumps(result, indent=2))
    return 1 if holes else 0
