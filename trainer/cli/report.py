"""`palaestra report RUN [RUN ...]`: a run, an evaluation or a comparison as one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...tasks.core.errors import UserError
from ..config.arguments import SentenceParser
from ..storage.names import REPORT
from ..terminal import say

if TYPE_CHECKING:
    from ..pages.gather import Page

LARGEST_PORT = 65535
SHOWN_LINES = 5
ENDINGS = (".html", ".htm")


def main(argv: list[str]) -> int:
    """Write the page into a file, or serve it until Ctrl-C."""
    parser = SentenceParser(
        prog="palaestra report",
        usage="palaestra report RUN [RUN ...] [options]",
        description="Write runs beside each other, an evaluation or a comparison as one HTML file that "
        "needs no network: curves, problems by step, every completion with its verdicts.",
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="RUN", help="folder of a run, evaluation, comparison"
    )
    parser.add_argument("--out", type=Path, help=f"the file (default: {REPORT} in the first folder)")
    parser.add_argument(
        "--max-mb",
        type=float,
        default=5.0,
        help="size of the file, 0.5 to 500 MB; what does not fit is left out and said (default: 5)",
    )
    parser.add_argument(
        "--serve",
        action="store_true",
        help="serve the page on this machine in place of a file: every completion, however many",
    )
    parser.add_argument(
        "--live", action="store_true", help="serve it, and show what the run writes as it goes on"
    )
    parser.add_argument(
        "--port", type=int, default=0, help="of --serve and --live, 0 takes a free one (default: 0)"
    )
    options = parser.parse_args(argv)
    if not 0.5 <= options.max_mb <= 500:
        raise UserError(f"--max-mb {options.max_mb:g}: give 0.5 to 500.")
    if not 0 <= options.port <= LARGEST_PORT:
        raise UserError(f"--port {options.port}: give 0 to {LARGEST_PORT}.")
    check_out(options.out)
    from ..pages.gather import gather

    page = gather(options.folders)
    if options.serve or options.live:
        return serve(page, live=options.live, port=options.port)
    from ..pages.write import write_page

    first = options.folders[0]
    out = options.out or (first if first.is_dir() else first.parent) / REPORT
    packed = write_page(page, out, options.max_mb)
    left = len(page.table) - len(packed.rows)
    if left:
        say(
            f"{left:,} of {len(page.table):,} completions did not fit into {options.max_mb:g} MB; give a "
            "larger --max-mb, or --serve for all."
        )
    say_damaged(page)
    say(f"The report: {out}  ({out.stat().st_size / 1e6:.1f} MB; open it in a browser)")
    return 0


def say_damaged(page: Page) -> None:
    """Which lines of completions the page leaves out."""
    for file in page.table.files:
        if file.damaged:
            more = ", ..." if len(file.damaged) > SHOWN_LINES else ""
            say(
                f"{len(file.damaged):,} line(s) of {file.path} hold no completion, or one that is there "
                f"already, and are left out: {', '.join(map(str, file.damaged[:SHOWN_LINES]))}{more}."
            )


def check_out(out: Path | None) -> None:
    """Raises UserError for what a page must not be written over: a folder, a file of another kind."""
    if out is None:
        return
    if out.is_dir():
        raise UserError(f"--out {out} is a folder. Give the name of a file, as {out / REPORT}.")
    if out.suffix.lower() not in ENDINGS:
        raise UserError(f"--out {out}: a page ends with .html. Give a name like {out.with_suffix('.html')}.")


def serve(page: Page, *, live: bool, port: int) -> int:
    """Until Ctrl-C."""
    from ..pages.serve import PageServer

    with PageServer(page, live=live, port=port) as server:
        try:
            say(f"{'Live, ' if live else ''}on this machine alone: {server.url}    (Ctrl-C ends it)")
            server.serve_forever()
        except KeyboardInterrupt:
            say("Ended.")
    return 0
