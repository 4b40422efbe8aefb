"""`palaestra train`, `palaestra resume` and `palaestra replay`"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..config.train import TrainConfig
    from ..runs.arms import ArmsResult
    from ..runs.state import RunResult


def main(argv: list[str]) -> int:
    """argv: the command's name (train, resume, replay), then its arguments."""
    return {"train": train, "resume": resume, "replay": replay}[argv[0]](argv[1:])


def train(argv: list[str]) -> int:
    """Parse and check the settings (nothing heavy is imported until they are right), then train."""
    from ..config.parse import parse
    from ..config.settings import SettingError
    from ..config.train import TrainConfig
    from ..distributed.ranks import find_place, launch
    from ..runs.checks import check_train

    config = parse(TrainConfig, argv, "palaestra train")
    place = find_place()
    if config.arms:
        if place is not None or config.ranks.processes > 1:
            raise SettingError("--arms runs one after the other in one process: leave out --processes.")
        return train_arms(config)
    check_train(config)
    if place is None and config.ranks.processes > 1:
        return launch(["train", *argv], config.ranks.processes)
    from ..runs.setup import train as run

    return finish(run(config))


def train_arms(config: TrainConfig) -> int:
    """Check all arms, then run them in turn."""
    from ..runs.checks import check_arms

    check_arms(config)
    from ..runs.arms import train_arms as run

    return finish(run(config))


def resume(argv: list[str]) -> int:
    """Go on with a run; the flags are those of the command that began it."""
    from ..config.arguments import SentenceParser, take_option
    from ..config.parse import read_flags
    from ..config.settings import SettingError
    from ..config.train import TrainConfig
    from ..distributed.ranks import find_place, launch, refuse_ranks
    from ..runs.changeable import change_run, describe_fixed, find_command
    from ..storage.names import ARMS
    from ..storage.sources import refuse_changes

    parser = SentenceParser(
        prog="palaestra resume",
        usage="palaestra resume RUN [options]",
        description="Go on with a run from its newest checkpoint.",
        epilog="Options of the command that began the run change it from here on: --steps N (in all), "
        "--stop-after N, --learning-rate X, --watch.kl-max X, ... (palaestra train --help-all lists them). "
        f"--task-changed ok goes on though the run's code or data changed.\nThese can't change:\n"
        f"{describe_fixed()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="folder of the run")
    rest = list(argv)
    changed = take_option(rest, "--task-changed", "ok")
    if changed not in (None, "ok"):
        raise SettingError(f"--task-changed {changed!r}: give ok, to go on with what is there now.")
    # Options may stand on either side of RUN; what they are is known once the run is.
    place = next((number for number, text in enumerate(rest) if Path(text).is_dir()), 0)
    options = parser.parse_args(rest[place : place + 1] if not {"-h", "--help"} & {*rest} else ["--help"])
    flags = [*rest[:place], *rest[place + 1 :]]
    if (options.run / ARMS).is_file():
        return resume_arms(options.run, flags, changed == "ok")
    changes = read_flags(find_command(options.run).kind, flags, "palaestra resume")
    found = change_run(options.run, changes, say=lambda _line: None)
    refuse_changes(options.run, found.folder.read_facts(), changed == "ok", say=lambda _line: None)
    if not isinstance(found.config, TrainConfig):
        refuse_ranks(f"resume {options.run}")
    elif find_place() is None and found.config.ranks.processes > 1:
        return launch(["resume", *argv], found.config.ranks.processes)
    from ..runs.resume import resume as go_on
    from ..runs.state import RunResult

    result = go_on(options.run, changes, accept_changes=changed == "ok")
    return finish(result) if isinstance(result, RunResult) else 130 if result.interrupted else 0


def resume_arms(parent: Path, flags: list[str], accept_changes: bool) -> int:
    """Go on with the arms that have not ended."""
    from ..config.settings import SettingError

    if flags:
        raise SettingError(
            f"{parent} holds several arms, which go on with the settings that they share: leave out "
            f"{flags[0]}, or resume one of them ({parent / 'base'})."
        )
    from ..runs.arms import resume_arms as go_on

    return finish(go_on(parent, accept_changes=accept_changes))


def replay(argv: list[str]) -> int:
    """Exit code 0 when the step matches, 1 when it does not."""
    from ..config.arguments import SentenceParser, read_as
    from ..config.settings import Count
    from ..runs.replayable import find_start

    parser = SentenceParser(
        prog="palaestra replay",
        description="Re-create a step of a run, and say whether it matches what was recorded.",
    )
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--step", type=read_as(Count), required=True, help="step to re-create, 1 or more")
    options = parser.parse_args(argv)
    find_start(options.run, options.step)
    from ..runs.replay import replay as recreate

    result = recreate(options.run, options.step)
    if result.matches:
        print(
            f"Step {result.step} matches to the bit (re-created from the checkpoint of step {result.start})."
        )
        return 0
    print(f"Step {result.step} does not match what was recorded:")
    print("\n".join(f"  {difference}" for difference in result.differences))
    return 1


def finish(result: RunResult | ArmsResult) -> int:
    from ..distributed.ranks import speaks
    from ..terminal import say

    if result.interrupted:
        return 130
    if speaks():
        say(str(result))
    return 0
