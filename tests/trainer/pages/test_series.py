"""Curves: each number of each step, three axes, intervals over problems."""

import math

from palaestra.trainer.pages.rows import Table
from palaestra.trainer.pages.series import measure_bands, round_digits, trace

from ..support.run_folders import make_evaluation, make_row, make_run, make_step


def test_lines_and_axes():
    rows = [make_row(1, 1, sample, passed=sample == 0) for sample in range(4)]
    metrics = [make_evaluation(0, 0.2), make_step(1, rows), make_step(2, rows, entropy=None)]
    series = trace(metrics, completions_per_group=4)
    assert series.axes["step"] == [1, 2]
    assert series.axes["tokens"] == [21.0 * 8 / 1e6, 2 * 21.0 * 8 / 1e6]
    assert [round(hours * 3600, 2) for hours in series.axes["hours"]] == [3.5, 6.5]
    assert series.lines["reward"] == [0.25, 0.25]
    assert series.lines["entropy"] == [0.5, None]
    assert series.lines["criteria/answer_tag/mean"] == [1.0, 1.0]
    assert not any(name.startswith("prompts/") for name in series.lines)


def test_bands_hold_their_curve_and_are_no_point_where_all_agree(tmp_path):
    run = make_run(tmp_path / "run", steps=6)
    table = Table()
    table.add_file(run / "rollouts.jsonl", 0)
    series = trace([make_step(step, [make_row(step, 1, 0, passed=True)]) for step in range(1, 7)], 4)
    bands = measure_bands(series, table, 0)
    assert bands.keys() == {"reward", "pass_rate", "criteria/number/mean", "criteria/answer_tag/mean"}
    tag = bands["criteria/answer_tag/mean"]
    assert all(high == 1.0 and low < 0.7 for low, high in zip(tag.low, tag.high, strict=True))


def test_numbers_that_are_none_and_those_that_are_long():
    assert round_digits(math.nan) is None
    assert round_digits(math.inf) is None
    assert round_digits(None) is None
    assert round_digits(0.123456789) == 0.12346
