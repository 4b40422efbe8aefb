"""A pool of one sandbox; and what these tests share becomes importable by plain names."""

import sys
from pathlib import Path

import pytest
from palaestra.sandbox import MIB, Limits, SandboxPool

sys.path.insert(0, str(Path(__file__).parent / "support"))


@pytest.fixture(scope="module")
def pool():
    with SandboxPool(1, Limits(wall_s=1, cpu_s=2, memory=256 * MIB)) as made:
        yield made
