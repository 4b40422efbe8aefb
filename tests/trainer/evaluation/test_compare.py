"""Evaluations side by side: paired by problem, refused where they are not of one kind."""

import json
import subprocess
import sys

import numpy as np
import palaestra as pal
import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer import intervals
from palaestra.trainer.cli.main import main
from palaestra.trainer.evaluation.compare import compare_measured, read_all
from palaestra.trainer.evaluation.comparison import show_p
from palaestra.trainer.evaluation.measured import read_measured
from palaestra.trainer.intervals import tango

from ..support.mcnemar import mcnemar
from ..support.measured import write_evaluation


@pytest.fixture
def folders(tmp_path):
    """Two evaluations of 40 problems: the second one solves ten more and loses two."""
    first = {f"t/{n}": [n % 2 == 0] for n in range(40)}
    second = {f"t/{n}": [(n % 2 == 0 and n > 3) or n in range(1, 20, 2)] for n in reversed(range(40))}
    return write_evaluation(tmp_path / "a", first), write_evaluation(tmp_path / "b", second)


def compare(*folders, **options):
    return compare_measured(read_all([str(folder) for folder in folders]), **options)


def test_the_difference_is_of_each_problem(folders):
    found = compare(*folders).pairs[0].at(1)
    assert (found.difference.value, found.difference.problems) == (0.2, 40)
    assert (found.difference.wins, found.difference.losses) == (10, 2)
    assert (found.difference.low, found.difference.high) == tango(10, 2, 40)
    assert (found.rates.first, found.rates.second) == (0.5, 0.7)
    assert found.p_value == mcnemar(10, 2)
    assert found.mcnemar
    back = compare(*reversed(folders)).pairs[0].at(1)
    assert (back.difference.value, back.p_value) == (-0.2, found.p_value)


def test_problems_that_flipped_have_both_completions(folders, tmp_path, capsys):
    flips = compare(*folders).pairs[0].flips
    assert [flip.gained for flip in flips].count(True) == 10
    lost = {flip.problem: flip for flip in flips if not flip.gained}
    assert sorted(lost) == ["t/0", "t/2"]
    assert lost["t/0"].first.text == "t/0 sample 0 correct"
    assert lost["t/0"].second.text == "t/0 sample 0 wrong"
    assert main(["compare", *map(str, folders), "--out", str(tmp_path / "c")]) == 0
    said = capsys.readouterr().out
    assert "b against a: better, +20.0 points" in said
    assert "10 problem(s) gained" in said
    assert said.count("(0% -> 100%)") == 3  # of ten, a few are shown
    rows = [json.loads(line) for line in (tmp_path / "c" / "flips.jsonl").read_text().splitlines()]
    assert len(rows) == 12
    assert {row["second"]["text"][-7:] for row in rows if row["gained"]} == {"correct"}
    record = json.loads((tmp_path / "c" / "comparison.json").read_text())
    assert record["pairs"][0]["estimates"][0]["difference"]["value"] == 0.2


def test_json_is_the_record(folders, tmp_path, capsys):
    assert main(["compare", *map(str, folders), "--out", str(tmp_path / "c"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads((tmp_path / "c" / "comparison.json").read_text())
    assert (said["pairs"][0]["first"], said["pairs"][0]["second"]) == ("a", "b")


def test_pass_at_k_is_paired_too(tmp_path):
    rng = np.random.default_rng(0)
    sides = [
        {f"t/{n}": (rng.random(8) < chance).tolist() for n, chance in enumerate(np.linspace(0, shift, 60))}
        for shift in (0.4, 0.8)
    ]
    names = [write_evaluation(tmp_path / str(n), side) for n, side in enumerate(sides)]
    pair = compare(*names).pairs[0]
    assert [each.k for each in pair.estimates] == [1, 2, 4, 8]
    assert not pair.at(2).mcnemar
    most = [np.mean([any(found) for found in side.values()]) for side in sides]
    assert pair.at(8).rates.first == pytest.approx(most[0])
    assert pair.at(8).difference.value == pytest.approx(most[1] - most[0])
    assert pair.at(4).difference.low > 0
    assert pair.at(4).p_value < 0.01
    assert [each.k for each in compare(*names, ks=[3]).pairs[0].estimates] == [1, 3]
    with pytest.raises(UserError, match="k from 1 to 8"):
        compare(*names, ks=[9])


def test_what_only_one_has_scored_is_left_out_and_counted(tmp_path):
    first = {"t/0": [True, None], "t/1": [False, False], "t/2": [None, None], "t/3": [True, True]}
    second = {"t/0": [True, False], "t/1": [True, False], "t/2": [True, True], "t/4": [True, True]}
    names = [write_evaluation(tmp_path / n, side) for n, side in (("a", first), ("b", second))]
    found = compare(*names).difference
    assert (found.problems, found.excluded) == (2, 3)
    assert (found.value, found.wins, found.losses) == (0.0, 1, 1)


def test_an_evaluation_against_itself_says_so(folders):
    assert compare(folders[0], folders[0]).pairs[0].notes == [
        "both are the same evaluation, so nothing can differ"
    ]
    assert not any("same evaluation" in note for note in compare(*folders).pairs[0].notes)


def test_several_are_corrected_together(tmp_path):
    base = {f"t/{n}": [n < 10] for n in range(40)}
    others = [{f"t/{n}": [n < more] for n in range(40)} for more in (17, 18, 11)]
    names = [write_evaluation(tmp_path / str(n), side) for n, side in enumerate([base, *others])]
    found = compare(*names)
    raw = [pair.at(1).p_value for pair in found.pairs]
    assert raw == [mcnemar(7, 0), mcnemar(8, 0), mcnemar(1, 0)]
    assert [pair.at(1).corrected for pair in found.pairs] == [2 * raw[0], 3 * raw[1], 1.0]
    assert len(compare(*names, every=True).pairs) == 6


@pytest.mark.parametrize(
    ("facts", "settings", "others", "kind", "named"),
    [
        ({"task": "u"}, {}, {}, "tasks", "the tasks are t and u"),
        ({"task_source": "b"}, {}, {}, "tasks", "the task's code changed"),
        ({}, {"split": "train"}, {}, "tasks", 'split is "test" in one and "train" in the other'),
        ({"verifiers": "w"}, {}, {}, "verifiers", "the verifiers' code changed"),
        ({"verifiers": "w"}, {"verify": "regex:x"}, {}, "verifiers", '--verify is null in one and "regex:x"'),
        ({}, {"extraction": "lenient"}, {}, "verifiers", "extraction is"),
        ({"reward_models": {"x": "1"}}, {}, {}, "verifiers", "the reward models"),
        ({"prompts": "s"}, {}, {}, "prompts", "another tokenizer, for example"),
        ({"prompts": "s"}, {"system": "Hi"}, {}, "prompts", 'system is "" and "Hi"'),
        ({"prompts": "s"}, {}, {"prompt_date": "2026-01-02"}, "prompts", "rendered on 2026-01-01 and"),
        ({"prompts": "s"}, {}, {"chat_template": "{{x}}"}, "prompts", "the chat templates differ"),
    ],
)
def test_what_is_not_of_one_kind_is_refused_by_name(tmp_path, facts, settings, others, kind, named):
    passed = {f"t/{n}": [True] for n in range(8)}
    names = [
        write_evaluation(tmp_path / "a", passed),
        write_evaluation(tmp_path / "b", passed, facts, settings, **others),
    ]
    with pytest.raises(UserError) as refused:
        compare(*names)
    assert named in str(refused.value)
    assert f"--across {kind}." in str(refused.value)
    allowed = compare(*names, across=[kind]).pairs[0]
    assert any(named in note for note in allowed.notes)
    with pytest.raises(UserError):
        compare(*names, across=[other for other in ("tasks", "prompts", "verifiers") if other != kind])


def test_problems_of_one_name_and_another_text_are_other_problems(tmp_path):
    names = [write_evaluation(tmp_path / name, {"t/0": [True], "t/1": [True]}) for name in "ab"]
    path = names[1] / "completions.jsonl"
    path.write_text(path.read_text().replace('"reference": "1"', '"reference": "2"', 1))
    with pytest.raises(UserError, match=r"1 problem\(s\) have another text or reference in one \(t/0"):
        compare(*names)


def test_with_more_problems_in_one_prompts_are_told_apart_by_their_lengths(tmp_path):
    first = write_evaluation(tmp_path / "a", {f"t/{n}": [True] for n in range(4)}, {"prompts": "of four"})
    second = write_evaluation(tmp_path / "b", {f"t/{n}": [True] for n in range(6)}, {"prompts": "of six"})
    assert compare(first, second).difference.problems == 4
    path = second / "completions.jsonl"
    path.write_text(path.read_text().replace('"prompt_tokens": 5', '"prompt_tokens": 6'))
    with pytest.raises(UserError, match="--across prompts"):
        compare(first, second)


def test_samplers_that_differ_are_told(tmp_path):
    first = write_evaluation(tmp_path / "a", {"t/0": [True]})
    second = write_evaluation(tmp_path / "b", {"t/0": [True]}, settings={"temperature": 0.7})
    assert compare(first, second).pairs[0].notes == ["temperature is 0.0 in a, 0.7 in b"]


def test_what_can_not_be_compared_is_a_sentence(tmp_path, folders):
    other = write_evaluation(tmp_path / "u", {"u/0": [True]})
    with pytest.raises(UserError, match="no problem in common"):
        compare(folders[0], other)
    with pytest.raises(UserError, match="two evaluations or more"):
        compare(folders[0])
    with pytest.raises(UserError, match="give tasks, prompts, verifiers"):
        compare(*folders, across=["models"])
    (other / "summary.json").write_text('{"pass_at": {}}')
    with pytest.raises(UserError, match="no pass-rates"):
        compare(other, other)
    with pytest.raises(UserError, match="There is no folder"):
        compare(tmp_path / "none", other)
    with pytest.raises(UserError, match="It holds evaluations: give"):
        compare(tmp_path, other)


@pytest.mark.parametrize("broken", ["{", "[]", '{"id": "t/0"}', '{"id": "t/0", "verdicts": 3}'])
def test_a_broken_row_is_named(folders, broken):
    path = folders[0] / "completions.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], broken, *lines[1:]]) + "\n")
    with pytest.raises(UserError, match=r"completions\.jsonl.*(line 2|a row)"):
        compare(*folders)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda row: {**row, "reward": float("nan")}, "'reward' is no finite number"),
        (lambda row: {**row, "reward": float("inf")}, "'reward' is no finite number"),
        (lambda row: {**row, "passed": "yes"}, "'passed' is neither true nor false"),
        (lambda row: {**row, "sample": -1}, "'sample' is no whole number"),
        (lambda row: {**row, "id": 17}, "'id' is no text"),
        (lambda row: json.loads("[" * 900 + "]" * 900), "no JSON object"),
    ],
)
def test_a_row_of_other_types_is_named(folders, change, says):
    path = folders[0] / "completions.jsonl"
    lines = path.read_text().splitlines()
    lines[4] = json.dumps(change(json.loads(lines[4])))
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=f"line 5 is damaged: .*{says}"):
        compare(*folders)


@pytest.mark.parametrize(
    "raw", [b"\0\0\0\n", b'{"id": "\xff\xfe"}\n', b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"\n"]
)
def test_a_line_that_no_reader_takes_is_named(folders, raw):
    path = folders[0] / "completions.jsonl"
    path.write_bytes(raw + path.read_bytes())
    with pytest.raises(UserError, match="line 1 is damaged"):
        compare(*folders)


def test_a_row_that_is_there_twice_counts_once_or_not_at_all(folders):
    path = folders[0] / "completions.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[2]]))
    with pytest.raises(UserError, match=f"line {len(lines) + 1} is damaged: its completion is in line 3"):
        compare(*folders)


def test_a_mark_of_byte_order_is_no_damage(folders):
    path = folders[0] / "completions.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert compare(*folders).difference.problems == 40


def test_a_last_row_that_was_cut_off_is_left_out(folders):
    path = folders[0] / "completions.jsonl"
    path.write_text(path.read_text()[:-30])
    assert compare(*folders).difference.problems == 39


def test_a_comparison_never_overwrites_something_else(folders, capsys):
    assert main(["compare", *map(str, folders), "--out", str(folders[0])]) == 2
    assert "holds no comparison" in capsys.readouterr().err


def test_a_run_stands_for_its_evaluations(tmp_path):
    run = tmp_path / "run"
    for step, count in ((0, 2), (5, 8), (10, 6)):
        passed = {f"t/{n}": [n < count] for n in range(10)}
        write_evaluation(run / "held_out" / f"step-{step:06d}", passed)
    assert [each.name for each in read_all([str(run)])] == ["run@0", "run@10"]
    assert compare(run).difference.value == pytest.approx(0.4)
    assert [read_measured(f"{run}@{mark}")[0].name for mark in ("first", "best", "last", "5")] == [
        "run@0", "run@5", "run@10", "run@5",
    ]  # fmt: skip
    with pytest.raises(UserError, match="evaluated at the steps 0, 5, 10"):
        read_measured(f"{run}@7")


def test_comparisons_of_others_of_the_same_names_lie_side_by_side(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [
        [str(write_evaluation(tmp_path / place / name, {"t/0": [True]})) for name in "ab"]
        for place in ("one", "two")
    ]
    for pair in (*names, names[0]):
        assert main(["compare", *pair]) == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["compare-a-b", "compare-a-b-2"]
    record = json.loads((tmp_path / "runs/compare-a-b-2/comparison.json").read_text())
    assert [side["folder"] for side in record["sides"]] == names[1]


def test_two_of_one_name_are_told_apart(tmp_path):
    names = [write_evaluation(tmp_path / run / "e", {"t/0": [True]}) for run in ("a", "b")]
    assert [side.name for side in compare(*names).sides] == ["a/e", "b/e"]


def test_evaluations_in_memory_are_compared(folders):
    from palaestra.trainer.evaluation.evaluate import Evaluation
    from palaestra.trainer.intervals import Estimate, Interval
    from palaestra.trainer.rollouts.group import Group

    def evaluate(passed: list[bool]) -> Evaluation:
        groups = [
            Group(pal.Problem("?", "1", id=f"t/{n}"), [pal.Completion("x")], [pal.Score(float(p), p, {})])
            for n, p in enumerate(passed)
        ]
        return Evaluation(
            pass_at={1: Estimate(0.5, 0.0, 1.0, len(groups))}, reward=0.5,
            reward_interval=Interval(0.5, 0.0, 1.0, len(groups)), learned={}, extracted=1.0, truncated=0.0,
            abstained=0.0, tokens=1.0, problems=len(groups), samples=1, too_long=0, seconds=0.0,
            groups=groups,
        )  # fmt: skip

    found = pal.compare(evaluate([True, False, False]), evaluate([True, True, False]))
    assert (found.difference.value, found.difference.wins) == (pytest.approx(1 / 3), 1)
    assert "not both have a record" in found.pairs[0].notes[0]
    assert pal.compare(*folders).difference.wins == 10


@pytest.mark.parametrize("samples", [1, 4])
def test_the_intervals_cover(samples, monkeypatch, tmp_path):
    """200 problems, each with a chance of its own, a tenth higher in the second evaluation."""
    monkeypatch.setattr(intervals, "DRAWS", 500)
    rng, held, repeats = np.random.default_rng(7), 0, 2000 if samples == 1 else 500
    for _ in range(repeats):
        chances = rng.uniform(0, 0.9, size=200)
        sides = [rng.binomial(samples, chance) / samples for chance in (chances, chances + 0.1)]
        found = intervals.paired_difference(sides[0].tolist(), sides[1].tolist())
        held += found.low <= 0.1 <= found.high
    assert 0.93 <= held / repeats <= 0.98


def test_comparing_brings_no_torch(folders):
    code = (
        "import sys; from palaestra.trainer.evaluation.compare import compare_measured, read_all; "
        f"compare_measured(read_all({[str(folder) for folder in folders]!r})); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("p_value", "shown"), [(1.0, "1.000"), (0.0312, "0.031"), (0.0004, "0.0004"), (1e-9, "<0.0001")]
)
def test_small_p_values_are_shown_as_such(p_value, shown):
    assert show_p(p_value) == shown
