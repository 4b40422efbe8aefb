"""Pictures are drawn without a trace: a notebook's own plots go on as before."""

import subprocess
import sys
from pathlib import Path

DRAW = """
import sys
from pathlib import Path
import matplotlib
matplotlib.use("svg")  # as somebody has chosen
from palaestra.trainer.reports.curves import write_fit_png, write_png
folder = Path(sys.argv[1])
step = {"step": 1, "reward": 0.5, "tokens": 4.0, "loss": 1.0, "learning_rate": 0.1}
write_png(folder / "curves.png", [step, {**step, "step": 2}], [], "a run")
write_fit_png(folder / "fit.png", [step, {**step, "step": 2}], {0: 1.0, 2: 0.5}, "a fit")
print(matplotlib.get_backend(), "matplotlib.pyplot" in sys.modules)
"""


def test_the_backend_that_somebody_has_chosen_is_left(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["svg", "False"]
    for name in ("curves.png", "fit.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
