"""Config files and flags: flags win, and mistakes are sentences that name the nearest known thing."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.arguments import take_option
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.config.objective import LossConfig
from palaestra.trainer.config.parse import make_task_options, name_flag, parse
from palaestra.trainer.config.reward_model import RewardModelConfig
from palaestra.trainer.config.settings import SettingError, Settings, list_settings, merge, resolve
from palaestra.trainer.config.sft import SFTConfig
from palaestra.trainer.config.shared import OptimizerConfig
from palaestra.trainer.config.train import PPOConfig, TrainConfig

ROOT = Path(__file__).parents[3]
COMMANDS = [TrainConfig, SFTConfig, EvalConfig, RewardModelConfig]


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.toml", 'steps = 7\ntask = "gcd"\n[loss]\nclip_low = 0.1\n'),
        ("run.yaml", "steps: 7\ntask: gcd\nloss:\n  clip_low: 0.1\n"),
        ("run.json", '{"steps": 7, "task": "gcd", "loss": {"clip_low": 0.1}}'),
        ("full.toml", 'steps = 7\n[task]\nname = "gcd"\n[objective.loss]\nclip_low = 0.1\n'),
    ],
)
def test_flags_win_over_the_file_and_the_file_over_the_defaults(tmp_path: Path, name: str, text: str):
    path = write(tmp_path / name, text)
    config = parse(TrainConfig, ["--config", path, "--steps", "9"], "palaestra train")
    assert (config.steps, config.task.name, config.objective.loss.clip_low) == (9, "gcd", 0.1)
    assert config.rollouts.group_size == TrainConfig().rollouts.group_size


def test_a_misspelt_key_names_the_file_and_the_nearest_key(tmp_path: Path):
    path = write(tmp_path / "run.toml", "prompt_per_step = 7\n")
    with pytest.raises(
        UserError,
        match=r"run\.toml: there is no setting 'prompt_per_step'\. Did you mean 'prompts_per_step'\?",
    ):
        parse(TrainConfig, ["--config", path], "palaestra train")
    path = write(tmp_path / "nested.toml", "[loss]\nclip_lo = 0.1\n")
    with pytest.raises(UserError, match=r"'loss\.clip_lo'\. Did you mean 'loss\.clip_low'"):
        parse(TrainConfig, ["--config", path], "palaestra train")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('steps = "ten"', r"run\.toml: steps 'ten': give a whole number, 1 or more\."),
        ("steps = true", r"run\.toml: steps True: give a whole number, 1 or more\."),
        ("steps = 0", r"run\.toml: steps 0: give a whole number, 1 or more\."),
        ("steps = 2.5", r"steps 2\.5: give a whole number"),
        ("option = 3", "option 3: give a list of texts"),
        ('schedule = "square"', "schedule 'square': give constant or linear or cosine"),
        ("learning_rate = nan", "learning_rate nan: give a number, above 0 or auto"),
        ("learning_rate = 0", "learning_rate 0: give a number, above 0 or auto"),
        ("max_abstained = 1.5", r"max_abstained 1\.5: give a number, 0 to 1\."),
        ("[ppo]\ngamma = -1", "ppo.gamma -1: give a number, 0 to 1"),
        ("steps = = 3", "not valid TOML"),
    ],
)
def test_values_of_a_wrong_type_or_out_of_range_are_refused(tmp_path: Path, text: str, says: str):
    with pytest.raises(UserError, match=says):
        parse(TrainConfig, ["--config", write(tmp_path / "run.toml", text)], "palaestra train")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--stepz", "3"], r"There is no option --stepz\. Did you mean --steps\?"),
        (["--steps"], r"--steps needs a value after it: a whole number, 1 or more\."),
        (["--steps", "0"], r"--steps '0': give a whole number, 1 or more\."),
        (["--steps", "many"], "--steps 'many': give a whole number, 1 or more"),
        (["--rows", "0"], "--rows '0': give a whole number, 1 or more or auto"),
        (["--loss.clip-low", "1"], "--loss.clip-low '1': give a number, above 0 and below 1"),
        (["--device", "tpu"], "--device 'tpu': give auto or cpu or cuda"),
        (["extra"], "'extra' belongs to no option"),
        (["steps", "3"], r"Did you mean --steps\?"),
        (["-steps", "3"], r"There is no option -steps\. Did you mean --steps\?"),
        (["--steps", "1", "--steps=2"], "--steps is given twice"),
        (["--force=yes"], "--force takes no value: give --force, or --no-force for the opposite"),
        (["--confg", "x.toml"], r"Did you mean --config\?"),
    ],
)
def test_mistakes_in_flags_are_sentences(flags: list[str], says: str):
    with pytest.raises(SettingError, match=says):
        parse(TrainConfig, flags, "palaestra train")


def test_ranges_hold_in_python_too():
    with pytest.raises(SettingError, match="learning_rate -1: give a number, above 0 or auto"):
        OptimizerConfig(learning_rate=-1)
    with pytest.raises(SettingError, match=r"clip_low 1\.0: give a number, above 0 and below 1"):
        LossConfig(clip_low=1.0)
    with pytest.raises(SettingError, match="loss 3: give a LossConfig"):
        TrainConfig.of(loss=3)


def test_settings_go_by_their_short_names_in_python():
    config = TrainConfig.of(
        task="gcd", steps=3, learning_rate=1, option=["a=1"], ppo=PPOConfig(lam=0.5), out=Path("x")
    )
    assert (config.task.name, config.steps, config.optimizer.learning_rate) == ("gcd", 3, 1.0)
    assert (config.task.option, config.ppo.lam, config.output.out) == (("a=1",), 0.5, "x")
    changed = config.but(**{"loss.kl_coef": 0.1, "rollouts.group_size": 4})
    assert (changed.objective.loss.kl_coef, changed.rollouts.group_size, changed.steps) == (0.1, 4, 3)
    with pytest.raises(SettingError, match=r"no setting 'learnin_rate'\. Did you mean 'learning_rate'"):
        TrainConfig.of(learnin_rate=1e-3)


def test_auto_stands_for_what_is_chosen_and_nothing_else_does():
    assert resolve("auto", 3) == 3
    assert resolve(0, 3) == 0
    assert parse(TrainConfig, ["--learning-rate", "auto", "--threads", "2"], "x").model.threads == 2


def test_a_missing_file_and_a_missing_value_are_sentences(tmp_path: Path):
    with pytest.raises(UserError, match="no config file"):
        parse(TrainConfig, ["--config", str(tmp_path / "none.toml")], "palaestra train")
    with pytest.raises(UserError, match=r"ends in \.toml, \.yaml, \.yml or \.json"):
        parse(TrainConfig, ["--config", write(tmp_path / "run.ini", "")], "palaestra train")
    with pytest.raises(UserError, match="needs a value"):
        take_option(["--config"], "--config")


def read_help(command: type[Settings], flag: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as failure:
        parse(command, [flag], "palaestra")
    assert failure.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_whole_help_shows_every_flag_with_its_text_and_default(
    command: type, capsys: pytest.CaptureFixture[str]
):
    text = read_help(command, "--help-all", capsys)
    for setting in list_settings(command):
        assert f"{name_flag(setting)} " in text or f"{name_flag(setting)}," in text
        assert setting.help, setting.name
        assert "".join(setting.help.split()) in "".join(text.split())
    assert text.count("(default:") == len(list_settings(command))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_short_help_shows_about_twenty_and_where_the_others_are(
    command: type, capsys: pytest.CaptureFixture[str]
):
    names = {setting.name for setting in list_settings(command)}
    assert set(command.essential) <= names
    assert 14 <= len(command.essential) <= 22
    text = read_help(command, "--help", capsys)
    assert text.count("(default:") <= len(command.essential)
    assert f"--help-all lists {len(names) - len(command.essential)} more options" in " ".join(text.split())


def test_no_two_settings_of_a_command_share_a_name():
    for command in COMMANDS:
        names = [setting.name for setting in list_settings(command)]
        assert len(names) == len(set(names))


def test_help_answers_without_torch():
    code = (
        "import sys; from palaestra.trainer.cli.main import main\n"
        "try: main(['train', '--help'])\nexcept SystemExit: pass\n"
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0
    )


def test_task_options_are_pairs_and_refuse_what_is_none():
    assert make_task_options(["operands=2", "name=x=y"], "file.jsonl") == {
        "data": "file.jsonl",
        "operands": "2",
        "name": "x=y",
    }
    with pytest.raises(UserError, match="name=value"):
        make_task_options(["operands"], "")


def test_a_preset_sets_what_file_and_flags_may_then_change(tmp_path: Path):
    def objective(*argv: str):
        return parse(TrainConfig, argv, "palaestra train").objective

    chosen = objective("--loss.kl-coef", "0.1", "--preset", "grpo-deepseekmath")
    assert (chosen.loss.kind, chosen.loss.kl_coef, chosen.advantages.scale) == ("grpo", 0.1, "group")
    assert objective("--preset", "dapo").resample > 0
    path = write(tmp_path / "run.toml", 'preset = "dr-grpo"\n[loss]\nclip_low = 0.1\n')
    chosen = objective("--config", path)
    assert (chosen.loss.kind, chosen.loss.clip_low, chosen.loss.clip_high) == ("dr_grpo", 0.1, 0.2)
    chosen = objective("--config", path, "--preset", "gspo")
    assert (chosen.loss.kind, chosen.loss.clip_low, chosen.loss.clip_high) == ("gspo", 0.1, 4e-4)
    assert TrainConfig.of(preset="dapo").objective == objective("--preset", "dapo")
    with pytest.raises(UserError, match=r"no preset 'dr_grpo'\. Did you mean dr-grpo"):
        objective("--preset", "dr_grpo")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_written_config_reads_back_as_itself(command: type, tmp_path: Path):
    config = command.of(
        seed=3, threads=2, **({"preset": "dapo", "option": ("a=1",)} if command is TrainConfig else {})
    )
    assert merge(command(), asdict(config), "here") == config
    path = write(tmp_path / "config.json", json.dumps(asdict(config)))
    assert parse(command, ["--config", path], "palaestra") == config


@pytest.mark.parametrize("command", COMMANDS)
def test_no_setting_is_read_by_nothing(command: type):
    files = [path for path in (ROOT / "trainer").rglob("*.py") if path.parent.name != "config"]
    sources = "\n".join(path.read_text() for path in files) + "".join(
        (ROOT / "trainer/config" / name).read_text() for name in ("parse.py", "tasks.py")
    )
    unread = [setting.name for setting in list_settings(command) if f".{setting.path[-1]}" not in sources]
    assert not unread


def test_a_file_that_is_no_text_names_its_first_bad_byte(tmp_path: Path):
    path = tmp_path / "run.toml"
    path.write_bytes(b'task = "gcd\xff"\n')
    with pytest.raises(UserError, match=r"run\.toml is not UTF-8: byte 12 is 0xff\. Save it as UTF-8\."):
        parse(TrainConfig, ["--config", str(path)], "palaestra train")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("seed", 99999999999999999999, "give a whole number, 0 to 9223372036854775807"),
        ("seed", 10**400, "give a whole number, 0 to 9223372036854775807"),
        ("threads", 100000, "give a whole number, 1 to 1024 or auto"),
    ],
)
def test_what_no_generator_or_machine_takes_is_refused(
    command: type, setting: str, value: int, says: str, tmp_path: Path
):
    with pytest.raises(SettingError, match=says):
        parse(command, [f"--{setting}", str(value)], "palaestra")
    with pytest.raises(SettingError, match=says):
        command.of(**{setting: value})
    with pytest.raises(SettingError, match=says):
        parse(command, ["--config", write(tmp_path / "a.toml", f"{setting} = {value}")], "palaestra")


def test_a_number_that_no_float_holds_is_refused():
    with pytest.raises(SettingError, match="give a number, above 0 or auto"):
        TrainConfig.of(learning_rate=10**400)


def test_a_file_of_another_command_is_named_as_such(tmp_path: Path):
    path = write(tmp_path / "config.json", json.dumps(asdict(TrainConfig())))
    with pytest.raises(SettingError, match=r"config\.json seems to hold the settings of another command: "):
        parse(EvalConfig, ["--config", path], "palaestra eval")
    write(tmp_path / "facts.json", json.dumps({"command": "train"}))
    with pytest.raises(
        SettingError, match=r"holds the settings of `palaestra train`: `palaestra eval` has no "
    ):
        parse(EvalConfig, ["--config", path], "palaestra eval")
    assert parse(TrainConfig, ["--config", path], "palaestra train") == TrainConfig()
    write(tmp_path / "config.json", '{"stepz": 3}')
    with pytest.raises(SettingError, match="Did you mean 'steps'"):
        parse(TrainConfig, ["--config", path], "palaestra train")


def test_an_unknown_keyword_of_a_constructor_is_a_sentence():
    with pytest.raises(SettingError, match=r"'lr'\. Did you mean 'learning_rate'\? TrainConfig\.of"):
        TrainConfig(lr=1)
    with pytest.raises(SettingError, match=r"no setting 'lr'\. Did you mean 'learning_rate'\?"):
        TrainConfig.of(lr=1)
    with pytest.raises(SettingError, match=r"no field 'learning_rate': .* TrainConfig\.of\(learning_rate="):
        TrainConfig(learning_rate=1)
    with pytest.raises(
        SettingError, match=r"task 'gcd': give a TrainTaskConfig, or take TrainConfig\.of\(task='gcd'\)"
    ):
        TrainConfig(task="gcd")


def test_auto_is_the_default_of_rows_everywhere_and_may_be_given():
    for command in (TrainConfig, EvalConfig):
        assert command.of(rows="auto") == command() == parse(command, ["--rows", "auto"], "palaestra")


def test_numbers_of_numpy_and_a_lone_text_are_taken():
    config = TrainConfig.of(
        steps=np.int64(3),
        learning_rate=np.float32(0.5),
        option="a=1",
        log="wandb",
        **{"advantages.ddof": np.int8(0)},
    )
    assert (config.steps, type(config.steps), config.objective.advantages.ddof) == (3, int, 0)
    assert (config.optimizer.learning_rate, type(config.optimizer.learning_rate)) == (0.5, float)
    assert (config.task.option, config.output.log) == (("a=1",), ("wandb",))
    assert RewardModelConfig.of(data=Path("pairs.jsonl")).comparisons.files == ("pairs.jsonl",)
    assert TrainConfig.of(log="").output.log == ()
    for wrong in (np.bool_(True), np.float64(2.5), np.float32("nan")):
        with pytest.raises(SettingError, match="give a whole number"):
            TrainConfig.of(steps=wrong)


@pytest.mark.parametrize(
    "name", ["seed", "out", "eval_every", "eval_problems", "save_every", "learning_rate"]
)
def test_what_several_commands_have_is_written_once(name: str):
    found = [setting for command in COMMANDS for setting in list_settings(command) if setting.name == name]
    assert len(found) > 1
    assert len({(setting.path, setting.help) for setting in found}) == 1
