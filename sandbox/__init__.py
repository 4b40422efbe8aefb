"""The sandbox: one untrusted program, its limits and isolation. Knows nothing of answers or rewards."""

from .layers import Layer, layers
from .limits import MIB, Limits
from .outcome import Call, Outcome, Result, Status
from .pool import ALLOW_WEAK, SandboxPool, default_workers, run_tests, shared_pool
from .session import Mode
from .text import same_text
from .wire import Compare, same_value
from .worker import SandboxUnavailable

__all__ = [
    "ALLOW_WEAK",
    "MIB",
    "Call",
    "Compare",
    "Layer",
    "Limits",
    "Mode",
    "Outcome",
    "Result",
    "SandboxPool",
    "SandboxUnavailable",
    "Status",
    "default_workers",
    "layers",
    "run_tests",
    "same_text",
    "same_value",
    "shared_pool",
]
