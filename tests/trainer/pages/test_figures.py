"""Figures for papers: PNG and SVG, the same bytes every time."""

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.pages.figures import Look, choose_measures, draw_figures, list_measures
from palaestra.trainer.pages.gather import gather

from ..support.run_folders import make_run


def test_both_formats_of_two_runs(tmp_path):
    page = gather([make_run(tmp_path / "one"), make_run(tmp_path / "two")])
    measures = choose_measures(page, [])
    assert measures == ["held-out", "reward", "tokens", "entropy"]
    written = draw_figures(page, measures, tmp_path / "out" / "fig", Look())
    assert [path.name for path in written] == ["fig.png", "fig.svg"]
    assert written[0].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    svg = written[1].read_text()
    for text in ("held-out pass@1, sampled", "reward of rollouts", ">one<", ">two<"):
        assert text in svg
    again = draw_figures(page, measures, tmp_path / "again" / "fig", Look())
    assert again[1].read_bytes() == written[1].read_bytes()


@pytest.mark.parametrize("axis", ["tokens", "hours"])
def test_one_measure_over_another_axis(tmp_path, axis):
    page = gather([make_run(tmp_path / "one")])
    written = draw_figures(page, ["criteria/number/mean"], tmp_path / "fig", Look(axis=axis))
    assert axis in written[1].read_text()


def test_a_measure_that_no_run_has(tmp_path):
    page = gather([make_run(tmp_path / "one")])
    assert "seconds/sample" in list_measures(page)
    with pytest.raises(UserError, match="Did you mean entropy"):
        choose_measures(page, ["entropi"])
