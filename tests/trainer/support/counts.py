"""The counts of benchmarks/counts_update.py, for tests."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "counts_update.py"


def load_counts() -> Any:
    """The script as a module."""
    if SCRIPT.stem not in sys.modules:
        specification = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        sys.modules[SCRIPT.stem] = module
        specification.loader.exec_module(module)
    return sys.modules[SCRIPT.stem]
