"""`palaestra sft`"""

from __future__ import annotations


def main(argv: list[str]) -> int:
    """Parse the settings (nothing heavy is imported until they are right), then fine-tune."""
    from ..config.parse import parse
    from ..config.sft import SFTConfig
    from ..config.tasks import TRAINED, open_data

    config = parse(SFTConfig, argv, "palaestra sft")
    open_data(config.task, TRAINED)
    from ..sft.run import sft

    return 130 if sft(config).interrupted else 0
