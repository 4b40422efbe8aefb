"""Config files and flags: flags win, and mistakes are sentences that name the nearest known thing."""

from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.config.parse import merge, parse, take_option, task_options
from palaestra.trainer.config.reward_model import RewardModelConfig
from palaestra.trainer.config.sft import SFTConfig
from palaestra.trainer.config.train import TrainConfig

ROOT = Path(__file__).parent.parent.parent


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.toml", 'steps = 7\ntask = "gcd"\n[loss]\nclip_low = 0.1\n'),
        ("run.yaml", "steps: 7\ntask: gcd\nloss:\n  clip_low: 0.1\n"),
    ],
)
def test_flags_win_over_the_file_and_the_file_over_the_defaults(tmp_path: Path, name: str, text: str):
    path = write(tmp_path / name, text)
    config = parse(TrainConfig, ["--config", path, "--steps", "9"], "palaestra train")
    assert (config.steps, config.task, config.loss.clip_low) == (9, "gcd", 0.1)
    assert config.group_size == TrainConfig().group_size


def test_a_misspelt_key_names_the_file_and_the_nearest_key(tmp_path: Path):
    path = write(tmp_path / "run.toml", "prompt_per_step = 7\n")
    with pytest.raises(
        UserError, match=r"run\.toml: there is no setting 'prompt_per_step'\. Did you mean 'prompts_per_step'\?"
    ):
        parse(TrainConfig, ["--config", path], "palaestra train")
    path = write(tmp_path / "nested.toml", "[loss]\nclip_lo = 0.1\n")
    with pytest.raises(UserError, match=r"'loss\.clip_lo'\. Did you mean 'loss\.clip_low'"):
        parse(TrainConfig, ["--config", path], "palaestra train")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('steps = "ten"', "steps is of type int, not 'ten'"),
        ("steps = true", "steps is of type int, not True"),
        ("option = 3", "option is a list"),
        ('schedule = "square"', "schedule is one of"),
        ("steps = = 3", "not valid TOML"),
    ],
)
def test_values_of_a_wrong_type_are_refused(tmp_path: Path, text: str, says: str):
    with pytest.raises(UserError, match=says):
        parse(TrainConfig, ["--config", write(tmp_path / "run.toml", text)], "palaestra train")


def test_a_missing_file_and_a_missing_value_are_sentences(tmp_path: Path):
    with pytest.raises(UserError, match="no config file"):
        parse(TrainConfig, ["--config", str(tmp_path / "none.toml")], "palaestra train")
    with pytest.raises(UserError, match="needs a value"):
        take_option(["--config"], "--config")


def test_an_unknown_flag_ends_with_exit_code_2(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as failure:
        parse(TrainConfig, ["--stepz", "3"], "palaestra train")
    assert failure.value.code == 2
    assert "--steps" in capsys.readouterr().err


@pytest.mark.parametrize("config", [TrainConfig, SFTConfig, EvalConfig, RewardModelConfig])
def test_help_shows_every_flag_with_its_default(config: type, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as failure:
        parse(config, ["--help"], "palaestra")
    assert failure.value.code == 0
    text = capsys.readouterr().out
    for field in fields(config):
        if not is_dataclass(getattr(config(), field.name)):
            assert f"--{field.name.replace('_', '-')}" in text
    assert text.count("default:") >= len(fields(config)) - 3


def test_task_options_are_pairs_and_refuse_what_is_none():
    assert task_options(["operands=2", "name=x=y"], "file.jsonl") == {"data": "file.jsonl", "operands": "2", "name": "x=y"}
    with pytest.raises(UserError, match="name=value"):
        task_options(["operands"], "")


def test_a_preset_sets_what_file_and_flags_may_then_change(tmp_path: Path):
    config = parse(TrainConfig, ["--preset", "grpo-deepseekmath", "--loss.kl-coef", "0.1"], "palaestra train")
    assert (config.loss.kind, config.loss.kl_coef, config.advantages.scale) == ("grpo", 0.1, "group")
    assert parse(TrainConfig, ["--preset", "dapo"], "palaestra train").resample > 0
    path = write(tmp_path / "run.toml", 'preset = "dr-grpo"\n[loss]\nclip_low = 0.1\n')
    config = parse(TrainConfig, ["--config", path], "palaestra train")
    assert (config.loss.kind, config.loss.clip_low, config.loss.clip_high) == ("dr_grpo", 0.1, 0.2)
    with pytest.raises(UserError, match=r"no preset 'dr_grpo'\. Did you mean dr-grpo"):
        parse(TrainConfig, ["--preset", "dr_grpo"], "palaestra train")


def test_a_written_config_reads_back_as_itself():
    from dataclasses import asdict

    config = TrainConfig(steps=3, option=("a=1",))
    assert merge(TrainConfig(), asdict(config), "here") == config


@pytest.mark.parametrize("config", [TrainConfig, SFTConfig, EvalConfig, RewardModelConfig])
def test_no_setting_is_read_by_nothing(config: type):
    sources = "\n".join(path.read_text() for path in (ROOT / "trainer").rglob("*.py") if path.name != "config.py")
    unread = [
        field.name
        for field in fields(config)
        if f"config.{field.name}" not in sources and f'hasattr(defaults, "{field.name}")' not in sources
    ]
    assert not unread
