"""Reading and deciding: deciding knows no text, so it imports nothing of reading,
at the top of a file or in a function."""

import ast
from pathlib import Path

import palaestra.verifiers.math as math

FOLDER = Path(math.__file__).parent


def imported(path: Path) -> list[str]:
    """The modules that a file imports relatively, as it writes them."""
    return [
        f"{'.' * node.level}{node.module or ''} {alias.name}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    ]


def test_deciding_imports_nothing_of_reading():
    seen = {path.name: imported(path) for path in (FOLDER / "deciding").glob("*.py")}
    assert len(seen) > 20
    assert {name: lines for name, lines in seen.items() if any("reading" in line for line in lines)} == {}


def test_values_and_walks_over_them_need_neither_half():
    for name in ("values", "traversal", "units", "types"):
        assert not [
            line for line in imported(FOLDER / f"{name}.py") if "reading" in line or "deciding" in line
        ]


def test_the_search_finds_what_it_looks_for():
    assert any("deciding" in line for line in imported(FOLDER / "reading" / "read.py"))
