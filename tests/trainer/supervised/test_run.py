"""What a fit's outcome looks like to a person, and its rows."""

from pathlib import Path

from palaestra.trainer.supervised.run import FitOutcome


def test_a_fit_shows_itself(tmp_path: Path):
    folder = tmp_path
    (folder / "metrics.jsonl").write_text('{"kind": "step", "step": 1}\n{"kind": "step", "step": 2}\n')
    fit = FitOutcome(folder, folder / "model", {"loss": 2.0}, {"loss": 1.5}, 2)
    assert repr(fit) == f"FitOutcome({str(folder)!r}, 2 steps, loss 1.500)"
    assert str(fit).splitlines()[1] == "held-out loss: 2.000 before, 1.500 after"
    assert "held-out loss" in fit._repr_html_()
    assert len(fit.metrics()) == 2
    stopped = FitOutcome(folder, folder / "model", {"loss": 2.0}, None, 1)
    assert repr(stopped) == f"FitOutcome({str(folder)!r}, 1 steps, interrupted, loss 2.000)"
