"""Curves: each number of each step, three axes, intervals over problems."""

import json
import math

import palaestra as pal
from palaestra.trainer.evaluation.records import make_record
from palaestra.trainer.pages.rows import Table
from palaestra.trainer.pages.series import Series, measure_bands, round_digits, trace
from palaestra.trainer.runs.metrics import measure_criteria

from ..support.run_folders import make_evaluation, make_row, make_run, make_step, write_lines


def test_lines_and_axes():
    rows = [make_row(1, 1, sample, passed=sample == 0) for sample in range(4)]
    metrics = [make_evaluation(0, 0.2), make_step(1, rows), make_step(2, rows, entropy=None)]
    series = trace(metrics)
    assert series.axes["step"] == [1, 2]
    assert series.axes["tokens"] == [168 / 1e6, 2 * 168 / 1e6]
    assert [round(hours * 3600, 2) for hours in series.axes["hours"]] == [3.5, 6.5]
    assert series.lines["reward"] == [0.25, 0.25]
    assert series.lines["entropy"] == [0.5, None]
    assert series.lines["criteria/answer_tag/mean"] == [1.0, 1.0]
    assert not any(name.startswith("prompts/") for name in series.lines)


def test_bands_hold_their_curve_and_are_no_point_where_all_agree(tmp_path):
    run = make_run(tmp_path / "run", steps=6)
    table = Table()
    table.add_file(run / "rollouts.jsonl", 0)
    table.read_new()
    series = trace([make_step(step, [make_row(step, 1, 0, passed=True)]) for step in range(1, 7)])
    bands = measure_bands(series, table, 0)
    assert bands.keys() == {"reward", "pass_rate", "criteria/number/mean", "criteria/answer_tag/mean"}
    tag = bands["criteria/answer_tag/mean"]
    assert all(high == 1.0 and low < 0.7 for low, high in zip(tag.low, tag.high, strict=True))


def short(completions: list[str], **_: object) -> list[float]:
    return [-len(completion) / 10 for completion in completions]


def rose(completions: list[str], kind: list[str], **_: object) -> list[float | None]:
    return [
        float("rose" in completion) if each == "poem" else None
        for completion, each in zip(completions, kind, strict=True)
    ]


def test_a_curve_and_its_band_are_of_what_enters_the_reward(tmp_path):
    """Numbers below 0, and a criterion that does not apply to every problem."""
    rubric = pal.Rubric(
        pal.criteria.number(), pal.criteria.function(short, low=-10), pal.criteria.function(rose, low=0.0)
    )
    rows, scores = [], []
    for n in range(12):
        problem = pal.Problem(f"p{n}", "4", id=f"t/train/{n}", metadata={"kind": "sum" if n % 3 else "poem"})
        completion = pal.Completion("<answer>4</answer>" + "x" * n)
        scores.append(rubric.score(completion, problem))
        rows.append(make_record(problem, completion, scores[-1], step=1, sample=0))
    measured = measure_criteria(scores)
    assert math.isclose(measured["rose"].pop("weight"), 1 / 3)
    assert measured["rose"] == {"mean": 0.0, "std": 0.0, "statuses": {"not_applicable": 8, "wrong": 4}}
    assert "mean" not in measure_criteria(scores[1:3])["rose"]
    lines = {f"criteria/{name}/mean": [found["mean"]] for name, found in measured.items()}
    write_lines(tmp_path / "rollouts.jsonl", [json.loads(json.dumps(row, default=str)) for row in rows])
    table = Table()
    table.add_file(tmp_path / "rollouts.jsonl", 0)
    table.read_new()
    assert table.columns["value rose"].count(None) == 8
    bands = measure_bands(Series({"step": [1.0], "tokens": [0.0], "hours": [0.0]}, lines), table, 0)
    for name in lines:
        assert bands[name].low[0] <= lines[name][0] <= bands[name].high[0], name
    assert bands["criteria/short/mean"].high[0] < 0


def test_numbers_that_are_none_and_those_that_are_long():
    assert round_digits(math.nan) is None
    assert round_digits(math.inf) is None
    assert round_digits(None) is None
    assert round_digits(0.123456789) == 0.12346
