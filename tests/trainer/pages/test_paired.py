"""The questions of a page are answered by pairs of the same problems, where a run kept its completions."""

import json

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.evaluation.compare import compare_two
from palaestra.trainer.pages.gather import gather, refresh
from palaestra.trainer.pages.paired import Paired, pair_runs, pair_steps

from ..support.run_folders import make_estimate, make_row, make_run, write, write_lines

PROBLEMS = 40


def keep_held_out(run, step, passed, **facts):
    """A held-out evaluation's folder: problem number n passes where `passed(n)` says so."""
    folder = run / "held_out" / f"step-{step:06d}"
    folder.mkdir(parents=True)
    rows = [make_row(step, number, 0, passed=passed(number)) for number in range(PROBLEMS)]
    write_lines(folder / "completions.jsonl", rows)
    reward = {"value": 0.5, "low": 0.3, "high": 0.7, "problems": PROBLEMS}
    summary = {"pass_at": {"1": make_estimate(0.5, PROBLEMS)}, "reward_interval": reward, "tokens": 20.0,
               "problems": PROBLEMS, "samples": 1, "extracted": 1.0, "truncated": 0.0, "abstained": 0.0,
               "too_long": 0}  # fmt: skip
    write(folder / "summary.json", summary)
    write(folder / "facts.json", {"command": "held-out", "step": step, "identity": {}, **facts})
    return folder


@pytest.fixture
def run(tmp_path):
    """Its summaries say nothing of a change; problem by problem, 8 of 40 were won."""
    folder = make_run(tmp_path / "run", learns=False)
    keep_held_out(folder, 0, lambda number: number < 8)
    keep_held_out(folder, 20, lambda number: number < 16)
    return folder


def test_whether_it_learned_is_told_by_pairs(run):
    found = pair_steps(run, 0, 20)
    assert found.difference.value == pytest.approx(0.2)
    assert found.difference.low > 0
    assert "8 with a higher rate, 0 with a lower one (exact p 0.008)" in found.said
    answer = gather([run]).to_head()["runs"][0]["answers"][0]
    assert answer["verdict"] == "yes"
    assert answer["headline"].startswith("Yes: paired by problem, held-out pass@1 +20.0 points")
    assert found.said in answer["details"]


def test_whether_one_is_better_is_told_by_pairs(run, tmp_path):
    other = make_run(tmp_path / "other", learns=False)
    keep_held_out(other, 20, lambda number: number < 4)
    [answer] = gather([run, other]).to_head()["answers"]
    assert answer["headline"].startswith("No, worse: paired by problem, held-out pass@1 at the end -30.0")
    assert pair_runs(run, other).difference.high < 0


def test_without_completions_the_summaries_answer(tmp_path):
    run = make_run(tmp_path / "run")
    assert pair_steps(run, 0, 20) == pair_runs(run, run) == Paired()
    answer = gather([run]).to_head()["runs"][0]["answers"][0]
    assert answer["headline"].startswith("Yes: held-out pass@1 +60.0")


def test_damaged_completions_are_said_and_the_summaries_answer(run):
    path = run / "held_out" / "step-000020" / "completions.jsonl"
    path.write_text("[]\n" + path.read_text())
    answer = gather([run]).to_head()["runs"][0]["answers"][0]
    assert answer["headline"].startswith("Can't tell: held-out pass@1 +0.0")
    assert any("line 1 is damaged: it is no JSON object" in detail for detail in answer["details"])


def test_other_problems_are_not_compared(run, tmp_path):
    other = make_run(tmp_path / "other", learns=False)
    folder = keep_held_out(other, 20, lambda number: number < 4)
    rows = [json.loads(line) for line in (folder / "completions.jsonl").read_text().splitlines()]
    write_lines(folder / "completions.jsonl", [{**row, "id": f"new/{row['id']}"} for row in rows])
    [answer] = gather([run, other]).to_head()["answers"]
    assert answer["verdict"] == "unsure"
    assert "no problem in common" in answer["headline"]


def test_what_is_written_anew_is_read_anew(run):
    assert pair_steps(run, 0, 20).difference.value == pytest.approx(0.2)
    folder = run / "held_out" / "step-000020"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    keep_held_out(run, 20, lambda number: number < 12)
    assert pair_steps(run, 0, 20).difference.value == pytest.approx(0.1)


def test_what_was_set_against_each_other_is_not_compared_again(run, monkeypatch):
    compared = []

    def compare_and_count(*measured, **more):
        compared.append(measured)
        return compare_two(*measured, **more)

    monkeypatch.setattr("palaestra.trainer.pages.paired.compare_two", compare_and_count)
    first = gather([run])
    assert first.to_head()["runs"] == refresh(first).to_head()["runs"]
    assert len(compared) == 1


def test_a_held_out_evaluation_is_a_page_of_its_own(run):
    head = gather([run / "held_out" / "step-000020"]).to_head()
    assert head["kind"] == "evaluation"
    assert "pass@1 is 50.0 %" in head["runs"][0]["answers"][0]["headline"]
    assert head["runs"][0]["repeat"] == ""


def test_a_folder_of_arms_stands_for_its_runs(tmp_path):
    arms = tmp_path / "arms"
    arms.mkdir()
    write(arms / "arms.json", {"command": "arms", "arms": {"base": {}, "coin": {}, "later": {}}})
    with pytest.raises(UserError, match=r"No arm of .* has begun"):
        gather([arms])
    make_run(arms / "base")
    make_run(arms / "coin", learns=False)
    head = gather([arms]).to_head()
    assert [run["name"] for run in head["runs"]] == ["base", "coin"]
    assert [answer["question"] for answer in head["answers"]] == ["Is coin better than base?"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.json", {"rollouts": 3}, "'rollouts' is no table"),
        ("config.json", {"steps": "many"}, "'steps' is no whole number"),
    ],
)
def test_files_of_another_shape_are_sentences(run, name, content, says):
    write(run / name, content)
    with pytest.raises(UserError, match=f"{name} is damaged: {says}"):
        gather([run])


@pytest.mark.parametrize(
    "line",
    [
        {"kind": "step", "step": "five"},
        {"kind": "step", "step": 5, "reward": "x"},
        {"kind": "step", "step": 5, "seconds": {"sample": [1]}},
        {"kind": "evaluation", "step": 5, "sampled": {"pass_at": {"1": {"value": "x"}}}},
        {"kind": "evaluation", "step": 5, "greedy": 3},
        {"step": 5},
    ],
)
def test_a_line_of_metrics_of_other_types_is_left_out_and_named(run, line):
    path = run / "metrics.jsonl"
    path.write_text(json.dumps(line) + "\n" + path.read_text())
    [shown] = gather([run]).to_head()["runs"]
    assert shown["damaged"] == ["metrics.jsonl, line 1"]
    assert len(shown["axes"]["step"]) == 20


def test_held_out_completions_are_among_the_others_and_in_no_number_of_training(run):
    page = gather([run])
    assert len(page.table) == 20 * 8 + 2 * PROBLEMS
    assert sum(page.table.columns["held_out"]) == 2 * PROBLEMS
    bare = make_run(run.parent / "bare", learns=False)
    shown, plain = (gather([folder]).to_head()["runs"][0] for folder in (run, bare))
    assert shown["bands"] == plain["bands"]
    assert shown["heat"] == plain["heat"]
    keep_held_out(run, 40, lambda number: number < 20)
    later = refresh(page)
    assert len(later.table) == 20 * 8 + 3 * PROBLEMS
    assert len(refresh(later).table) == len(later.table)
