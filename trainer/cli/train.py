"""`palaestra train`, `palaestra resume` and `palaestra replay`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..runs.state import RunResult


def main(argv: list[str]) -> int:
    """argv: the command's name (train, resume, replay), then its arguments."""
    return {"train": train, "resume": resume, "replay": replay}[argv[0]](argv[1:])


def train(argv: list[str]) -> int:
    """Parse the settings (nothing heavy is imported until they are right), then train."""
    from ..config.parse import parse
    from ..config.tasks import TRAINED, open_data
    from ..config.train import TrainConfig

    config = parse(TrainConfig, argv, "palaestra train")
    open_data(config.task, TRAINED)
    from ..runs.setup import train as run

    return finish(run(config))


def resume(argv: list[str]) -> int:
    """Go on with a run; the flags are those of the command that began it."""
    from ..config.parse import SentenceParser, read_flags

    parser = SentenceParser(
        prog="palaestra resume",
        usage="palaestra resume RUN [options]",
        description="Go on with a run from its newest checkpoint.",
        epilog="Options of the command that began the run change it from here on: --steps N (in all), "
        "--stop-after N, --learning-rate X, --watch.kl-max X, ... Those that its checkpoints depend on, "
        "such as --task, --model and --seed, can't change.",
    )
    parser.add_argument("run", type=Path, help="folder of the run")
    # Options may stand on either side of RUN; what they are is known once the run is.
    place = next((number for number, text in enumerate(argv) if Path(text).is_dir()), 0)
    options = parser.parse_args(argv[place : place + 1] if not {"-h", "--help"} & {*argv} else ["--help"])
    from ..runs.resume import find_command
    from ..runs.resume import resume as go_on
    from ..runs.state import RunResult

    flags = [*argv[:place], *argv[place + 1 :]]
    changes = read_flags(find_command(options.run).kind, flags, "palaestra resume")
    result = go_on(options.run, changes)
    return finish(result) if isinstance(result, RunResult) else 130 if result.interrupted else 0


def replay(argv: list[str]) -> int:
    """Exit code 0 when the step matches, 1 when it does not."""
    from ..config.parse import SentenceParser

    parser = SentenceParser(
        prog="palaestra replay",
        description="Re-create a step of a run, and say whether it matches what was recorded.",
    )
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--step", type=int, required=True, help="step to re-create, 1 or more")
    options = parser.parse_args(argv)
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


def finish(result: RunResult) -> int:
    from ..terminal import say

    if result.interrupted:
        return 130
    say(str(result))
    return 0
