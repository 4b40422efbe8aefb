"""The page as one HTML file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from .chunks import Packed, pack
from .gather import Page

BUDGET_MB = 5.0
STYLES = ("uPlot.min.css", "page.css")
SCRIPTS = (
    "uPlot.iife.min.js", "text.js", "turns.js", "data.js", "charts.js", "heat.js", "filters.js", "browser.js",
    "parts.js", "page.js",
)  # fmt: skip
SPARE = 1.02  # of what is not completions: the template's own tags


def write_page(page: Page, path: Path, budget_mb: float = BUDGET_MB) -> Packed:
    """Write the page into a file of at most so many MB, where all but the completions fits into that.

    Gives back what of the completions is in it.
    """
    head = page.to_head()
    frame = len(fill_template(head, None))
    packed = pack(page, max(0, int(budget_mb * 1e6 - SPARE * frame)))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(fill_template(head, packed, total=len(page.table)), encoding="utf-8")
    partial.replace(path)
    return packed


def describe_rows(packed: Packed | None, total: int, mode: str) -> dict[str, Any]:
    """What the page has to know of its completions. total: how many there are.  mode: `file`; `serve` or
    `live` for a page from a server."""
    return {
        "mode": mode,
        "total": total,
        "held": len(packed.rows) if packed else total,
        "with_tokens": packed.with_tokens if packed else 0,
        "chunks": len(packed.chunks) if packed else 0,
    }


def fill_template(
    head: Mapping[str, Any], packed: Packed | None, *, total: int = 0, mode: str = "file"
) -> str:
    """The page's text. packed: the completions that it holds; None for a page that asks a server for them.

    total: completions in all.  mode: `file`; `serve` or `live` for a page from a server.
    """
    styles = "\n".join(read_asset(name) for name in STYLES)
    scripts = "\n".join(read_asset(name) for name in SCRIPTS)
    blocks = [data_block("head", embed({**head, "rows": describe_rows(packed, total, mode)}))]
    if packed:
        blocks.append(data_block("columns", packed.columns))
        blocks += [data_block(f"chunk-{place}", chunk) for place, chunk in enumerate(packed.chunks)]
    connect = "'self'" if mode != "file" else "'none'"
    policy = (
        f"default-src 'none'; script-src '{hash_inline(scripts)}'; style-src '{hash_inline(styles)}'; "
        f"connect-src {connect}; img-src data:; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'"
    )
    parts = {
        "POLICY": policy,
        "STYLES": styles,
        "SCRIPTS": scripts,
        "DATA": "\n".join(blocks),
        "ICON": make_icon(),
    }
    text = read_asset("page.html")
    pieces = text.split("@@")  # never replace in what was put in: a completion may hold a placeholder
    return "".join(parts[piece] if place % 2 else piece for place, piece in enumerate(pieces))


def embed(values: Any) -> str:
    """JSON that stands in a script element: nothing in it ends the element or begins a comment."""
    text = json.dumps(values, separators=(",", ":"), allow_nan=False, default=str)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def data_block(name: str, text: str) -> str:
    """Text for the page's script to read, which a browser does not run."""
    return f'<script type="text/plain" id="{name}">{text}</script>'


def hash_inline(text: str) -> str:
    """As a Content-Security-Policy names a script or a style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def make_icon() -> str:
    """A small picture for the browser's tab: without one, it asks a server for it."""
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" '
        'fill="#2563eb"/><path d="M2 12 6 8l3 2 5-7" fill="none" stroke="#fff" stroke-width="2"/></svg>'
    )
    return f"data:image/svg+xml;base64,{base64.b64encode(drawing.encode()).decode()}"


def read_asset(name: str) -> str:
    """A file of the page's own."""
    return (files("palaestra.trainer.pages") / "static" / name).read_text(encoding="utf-8")
