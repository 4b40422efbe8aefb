"""What `from_pretrained` raises, as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.errors import StrictDataclassError
from transformers import dynamic_module_utils

from ...tasks.core.errors import UserError, shorten

# How long transformers waits for a yes on the terminal: a command asks nothing.
dynamic_module_utils.TIME_OUT_REMOTE_CODE = 0  # type: ignore[bad-assignment]
FAILURES = (
    OSError,
    ValueError,
    LookupError,
    RuntimeError,
    ImportError,
    AttributeError,
    TypeError,
    ArithmeticError,
    AssertionError,
    StrictDataclassError,  # values of a config that do not go together
)


@contextmanager
def explain_failures(source: str, kind: str, trust_remote_code: bool) -> Iterator[None]:
    """Around `from_pretrained`: raises UserError in place of whatever it raises.

    source: what is loaded.  kind: as what.  trust_remote_code: whether its own code may run; where it may not
    and has to, the sentence names the flag.
    """
    try:
        yield
    except FAILURES as failure:
        if not trust_remote_code and "trust_remote_code" in str(failure):
            raise UserError(
                f"{source} needs Python code that it brings along. Read that code; to run it, with your "
                "rights, give --trust-remote-code (from Python trust_remote_code=True)."
            ) from failure
        reason = shorten(str(failure))
        raise UserError(f"{source} could not be loaded as {kind}: {reason}.") from failure
