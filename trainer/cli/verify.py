"""`palaestra verify "REFERENCE" "ANSWER"`: is the answer equal to the reference, what was read,
and who decided."""

from __future__ import annotations

from ...tasks.core.errors import UserError
from ..config.arguments import SentenceParser, read_as
from ..config.settings import Amount
from ..terminal import say


def main(argv: list[str]) -> int:
    """Exit status: 0 correct, 1 not correct, 2 for arguments that make no sense."""
    parser = SentenceParser(
        prog="palaestra verify",
        description="Compare an answer with a reference, by the rules of docs/math.md.",
        epilog="An argument that begins with a minus sign follows two dashes: palaestra verify -- -3 -3.0",
    )
    parser.add_argument("reference", help="the expected answer, e.g. '\\frac{1}{2}'")
    parser.add_argument("answer", help="the answer to judge, e.g. '0.5'")
    parser.add_argument(
        "--tolerance",
        type=read_as(Amount),
        help="share of the reference that a number may be off (0.04: 4 %%)",
    )
    parser.add_argument("--absolute", type=read_as(Amount), help="amount that a number may be off")
    arguments = parser.parse_args(argv)
    from ...verifiers.math import explain  # sympy is slow to import

    try:
        explanation = explain(
            arguments.reference, arguments.answer, tolerance=arguments.tolerance, absolute=arguments.absolute
        )
    except ValueError as failure:
        raise UserError(str(failure)) from failure
    reason = f": {explanation.verdict.reason}" if explanation.verdict.reason else ""
    say(f"verdict    {explanation.verdict.status}{reason}")
    say(f"reference  {explanation.reference}")
    say(f"answer     {explanation.answer}")
    print(f"decided by {explanation.stage}")
    return 0 if explanation.verdict.correct else 1
