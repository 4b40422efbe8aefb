"""`palaestra push`"""

from __future__ import annotations

from pathlib import Path


def main(argv: list[str]) -> int:
    """Give a run's model to others, with a card."""
    from ..config.arguments import SentenceParser

    parser = SentenceParser(
        prog="palaestra push",
        description="Write a run's model, tokenizer, adapters and a card (task, figures with intervals, "
        "settings, licences, how to use) to the hub or to a folder. Completions, logs and checkpoints stay.",
    )
    parser.add_argument("run", type=Path, help="folder of a run of train, sft or reward-model that has ended")
    parser.add_argument(
        "--to",
        required=True,
        metavar="USER/NAME",
        help="repository on the hub, made if it is not there; ./FOLDER writes a new folder instead",
    )
    parser.add_argument(
        "--public", action="store_true", help="let everybody read the repository (default: private)"
    )
    options = parser.parse_args(argv)
    from ..runs.push import push
    from ..terminal import say

    say(str(push(options.run, options.to, public=options.public, say=say)))
    return 0
