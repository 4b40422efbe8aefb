"""Arms as they are written: in a flag, or in a file with a table for each."""

import pytest
from palaestra.trainer.cli.main import main
from palaestra.trainer.config.arms import read_arms
from palaestra.trainer.config.settings import SettingError
from palaestra.trainer.config.train import TrainConfig


def read(text: str, **settings):
    return {arm.name: arm.config for arm in read_arms(TrainConfig.of(arms=text, **settings))}


def test_arms_of_a_flag():
    arms = read("control=random,preset=dr-grpo,short:max_new_tokens=64+learning-rate=1e-5", group_size=4)
    assert list(arms) == ["base", "control-random", "preset-dr-grpo", "short"]
    assert arms["control-random"].reward.control == "random"
    assert arms["preset-dr-grpo"].objective.preset == "dr-grpo"
    assert arms["short"].rollouts.max_new_tokens == 64
    assert arms["short"].optimizer.learning_rate == 1e-5
    assert {config.rollouts.group_size for config in arms.values()} == {4}
    assert {config.arms for config in arms.values()} == {""}
    assert arms["base"] == TrainConfig.of(group_size=4)


def test_a_truth_value_and_a_path_are_read():
    arms = read("curriculum=yes,algorithm=./mine.py:Mine")
    assert arms["curriculum-yes"].rollouts.curriculum
    assert arms["algorithm-mine.py-Mine"].algorithm == "./mine.py:Mine"


def test_arms_of_a_file(tmp_path):
    path = tmp_path / "arms.toml"
    path.write_text(
        '[random]\ncontrol = "random"\n\n[soft]\n"loss.kl_coef" = 0.1\nlora_targets = ["a", "b"]\n'
    )
    arms = read(str(path))
    assert list(arms) == ["base", "random", "soft"]
    assert arms["soft"].objective.loss.kl_coef == 0.1
    assert arms["soft"].model.lora_targets == ("a", "b")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("seed=3", "arms share seed"),
        ("task=gcd", "arms share task"),
        ("eval_problems=3", "arms share eval-problems"),
        ("system=Hi", "arms share system"),
        ("steps=3", "arms share steps"),
        ("out=x", "arms share out"),
        ("control=randm", "give none or random"),
        ("contrl=random", "Did you mean 'control'"),
        ("control", "no setting=value"),
        (",", "names no arm"),
        ("control=none", "the settings of base"),
        ("control=random,control=random", "two arms are named control-random"),
        ("base:control=random", "Name the arm otherwise"),
        ("control=random+control=format", "control is given twice"),
        ("preset=dapo+preset=dr-grpo", "preset is given twice"),
        ("one:control=random,two:control=random", "two has the settings of one"),
        ("comparison:control=random", "a folder of the arms' own"),
        ("Start:control=random", "a folder of the arms' own"),
        ("group_size=0", "1 or more"),
        ("none.toml", "no config file"),
    ],
)
def test_mistakes_are_named_at_once(text, named, capsys):
    assert main(["train", "--arms", text]) == 2
    assert named in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "a = 1\n", '["../x"]\ncontrol = "random"\n'])
def test_a_file_that_holds_no_arms_is_refused(tmp_path, content):
    path = tmp_path / "arms.toml"
    path.write_text(content)
    with pytest.raises(SettingError, match=r"--arms|table"):
        read(str(path))
