"""`palaestra verify "REFERENCE" "ANSWER"`: is the answer equal to the reference, what was read, and who decided."""

from __future__ import annotations

import argparse

from ...verifiers.math import explain
from ..terminal import say


def main(argv: list[str]) -> int:
    """Exit status: 0 correct, 1 not correct, 2 for arguments that make no sense."""
    parser = argparse.ArgumentParser(
        prog="palaestra verify",
        description="Compare an answer with a reference, by the rules of docs/math.md.",
        epilog="An argument that begins with a minus sign follows two dashes: palaestra verify -- -3 -3.0",
    )
    parser.add_argument("reference", help="the expected answer, e.g. '\\frac{1}{2}'")
    parser.add_argument("answer", help="the answer to judge, e.g. '0.5'")
    parser.add_argument("--tolerance", type=float, help="share of the reference that a number may be off (0.04: 4 %%)")
    parser.add_argument("--absolute", type=float, help="amount that a number may be off")
    try:
        given = parser.parse_args(argv)
    except SystemExit as stop:  # argparse has printed its sentence
        return int(stop.code or 0)
    try:
        found = explain(given.reference, given.answer, tolerance=given.tolerance, absolute=given.absolute)
    except ValueError as failure:
        say(f"palaestra verify: {failure}")
        return 2
    reason = f": {found.verdict.reason}" if found.verdict.reason else ""
    say(f"verdict    {found.verdict.status}{reason}")
    say(f"reference  {found.reference}")
    say(f"answer     {found.answer}")
    print(f"decided by {found.stage}")
    return 0 if found.verdict.correct else 1
