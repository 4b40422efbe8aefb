"""Arms: the same problems and seeds, compared as they go, gone on with as a whole."""

import json

import palaestra as pal
import pytest
from palaestra.trainer.evaluation.compare import compare_measured, read_all
from palaestra.trainer.evaluation.measured import list_steps, read_folder
from palaestra.trainer.rescoring.rescore import rescore
from palaestra.trainer.runs import arms as arms_module
from palaestra.trainer.runs.arms import resume_arms, train_arms
from palaestra.trainer.storage.starts import find_folder

from ..support.runs import have_same_weights, say_nothing

CONFIG = pal.TrainConfig.of(
    task="addition",
    option=("operands=2", "digits=1"),
    arms="control=random,short:max_new_tokens=6",
    steps=2,
    sft_steps=2,
    prompts_per_step=2,
    group_size=4,
    max_new_tokens=8,
    eval_problems=6,
    eval_samples=2,
    eval_every=1,
    preflight_problems=0,
    threads=1,
    device="cpu",
    dtype="float32",
)
ARMS = ["base", "control-random", "short"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    said = []
    folder = tmp_path_factory.mktemp("arms") / "whole"
    return train_arms(CONFIG.but(out=str(folder)), said.append), said


def test_each_arm_is_a_run_from_one_start(whole):
    result, _ = whole
    assert list(result.runs) == ARMS
    first = [result.folder / arm / "rollouts.jsonl" for arm in ARMS]
    rows = [[json.loads(line) for line in path.read_text().splitlines()] for path in first]
    assert [row["id"] for row in rows[0]] == [row["id"] for row in rows[1]] == [row["id"] for row in rows[2]]
    # Before the first update nothing but the reward tells base and control apart.
    texts = [[row["completion"] for row in listed if row["step"] == 1] for listed in rows]
    assert texts[0] == texts[1]
    assert {row["reward"] for row in rows[1]} <= {0.0, 1.0}
    configs = [json.loads((result.folder / arm / "config.json").read_text()) for arm in ARMS]
    assert {config["model"]["source"] for config in configs} == {str((result.folder / "start").resolve())}


def test_differences_are_told_as_they_go(whole):
    result, said = whole
    told = [line for line in said if "against base" in line]
    assert [line.partition(":")[0] for line in told] == [
        f"[{arm}] step {step}" for arm in ARMS[1:] for step in (0, 1, 2)
    ]
    assert "step 0: +0.0 points [" in told[0]
    assert [pair.second for pair in result.comparison.pairs] == ARMS[1:]
    assert result.comparison.pairs[1].notes == ["max_new_tokens is 8 in base, 6 in short"]
    record = json.loads((result.folder / "comparison" / "comparison.json").read_text())
    assert [side["name"] for side in record["sides"]] == ARMS
    assert [side.name for side in compare_measured(read_all([str(result.folder)])).sides] == ARMS


def test_a_runs_evaluations_are_evaluations(whole):
    result, _ = whole
    run = result.folder / "base"
    assert list_steps(run) == [0, 1, 2]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    logged = {line["step"]: line["sampled"] for line in lines if line["kind"] == "evaluation"}
    for step in (0, 2):
        measured = read_folder(run / "held_out" / f"step-{step:06d}", "x")
        assert len(measured.rows_P) == 6
        assert measured.samples == 2
        passed = sum(row.passed for rows in measured.rows_P.values() for row in rows)
        assert passed / 12 == pytest.approx(logged[step]["pass_at"]["1"]["value"])


def test_a_run_judged_again_agrees_to_the_bit(whole, tmp_path):
    result, _ = whole
    found = rescore(result.folder / "base", out=str(tmp_path / "again"), workers=1, say=say_nothing)
    assert found.changes.equal == found.changes.completions == 16
    assert all(group.before_G == group.after_G for group in found.credits.groups)
    control = result.folder / "control-random"
    judged = rescore(control, out=str(tmp_path / "control"), workers=1, say=say_nothing)
    assert "a control's rewards (random)" in " ".join(judged.notes)
    assert all(row.passed == score.passed for row, score in zip(judged.rows_B, judged.scores_B, strict=True))


@pytest.mark.slow
def test_an_evaluation_of_the_runs_model_can_be_set_beside_the_runs_own(whole, tmp_path):
    """Same task, prompts and verifiers, by whichever command they were measured."""
    result, _ = whole
    again = pal.evaluate(
        task="addition", option=("operands=2", "digits=1"), model=str(result.folder / "base" / "model"),
        problems=6, samples=2, temperature=1.0, max_new_tokens=8, threads=1, out=str(tmp_path / "again"),
        say=say_nothing,
    )  # fmt: skip
    found = pal.compare(str(result.folder / "base"), again)
    assert (found.difference.value, found.pairs[0].notes) == (0.0, [])


def test_stopped_arms_go_on_to_the_same_bits(whole, tmp_path):
    result, _ = whole
    folder = tmp_path / "parts"
    stopped = train_arms(CONFIG.but(out=str(folder), stop_after=1), say_nothing)
    assert stopped.interrupted
    assert list(stopped.runs) == ["base"]
    with pytest.raises(pal.UserError, match="holds arms already: `palaestra resume"):
        train_arms(CONFIG.but(out=str(folder)), say_nothing)
    said = []
    done = resume_arms(folder, said.append)
    assert not done.interrupted
    assert list(done.runs) == ARMS
    for arm in ARMS:
        assert have_same_weights(folder / arm / "model", result.folder / arm / "model")
    assert [pair.difference for pair in done.comparison.pairs] == [
        pair.difference for pair in result.comparison.pairs
    ]
    with pytest.raises(pal.UserError, match="have ended"):
        resume_arms(folder, say_nothing)


def test_an_arm_that_a_guard_stops_leaves_the_others_be(tmp_path):
    arms = tmp_path / "arms.toml"
    arms.write_text(
        '[halts]\n"watch.entropy_min" = 100.0\n"watch.patience" = 1\n[goes]\ncontrol = "random"\n'
    )
    said = []
    result = train_arms(CONFIG.but(out=str(tmp_path / "runs"), arms=str(arms)), said.append)
    assert list(result.failures) == ["halts"]
    assert list(result.runs) == ["base", "goes"]
    assert any(line.startswith("[halts] stopped: ") for line in said)
    assert "halts was stopped" in str(result)


def test_from_python_one_run_is_not_several(tmp_path):
    with pytest.raises(pal.UserError, match="take `train_arms`"):
        pal.train(CONFIG.but(out=str(tmp_path / "x")), say=say_nothing)
    with pytest.raises(pal.UserError, match="Say which arms"):
        pal.train_arms(task="gcd")
    with pytest.raises(pal.UserError, match=r"Arm control-shuffled: .*prompts-per-step"):
        pal.train_arms(CONFIG.but(arms="control=shuffled", prompts_per_step=1, out=str(tmp_path / "x")))


def test_arms_of_which_the_first_is_refused_leave_nothing_behind(tmp_path):
    """Of a fresh model without a warm-up the preflight says that it can't learn."""
    untaught = CONFIG.but(out=str(tmp_path / "runs"), sft_steps=0, preflight_problems=2)
    for _ in range(2):
        with pytest.raises(pal.UserError, match=r"Arm base: .*--force starts all the same"):
            train_arms(untaught, say_nothing)
        assert list(tmp_path.iterdir()) == []


def test_an_arm_that_is_refused_once_another_has_begun_leaves_the_others_be(tmp_path, monkeypatch):
    train = arms_module.train

    def refuse(config, **more):
        if config.output.out.endswith("control-random"):
            raise pal.UserError("This can't learn.")
        return train(config, **more)

    monkeypatch.setattr(arms_module, "train", refuse)
    result = train_arms(CONFIG.but(out=str(tmp_path / "runs")), say_nothing)
    assert result.failures == {"control-random": "This can't learn."}
    assert list(result.runs) == ["base", "short"]
    monkeypatch.setattr(arms_module, "train", train)
    assert list(resume_arms(tmp_path / "runs", say_nothing).runs) == ["control-random"]


def test_arms_that_came_to_nothing_are_started_again(tmp_path):
    folder = tmp_path / "runs"
    (folder / "start").mkdir(parents=True)
    (folder / "start/config.json").write_text("{}")
    (folder / "arms.json").write_text("{}")
    assert find_folder(str(folder), "x") == folder
    (folder / "start/mine.txt.bak").touch()
    with pytest.raises(pal.UserError, match="is not empty: it holds start"):
        find_folder(str(folder), "x")
