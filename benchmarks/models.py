"""Which models are served: every family that transformers offers, tiny and random, against its own pass.

    python benchmarks/models.py                # all, about two minutes: writes the table of docs/models.md
    python benchmarks/models.py qwen3_5 gpt2   # prints the rows of these and writes nothing

The checks and their bounds are those of tests/trainer/model/test_architectures.py, the configs those of
tests/trainer/support/architectures.py.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.trainer.support.architectures import ARCHITECTURES, UNBUILT  # noqa: E402 the tests are in no package
from tests.trainer.support.sweep import Check, Outcome, sweep  # noqa: E402

PAGE = ROOT / "docs" / "models.md"
BEGIN, END = "<!-- families: begin -->", "<!-- families: end -->"
HEAD = (
    "| family | path | sampler, nats | gradient | LoRA on | remark |\n| --- | --- | --- | --- | --- | --- |"
)


def write_cell(check: Check, shown: str) -> str:
    """What a check found: `shown` where it is right, else the verdict."""
    return shown if check.verdict == "right" else check.verdict


def shorten(remark: str) -> str:
    """The first sentence."""
    return f"{remark.partition('. ')[0].rstrip('.')}."


def write_row(outcome: Outcome) -> str:
    """The row of a family. A sentence that several checks are refused with stands once."""
    checks = outcome.checks
    remarks = [shorten(check.remark) for check in checks.values() if check.verdict != "right"]
    cells = [
        outcome.family,
        outcome.path or "none",
        write_cell(outcome.sampler, f"{outcome.sampler.error:.0e}"),
        write_cell(outcome.update, f"{outcome.update.error:.0e}"),
        write_cell(outcome.lora, outcome.lora.remark),
        " ".join(dict.fromkeys(remarks)).replace("|", "\\|"),
    ]
    return f"| {' | '.join(cells)} |"


def write_table(rows: dict[str, str]) -> str:
    """The page's table: the rows by name, and the families that no config is made of."""
    left_out = {family: f"| {family} | not tried |  |  |  | {why} |" for family, why in UNBUILT.items()}
    return "\n".join([HEAD, *(row for _, row in sorted((rows | left_out).items()))])


def replace_table(page: str, table: str) -> str:
    """The page with another table between its markers."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("families", nargs="*", help="names of the config file; all where none is given")
    wanted = parser.parse_args().families
    unknown = [family for family in wanted if family not in ARCHITECTURES]
    if unknown:
        parser.error(f"{unknown[0]} is no family of tests/trainer/support/architectures.py.")
    torch.set_num_threads(1)  # small matrices
    rows = {}
    for family in wanted or ARCHITECTURES:
        rows[family] = write_row(sweep(family))
        print(rows[family], flush=True)
    if not wanted:
        PAGE.write_text(replace_table(PAGE.read_text(), write_table(rows)))


if __name__ == "__main__":
    main()
