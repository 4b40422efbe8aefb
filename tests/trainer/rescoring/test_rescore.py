"""Judging again: the same rubric agrees to the bit, another one is told apart, the run stays as it was."""

import hashlib
import json
import math
from pathlib import Path
from statistics import stdev

import palaestra as pal
import pytest
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.cli.main import main
from palaestra.trainer.config.objective import AdvantageConfig
from palaestra.trainer.evaluation.measured import read_folder
from palaestra.trainer.objective.advantages import compute_group_advantages
from palaestra.trainer.rescoring.credit import compute_cosine
from palaestra.trainer.rescoring.recorded import open_source
from palaestra.trainer.rescoring.rescore import choose_folder, rescore

from ..support.recorded import write_run
from ..support.runs import say_nothing

RIGHT, BARE, WRONG, NONE = "<answer>{}</answer>", "It is {}", "<answer>0</answer>", "no idea"
STEPS = [
    [[RIGHT, WRONG, NONE, RIGHT], [BARE, RIGHT, WRONG, "<answer>{}</answer> or {}"]],
    [[BARE, BARE, WRONG, "<answer>1{}</answer>"], [NONE, BARE, NONE, NONE]],
]
RUBRICS = """
import os, time
import palaestra as pal

def contains(completion, problem):
    return str(problem.reference) in completion.text

def opposite(completion, problem):
    return 1.0 - float(f"<answer>{problem.reference}</answer>" in completion.text)

def hangs(completion, problem):
    while "idea" in completion.text:
        time.sleep(1)
    return True

def dies(completion, problem):
    if "idea" in completion.text:
        os._exit(1)
    return True

def raises(completion, problem):
    raise RuntimeError("broken")

either = pal.Rubric(contains)
judged = pal.Rubric(pal.criteria.number(), pal.criteria.learned(weight=0.5))
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("rubrics.py").write_text(RUBRICS)
    return write_run(tmp_path / "run", STEPS)


def again(run, rubric="", **options):
    return rescore(run, rubric, workers=2, say=lambda _line: None, **options)


def hash_folder(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"preset": "grpo-deepseekmath"},
        {"advantages.scale": "batch"},
        {"advantages.baseline": "leave_one_out"},
        {"advantages.normalise_batch": True},
        {"preset": "gdpo"},
        {"overlong_cache": 8, "max_new_tokens": 24},
    ],
    ids=str,
)
def test_the_same_rubric_agrees_to_the_bit(tmp_path, monkeypatch, settings):
    monkeypatch.chdir(tmp_path)
    run = write_run(tmp_path / "run", STEPS, **settings)
    before = hash_folder(run)
    found = again(run)
    assert found.changes.equal == found.changes.completions == 16
    assert found.same_rubric
    assert found.credits is not None
    assert all(group.before_G == group.after_G for group in found.credits.groups)
    assert any(any(group.before_G) for group in found.credits.groups)
    assert {group.change for group in found.credits.groups} <= {"kept", "none"}
    assert all(step.cosine == pytest.approx(1.0) or math.isnan(step.cosine) for step in found.credits.steps)
    assert hash_folder(run) == before
    assert "no verdict changed" in str(found)


def test_the_advantages_are_those_of_the_runs_settings(run):
    found = again(run, "rubrics.py:either")
    assert found.credits is not None
    rows = [json.loads(line) for line in (run / "rollouts.jsonl").read_text().splitlines()]
    rewards = torch.tensor([row["reward"] for row in rows]).view(2, 2, 4)
    after = torch.tensor([score.reward for score in found.scores_B]).view(2, 2, 4)
    none = torch.zeros(2, 4, dtype=torch.bool)
    for step in range(2):
        for number, each in enumerate((rewards[step], after[step])):
            wanted = compute_group_advantages(each, none, AdvantageConfig())
            groups = found.credits.groups[2 * step : 2 * step + 2]
            got = [(group.before_G, group.after_G)[number] for group in groups]
            assert torch.tensor(got) == pytest.approx(wanted)


def test_another_rubric_is_told_apart(run, capsys):
    assert (
        main(["rescore", str(run), "--rubric", "rubrics.py:either", "--out", "again", "--workers", "2"]) == 0
    )
    said = capsys.readouterr().out
    record = json.loads(Path("again/rescore.json").read_text())
    changes = {(c["before"], c["after"]): c["count"] for c in record["changes"]["changes"]}
    # "It is 7", and a second answer after the first, hold the reference; so does 17.
    assert changes[("no_answer", "correct")] == 4
    assert sum(changes.values()) == 16
    assert "4 completion(s) no_answer -> correct" in said
    assert record["groups"]["all"] == 4
    assert record["groups"]["woken"] == 1
    rows = [json.loads(line) for line in Path("again/completions.jsonl").read_text().splitlines()]
    assert [row["before"]["reward"] for row in rows] == [
        json.loads(line)["reward"] for line in (run / "rollouts.jsonl").read_text().splitlines()
    ]
    assert all("advantage_before" in row and "advantage_after" in row for row in rows)
    assert read_folder(Path("again"), "again").samples == 4


def test_groups_that_would_have_pulled_the_other_way_are_found(run):
    found = again(run, "rubrics.py:opposite")
    assert found.credits is not None
    first = found.credits.groups[0]
    assert first.change == "flipped"
    assert first.cosine == pytest.approx(-1.0, abs=0.02)  # but for the reward of the form
    assert first.sign_flips == 4
    assert found.credits.count("flipped") >= 1
    assert found.credits.rank_steps()[0].cosine < 0
    assert "would have pulled the other way" in str(found)


def test_false_positives_are_shares_of_what_the_new_judgement_refuses(run):
    found = again(run, "rubrics.py:opposite").changes
    # All that passed is refused now; what passes now had not passed.
    assert found.false_positive.value == 1.0
    assert found.false_negative.value == 1.0
    assert found.false_negative.low < 1.0
    same = again(run).changes
    assert (same.false_positive.value, same.false_negative.value) == (0.0, 0.0)
    assert same.false_positive.high > 0.0


@pytest.mark.parametrize(("name", "status"), [("hangs", "timeout"), ("dies", "malformed")])
def test_what_a_completion_does_to_its_worker_is_a_verdict_against_it(run, name, status):
    found = again(run, f"rubrics.py:{name}", deadline_s=8.0)
    statuses = [score.parts[name].status for score in found.scores_B]
    texts = [row.completion.text for row in found.rows_B]
    assert {s.value for s, text in zip(statuses, texts, strict=True) if "idea" in text} == {status}
    assert {s.value for s, text in zip(statuses, texts, strict=True) if "idea" not in text} == {"correct"}
    assert found.changes.open_after == 0


def test_a_broken_rubric_abstains_and_says_so(run):
    found = again(run, "rubrics.py:raises")
    assert found.changes.open_after == 16
    assert found.changes.false_positive.problems == 0
    assert "16 completion(s) could not be scored now" in " ".join(found.notes)
    assert "not known" not in str(found).splitlines()[0]


def test_learned_criteria_are_said_and_left_open(run):
    found = again(run, "rubrics.py:judged")
    assert "Learned criteria (reward_model)" in found.notes[0]
    assert found.changes.open_after == 16
    record = (found.folder / "rescore.json").read_text()
    assert "NaN" not in record


def test_learned_findings_on_record_are_kept(run):
    path = run / "rollouts.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**row, "learned": {"reward_model": 2.0}}) + "\n" for row in rows))
    found = again(run, "rubrics.py:judged")
    assert found.changes.open_after == 0
    judged = pal.Rubric(pal.criteria.number(), pal.criteria.learned(weight=0.5))
    first = found.rows_B[0]
    problem = pal.tasks.get("gcd").problem("train", 0, 0)
    by_hand = judged.fill(judged.score(first.completion, problem), {"reward_model": 2.0})
    assert found.scores_B[0].reward == by_hand.reward


def test_ppo_is_judged_without_groups(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = write_run(tmp_path / "run", STEPS, algorithm="ppo")
    found = again(run)
    assert found.credits is None
    assert "a critic's values" in found.notes[0]


def test_a_control_and_a_penalty_are_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {"control": "random", "loss.kl_coef": 0.1, "loss.kl_in": "reward"}
    notes = " ".join(again(write_run(tmp_path / "run", STEPS, **settings)).notes)
    assert "a control's rewards (random)" in notes
    assert "KL penalty" in notes


def test_a_step_that_was_cut_off_is_left_out(run):
    path = run / "rollouts.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    found = again(run)
    assert found.credits is not None
    assert [step.step for step in found.credits.steps] == [1]
    assert "Step 2 is not whole" in found.notes[0]


def test_a_run_that_went_on_with_other_settings_is_credited_by_those_of_each_step(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = write_run(tmp_path / "one", STEPS[:1], **{"advantages.scale": "group"})
    two = write_run(tmp_path / "two", [[[RIGHT, WRONG]] * 4])
    rows = (two / "rollouts.jsonl").read_text().replace('"step": 1', '"step": 2')
    with (one / "rollouts.jsonl").open("a") as file:
        file.write(rows)
    facts, before = (json.loads((one / name).read_text()) for name in ("facts.json", "config.json"))
    facts["earlier_settings"] = [{"last_step": 1, "settings": before}]
    (one / "facts.json").write_text(json.dumps(facts))
    (one / "config.json").write_text((two / "config.json").read_text())
    found = again(one)
    assert [(step.step, step.groups) for step in found.credits.steps] == [(1, 2), (2, 4)]
    assert [len(group.before_G) for group in found.credits.groups] == [4, 4, 2, 2, 2, 2]
    deviations = [stdev(group.before_G) for group in found.credits.groups]
    assert deviations[0] == pytest.approx(1.0, abs=0.01)  # divided by the group's deviation
    assert 0.3 < deviations[2] < 0.8  # as rewarded


def test_problems_that_the_task_no_longer_has_are_judged_by_their_rows(run):
    path = run / "rollouts.jsonl"
    path.write_text(path.read_text().replace('"id": "gcd/train', '"id": "old/train'))
    found = again(run)
    assert "4 problem(s) are not (any more) those of task gcd" in found.notes[0]
    assert found.changes.equal == 16


def test_judgements_of_two_runs_of_one_name_lie_side_by_side(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = [write_run(tmp_path / name / "base", STEPS[:1]) for name in ("one", "two")]
    sources = [open_source(run) for run in runs]
    folders = [rescore(run, workers=1, say=say_nothing).folder for run in (*runs, runs[0])]
    assert [str(folder) for folder in folders] == [
        "runs/rescore-base-now", "runs/rescore-base-now-2", "runs/rescore-base-now",
    ]  # fmt: skip
    assert choose_folder(sources[0], "", str(folders[0])) == folders[0]
    with pytest.raises(UserError, match="holds no judgement of"):
        choose_folder(sources[1], "", str(folders[0]))


def test_mistakes_are_sentences(run, tmp_path):
    with pytest.raises(UserError, match="is no run and no evaluation"):
        again(tmp_path / "none")
    with pytest.raises(UserError, match="not both"):
        again(run, "math", task="gcd")
    with pytest.raises(UserError, match="holds no judgement of"):
        again(run, out=str(run))
    with pytest.raises(UserError, match=r"--rubric 'maths' is not known\. Did you mean math"):
        again(run, "maths")
    path = run / "rollouts.jsonl"
    path.write_text('{"step": 1}\n' + path.read_text())
    with pytest.raises(UserError, match=r"rollouts.jsonl, line 1 is damaged"):
        again(run)


def test_cosines_by_hand():
    first = torch.tensor([1.0, -1.0, 0.0])
    assert compute_cosine(first, -first) == pytest.approx(-1.0)
    assert compute_cosine(first, torch.tensor([0.0, 0.0, 1.0])) == 0.0
    assert compute_cosine(first, torch.tensor([1.0, 0.0, 0.0])) == pytest.approx(math.sqrt(0.5))
    assert math.isnan(compute_cosine(first, torch.zeros(3)))


def test_a_judge_that_fails_is_told_from_one_that_says_no(run, tmp_path):
    judge = tmp_path / "judge.py"
    judge.write_text("import os\n\n\ndef judge(completion, problem):\n    os._exit(3)\n")
    found = again(run, str(judge))
    assert found.changes.reward_after == 0.0
    assert any("16 completion(s) count as not passed because checking them" in note for note in found.notes)
    judge.write_text("def judge(completion, problem):\n    return 0\n")
    assert not any("checking them" in note for note in again(run, str(judge)).notes)
