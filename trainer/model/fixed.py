"""Shapes that stay from call to call, so that a decode step is recorded once for each of them."""

from __future__ import annotations

from .captures import CapturedSteps, Recorder
from .decoding import Extent

ROUND_UP = 128  # positions to which a kept cache is rounded up: slightly longer prompts need no other one
WIDTHS, LENGTHS = 3, 2
"""Of a batch whose steps are captured: all rows, half of them, a quarter; the whole cache, or its first
half."""


class FixedShapes:
    """How many rows and positions the buffers of recorded steps have, and which of them a step computes.

    So a run has at most WIDTHS times LENGTHS shapes, until a call needs more rows or positions. steps: None
    runs the same code without recording.
    """

    def __init__(self, record: Recorder | None) -> None:
        self.steps = CapturedSteps(record) if record is not None else None
        self.rows = self.positions = 0

    @property
    def captures(self) -> int:
        """Steps that have been recorded so far."""
        return 0 if self.steps is None else self.steps.captures

    def grow(self, extent: Extent) -> bool:
        """Take in what `extent` needs; whether that is more than before, and buffers must be made anew."""
        if extent.rows <= self.rows and extent.positions <= self.positions:
            return False
        self.rows = max(self.rows, extent.rows)
        self.positions = max(self.positions, -(-extent.positions // ROUND_UP) * ROUND_UP)
        if self.steps is not None:
            self.steps.forget()
        return True

    def choose_width(self, rows: int) -> int:
        """Rows to compute for so many live ones: the fewest of the widths that hold them."""
        width = self.rows
        for _ in range(WIDTHS - 1):
            if rows > -(-width // 2):
                break
            width = -(-width // 2)
        return width

    def choose_length(self, used: int) -> int:
        """Positions to read where the first `used` hold something."""
        half = -(-self.positions // LENGTHS)
        return half if used <= half else self.positions

    def drop(self) -> None:
        """Give the memory of buffers, cache and recorded steps back; the next call makes them anew."""
        self.rows = self.positions = 0
        if self.steps is not None:
            self.steps.forget()
