"""`palaestra sft`"""

from __future__ import annotations


def main(argv: list[str]) -> int:
    """Parse the settings (nothing heavy is imported until they are right), then fine-tune."""
    from ..config.parse import parse
    from ..config.sft import SFTConfig
    from ..runs.checks import check_sft

    config = parse(SFTConfig, argv, "palaestra sft")
    check_sft(config)
    from ..sft.run import sft

    return 130 if sft(config).interrupted else 0
