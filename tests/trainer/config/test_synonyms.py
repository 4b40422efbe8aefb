"""Names of other tools lead to settings that are there."""

import pytest
from palaestra.trainer.config.arguments import suggest_flag
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.config.reward_model import RewardModelConfig
from palaestra.trainer.config.settings import SettingError, list_settings
from palaestra.trainer.config.sft import SFTConfig
from palaestra.trainer.config.synonyms import _OF_THEIRS, find_synonyms
from palaestra.trainer.config.train import TrainConfig

COMMANDS = [TrainConfig, SFTConfig, RewardModelConfig, EvalConfig]
NAMES = {setting.name for command in COMMANDS for setting in list_settings(command)}


def test_every_name_leads_to_a_setting_and_is_none_itself_in_every_command():
    targets = {name for all_of in _OF_THEIRS.values() for names in all_of for name in names.split()}
    assert targets <= NAMES
    train = {setting.name for setting in list_settings(TrainConfig)}
    assert all(find_synonyms(theirs, NAMES) for theirs in _OF_THEIRS)
    assert not {*_OF_THEIRS} & train


def test_only_what_a_command_has_is_suggested():
    assert suggest_flag("--num_generations", ["--samples", "--seed"]) == "--samples"
    assert suggest_flag("--num_generations", ["--group-size", "--samples"]) == "--group-size"
    assert suggest_flag("--epsilon", ["--loss.clip-low", "--loss.clip-high"]) == (
        "--loss.clip-low or --loss.clip-high"
    )
    assert suggest_flag("--num_generations", ["--seed"]) == ""


def test_python_and_files_are_led_in_the_same_way():
    with pytest.raises(SettingError, match=r"no setting 'num_generations'. Did you mean 'group_size'\?"):
        TrainConfig.of(num_generations=8)


def test_a_table_in_memory_is_told_to_be_saved():
    class Table:
        def to_json(self):
            raise AssertionError("It is to be saved first, not read.")

    with pytest.raises(SettingError, match=r"Save the Table .* and give the file's path"):
        TrainConfig.of(data=Table())
