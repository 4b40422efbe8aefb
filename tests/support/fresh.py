"""Code in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys


def run_under_seed(code: str, seed: int, *arguments: str) -> str:
    """What code prints, where Python hashes texts by this seed."""
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
