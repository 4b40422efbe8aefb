"""The notebook of the examples runs from its first cell to its last, and is kept without what it printed."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "examples" / "first_hour.ipynb"
SMALLER = {"steps=90": "steps=4", "steps=60": "steps=2, force=True", '"problems": 100': '"problems": 8'}
PATIENCE_S = 1200  # for a cell, on a machine that has other things to do


def read() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def execute(notebook: nbformat.NotebookNode, folder: Path) -> str:
    """Run every cell in a fresh kernel; what the cells printed, in their order."""
    client = NotebookClient(
        notebook, timeout=PATIENCE_S, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    return "".join(output.get("text", "") for output in outputs if output.get("name") == "stdout")


def test_it_is_kept_without_outputs():
    cells = [cell for cell in read().cells if cell.cell_type == "code"]
    assert len(cells) >= 10
    assert not [cell.source for cell in cells if cell.outputs or cell.execution_count is not None]


def test_every_cell_runs(tmp_path: Path):
    notebook = read()
    found = dict.fromkeys(SMALLER, 0)
    for cell in notebook.cells:
        for name, smaller in SMALLER.items():
            found[name] += cell.source.count(name)
            cell.source = cell.source.replace(name, smaller)
    assert all(found.values()), found
    said = execute(notebook, tmp_path)
    assert "gained" in said
    assert (tmp_path / "runs" / "first-hour" / "grpo" / "model" / "config.json").exists()
    pictures = [o for c in notebook.cells for o in c.get("outputs", ()) if "image/png" in o.get("data", {})]
    assert len(pictures) == 1, "the plot is drawn in its place"


@pytest.mark.slow
def test_as_it_stands_the_model_learns(tmp_path: Path):
    said = execute(read(), tmp_path)
    gain = next(line for line in said.splitlines() if line.startswith("gained"))
    low = float(gain.partition("[")[2].partition(",")[0])
    assert low > 5, gain
