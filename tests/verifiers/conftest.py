"""Makes what these tests share importable by plain names; the pool's workers inherit the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
