"""`palaestra plot RUN [RUN ...]`: curves as PNG and SVG."""

from __future__ import annotations

from pathlib import Path

from ...tasks.core.errors import UserError
from ..config.arguments import SentenceParser
from ..storage.names import PLOT
from ..terminal import say


def main(argv: list[str]) -> int:
    """Write both files."""
    parser = SentenceParser(
        prog="palaestra plot",
        usage="palaestra plot RUN [RUN ...] [options]",
        description="Draw curves of runs beside each other for a paper, with 95 % intervals over problems.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument(
        "--measure",
        action="append",
        default=[],
        help="what to draw, once for each panel; --list lists what there is (default: held-out, reward, "
        "tokens, entropy)",
    )
    parser.add_argument("--over", default="step", help="step, tokens or hours (default: step)")
    parser.add_argument(
        "--out", type=Path, help="the files without their endings (default: plot in the first RUN)"
    )
    parser.add_argument(
        "--width", type=float, default=6.75, help="of the figure, 1 to 40 inches (default: 6.75)"
    )
    parser.add_argument(
        "--dpi", type=int, default=200, help="of the PNG, 30 to 1200 dots per inch (default: 200)"
    )
    parser.add_argument("--list", action="store_true", help="list what can be drawn, and draw nothing")
    options = parser.parse_args(argv)
    from ..pages.figures import AXES, Look, choose_measures, draw_figures, list_measures

    if options.over not in AXES:
        raise UserError(f"--over {options.over}: give {', '.join(AXES)}.")
    for flag, value, low, high in (("--width", options.width, 1, 40), ("--dpi", options.dpi, 30, 1200)):
        if not low <= value <= high:
            raise UserError(f"{flag} {value:g}: give {low} to {high}.")
    from ..pages.gather import gather

    page = gather(options.runs)
    if options.list:
        say("\n".join(list_measures(page)))
        return 0
    measures = choose_measures(page, options.measure)
    if not measures:
        raise UserError(f"{options.runs[0]} has taken no step yet: there is nothing to draw.")
    stem = options.out or options.runs[0] / PLOT
    written = draw_figures(page, measures, stem, Look(options.width, options.dpi, options.over))
    say(f"The figures: {', '.join(map(str, written))}")
    return 0
