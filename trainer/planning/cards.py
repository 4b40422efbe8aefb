"""What cards are sold as: memory, bandwidth, arithmetic, links. Imports no torch.

The numbers are those of the makers' data sheets, for bfloat16 products summed in float32, dense (without
"sparsity"). No program reaches them; the shares that a plan takes of them are settings.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from ...tasks.core.errors import UserError

HERE = "here"


@dataclass(frozen=True)
class Card:
    """memory: bytes that it reports.  bandwidth: of its memory, bytes a second.  peak: floating-point
    operations a second in the arithmetic of a run.  link: bytes a second to another card of the same machine,
    one way. number_bytes: of a number in products.  source: where the numbers are from."""

    name: str
    memory: float
    bandwidth: float
    peak: float
    link: float
    source: str
    number_bytes: int = 2


GIB, TB, TFLOP, GB = 2.0**30, 1e12, 1e12, 1e9
NVLINK = "NVLink, half of what is sold as both ways"
CARDS = {
    # NVIDIA A100 data sheet (2021): 312 TFLOP/s, 1,555 and 2,039 GB/s (SXM), NVLink 600 GB/s both ways
    "a100-40": Card("A100 40GB SXM", 39.4 * GIB, 1.555 * TB, 312 * TFLOP, 300 * GB, "A100 data sheet, 2021"),
    "a100": Card("A100 80GB SXM", 79.2 * GIB, 2.039 * TB, 312 * TFLOP, 300 * GB, "A100 data sheet, 2021"),
    # NVIDIA H100 data sheet (2023): SXM 989.5 TFLOP/s dense (1,979 with sparsity), 3.35 TB/s, NVLink 900 GB/s
    "h100": Card("H100 80GB SXM", 79.6 * GIB, 3.35 * TB, 989.5 * TFLOP, 450 * GB, "H100 data sheet, 2023"),
    # PCIe: 756 TFLOP/s dense, 2 TB/s, PCIe 5.0 128 GB/s both ways
    "h100-pcie": Card("H100 80GB PCIe", 79.6 * GIB, 2.0 * TB, 756 * TFLOP, 64 * GB, "H100 data sheet, 2023"),
    # NVIDIA H200 data sheet (2024): 141 GB, 4.8 TB/s, arithmetic of the H100
    "h200": Card("H200 141GB SXM", 139.8 * GIB, 4.8 * TB, 989.5 * TFLOP, 450 * GB, "H200 data sheet, 2024"),
    # NVIDIA HGX B200 (2024): 8 TB/s, 2.25 PFLOP/s dense, 1.44 TB for eight, NVLink 1.8 TB/s both ways
    "b200": Card("B200 180GB", 178.0 * GIB, 8.0 * TB, 2250 * TFLOP, 900 * GB, "HGX B200 data sheet, 2024"),
    # NVIDIA L40S data sheet (2023): 362 TFLOP/s dense, 864 GB/s, PCIe 4.0 64 GB/s both ways
    "l40s": Card("L40S 48GB", 44.4 * GIB, 0.864 * TB, 362 * TFLOP, 32 * GB, "L40S data sheet, 2023"),
    # NVIDIA L4 data sheet (2023): 121 TFLOP/s dense, 300 GB/s, PCIe 4.0 64 GB/s both ways
    "l4": Card("L4 24GB", 22.0 * GIB, 0.3 * TB, 121 * TFLOP, 32 * GB, "L4 data sheet, 2023"),
    # NVIDIA Ada architecture paper (2022), RTX 4090: 165.2 TFLOP/s summed in float32, 1,008 GB/s
    "rtx4090": Card("RTX 4090 24GB", 23.6 * GIB, 1.008 * TB, 165.2 * TFLOP, 32 * GB, "Ada paper, 2022"),
    # NVIDIA Ampere GA102 paper (2020), RTX 3090: 71 TFLOP/s summed in float32, 936 GB/s
    "rtx3090": Card("RTX 3090 24GB", 23.6 * GIB, 0.936 * TB, 71 * TFLOP, 32 * GB, "GA102 paper, 2020"),
}


def check_card(name: str) -> None:
    """Raise UserError for a card that is not in the table, and is not `here`."""
    if name.lower() in CARDS or name == HERE:
        return
    near = difflib.get_close_matches(name.lower(), CARDS, n=2, cutoff=0.4)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    raise UserError(
        f"--gpu {name}: not in the table. {hint}Give one of {', '.join(CARDS)}, or {HERE} for this machine, "
        "whose bandwidth and arithmetic are measured."
    )
