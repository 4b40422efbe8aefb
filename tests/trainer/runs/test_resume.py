"""Going on with other settings: which may change, which may not, and what is written down of it."""

import json
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.cli.main import main as palaestra
from palaestra.trainer.config.settings import list_settings
from palaestra.trainer.config.sft import SFTConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.model.embedded import make_character_tokenizer
from palaestra.trainer.runs.changeable import RESUMABLE, SHARED, Resumable
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train
from palaestra.trainer.sft.run import sft
from palaestra.trainer.storage.checkpoint import load_state
from palaestra.trainer.storage.folders import open_existing

from ..support.runs import SMALL, say_nothing
from ..support.tiny import make_tiny


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "s1"
    config = SFTConfig.of(
        task="addition", steps=2, demonstrations=8, eval_problems=2, threads=1, device="cpu"
    )
    sft(config.but(out=out), say=say_nothing)
    return out


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--steps", "1"], "has done 2 steps. --steps counts all of them: give more than 2."),
        (["--steps", "2"], "has done 2 steps."),
        (["--steps", "0"], "--steps '0': give a whole number, 1 or more."),
        (["--steps", "x"], "--steps 'x': give a whole number, 1 or more."),
        ([], "has done all of its 2 steps"),
        (
            ["--steps", "4", "--seed", "3"],
            "--seed can't change in a run that has begun (it is 0): everything",
        ),
        (["--steps", "4", "--task", "gcd"], "--task can't change"),
        (["--steps", "4", "--model", "elsewhere"], "--model can't change"),
        (["--steps", "4", "--out", "elsewhere"], "--out can't change"),
        (["--steps", "4", "--learning-rat", "1"], "Did you mean --learning-rate?"),
        (["--steps"], "--steps needs a value after it"),
        (["--steps", "4", "--steps", "5"], "--steps is given twice"),
        (["--steps", "4", "--task-changed", "no"], "give ok"),
    ],
)
def test_what_makes_no_sense_is_a_sentence_and_leaves_the_run_as_it_is(
    finished: Path, capsys: pytest.CaptureFixture, flags: list[str], says: str
):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    assert palaestra(["resume", str(finished), *flags]) == 2
    error = capsys.readouterr().err
    assert error.startswith("palaestra: ")
    assert says in error
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["resume"], "Still required: run."),
        (["replay", "run", "--step", "x"], "--step 'x': give a whole number, 1 or more."),
        (["resume", "nowhere", "--steps", "3"], "nowhere is not the folder of a run"),
    ],
)
def test_arguments_that_miss_or_are_no_number_are_sentences(
    capsys: pytest.CaptureFixture, argv: list[str], says: str
):
    assert palaestra(argv) == 2
    assert says in capsys.readouterr().err


def test_options_may_stand_on_either_side_of_the_run(finished: Path, capsys: pytest.CaptureFixture):
    assert palaestra(["resume", "--steps", "2", str(finished), "--learning-rate", "1e-3"]) == 2
    assert "has done 2 steps" in capsys.readouterr().err


def test_a_run_that_tripped_goes_on_with_a_lower_learning_rate(
    warm_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    out = tmp_path / "run"
    watch = {"watch.kl_max": 1e-5, "watch.patience": 1, "minibatches": 2}
    config = SMALL.but(model=warm_model, out=out, learning_rate=2e-3, warmup_steps=0, eval_every=0, **watch)
    with pytest.raises(UserError, match="kl to the sampling policy") as tripped:
        train(config, say=say_nothing)
    says = f"(it is 0.002): palaestra resume {out} --learning-rate 0.0005 ; "
    assert says in str(tripped.value)
    assert str(tripped.value).endswith(f"without that bound: palaestra resume {out} --watch.kl-max 0")
    assert palaestra(["resume", str(out), "--learning-rate", "1e-6"]) == 0
    assert "Changed: --learning-rate from 0.002 to 1e-06." in capsys.readouterr().out
    assert open_existing(out).read_config(TrainConfig).optimizer.learning_rate == 1e-6
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    rates = [line["learning_rate"] for line in lines if line["kind"] == "step"]
    assert len(rates) == 4
    assert rates[0] == 2e-3
    assert rates[-1] <= 1e-6


def test_a_penalty_needs_the_reference_that_the_run_kept(warm_model: Path, tmp_path: Path):
    config = SMALL.but(model=warm_model, out=tmp_path / "run", stop_after=1, eval_every=0)
    train(config, say=say_nothing)
    with pytest.raises(UserError, match="A KL penalty needs the model that the run began with"):
        resume(tmp_path / "run", {"loss.kl_coef": 0.1}, say=say_nothing)
    for name, value in (("lora_rank", 4), ("lora_alpha", 4), ("lora_targets", ("x",)), ("algorithm", "ppo")):
        with pytest.raises(UserError, match="can't change in a run that has begun"):
            resume(tmp_path / "run", {name: value}, say=say_nothing)


def test_what_the_optimizer_and_the_arithmetic_are_told_holds_from_there_on(warm_model: Path, tmp_path: Path):
    config = SMALL.but(model=warm_model, out=tmp_path / "run", stop_after=1, eval_every=0, steps=2)
    train(config, say=say_nothing)
    said: list[str] = []
    changes = {"weight_decay": 0.5, "beta2": 0.9, "dtype": "bfloat16", "watch.kl_max": 0, "keep": 7}
    resume(tmp_path / "run", changes, say=said.append)
    assert "Changed: --weight-decay from 0.0 to 0.5." in said
    state = load_state(tmp_path / "run/checkpoints/step-000002")
    matrices, vectors = state["optimizer"]["param_groups"]
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.5, 0.0)
    assert matrices["betas"] == (0.9, 0.9)
    kept = open_existing(tmp_path / "run").read_config(TrainConfig)
    assert (kept.model.dtype, kept.guards.watch.kl_max, kept.output.keep) == ("bfloat16", 0.0, 7)


@pytest.mark.parametrize("command", RESUMABLE.values(), ids=lambda command: command.name)
def test_every_setting_that_cannot_change_has_its_reason_and_is_a_setting(command: Resumable):
    known = {setting.name for setting in list_settings(command.kind)}
    assert known & {*SHARED} <= {*command.fixed}
    assert all(reason and not reason.endswith(".") for reason in command.fixed.values())
    assert {name for name in command.fixed if name not in {*SHARED}} <= known
    free = {
        "steps",
        "stop_after",
        "learning_rate",
        "eval_every",
        "save_every",
        "keep",
        "log",
        "dtype",
        "threads",
    }
    assert free <= known - {*command.fixed}


def test_more_steps_are_written_down_so_that_a_second_resume_knows_them(warm_model: Path, tmp_path: Path):
    config = SMALL.but(model=warm_model, out=tmp_path / "run", steps=2, stop_after=1, eval_every=0)
    train(config, say=say_nothing)
    resume(tmp_path / "run", {"steps": 3, "stop_after": 1}, say=say_nothing)
    assert not resume(tmp_path / "run", {}, say=say_nothing).interrupted
    assert (tmp_path / "run/checkpoints/step-000003").is_dir()


def test_a_resume_that_the_model_s_positions_refuse_leaves_the_run_as_it_was(tmp_path: Path):
    out, model = tmp_path / "run", make_tiny("gpt2", n_positions=400)
    make_character_tokenizer().save_pretrained(tmp_path / "model")
    model.save_pretrained(tmp_path / "model")
    few = {"prompts_per_step": 1, "group_size": 2, "max_new_tokens": 4, "eval_every": 0, "steps": 2}
    train(
        SMALL.but(model=tmp_path / "model", out=out, stop_after=1, **few, preflight_problems=0, force=True),
        say=say_nothing,
    )
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    with pytest.raises(UserError, match=r"400 positions .*--max-new-tokens 600 leaves none"):
        resume(out, {"max_new_tokens": 600}, say=say_nothing)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert not resume(out, {}, say=say_nothing).interrupted
