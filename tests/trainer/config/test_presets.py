"""Presets, their formulas and the combinations that are refused."""

import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from palaestra.trainer.config.objective import AdvantageConfig, LossConfig
from palaestra.trainer.config.presets import PRESETS, ObjectiveConfig, describe_origin
from palaestra.trainer.config.settings import SettingError, read_docs
from palaestra.trainer.objective.checks import check, warn_of_idle_ratio
from palaestra.trainer.objective.formula import write_formula
from palaestra.trainer.objective.kinds import KINDS, choose_aggregate

MEAN = AdvantageConfig()
APART = AdvantageConfig(scale="group", aggregation="normalise_then_sum")


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_every_preset_makes_sense_and_names_its_paper(preset):
    check(preset.loss, preset.advantages, preset.updates, preset.group_size)
    assert "arXiv:" in preset.paper or preset.name == "bnpo"


def test_the_help_of_the_kind_lists_the_table():
    assert f"The form of the loss: {', '.join(KINDS)} (" in read_docs(LossConfig)["kind"]


def test_formula_of_deepseekmath_says_everything():
    text = write_formula(PRESETS["grpo-deepseekmath"].loss, PRESETS["grpo-deepseekmath"].advantages)
    assert "A = (r - mean(r of the group)) / (std(ddof=1) of r over the group + 0.0001)" in text
    assert "-min(r_t * A, clip(r_t, 0.8, 1.2) * A)" in text
    assert "offsets 0.2 below and 0.2 above 1" in text
    assert "tokens of the completion, then sum over completions / completions" in text
    assert "in the loss: + 0.04 * k3 = exp(-x) - 1 + x" in text


def test_formulas_tell_all_settings_apart():
    """Changing any setting that a kind reads changes the text: nothing about the objective goes unsaid."""
    changes = {
        "clip_low": 0.11,
        "clip_high": 0.13,
        "dual_clip": 3.0,
        "delta": 4.0,
        "ratio_cap": 7.0,
        "log_clip": 0.3,
        "tau_positive": 1.5,
        "tau_negative": 2.5,
        "aggregate": "token_mean",
        "entropy_coef": 0.02,
        "entropy_target": 0.3,
        "kl_coef": 0.03,
        "clip_cov_share": 0.01,
        "cov_low": 0.5,
        "cov_high": 7.0,
        "kl_cov_share": 0.01,
        "kl_cov_coef": 2.0,
        "correction": "token_mask",
    }
    for kind in KINDS:
        base = LossConfig(kind)
        for name, value in changes.items():
            changed = replace(base, **{name: value})
            try:
                check(changed, MEAN)
            except ValueError:
                continue
            if choose_aggregate(changed) == choose_aggregate(base) and name == "aggregate":
                continue
            assert write_formula(changed, MEAN) != write_formula(base, MEAN), (kind, name)
    assert write_formula(LossConfig(), APART) != write_formula(LossConfig(), replace(MEAN, scale="group"))
    for name, value in [("baseline", "none"), ("scale", "group"), ("normalise_batch", True)]:
        assert write_formula(LossConfig(), replace(MEAN, **{name: value})) != write_formula(
            LossConfig(), MEAN
        )
    scaled = replace(MEAN, scale="group")
    for name, value in [("ddof", 0), ("epsilon", 1e-6)]:
        assert write_formula(LossConfig(), replace(scaled, **{name: value})) != write_formula(
            LossConfig(), scaled
        )
    stepwise = [replace(MEAN, turns=turns) for turns in ("whole", "returns", "mt_grpo", "gigpo")]
    stepwise += [replace(each, turn_gamma=0.5) for each in stepwise[1:]]
    stepwise.append(replace(stepwise[-1], turn_weight=2.0))
    assert len({write_formula(LossConfig(), each) for each in stepwise}) == len(stepwise)
    penalised = LossConfig(kl_coef=0.1, kl_estimator="k2")
    corrected = LossConfig(correction="token_mask")
    for base, name, value in [
        (corrected, "correction", "token_truncate"),
        (corrected, "correction", "sequence_mask"),
        (corrected, "correction", "geometric_mask"),
        (corrected, "correction_cap", 2.0),
        (corrected, "correction_floor", 0.5),
        (LossConfig(entropy_target=0.2), "entropy_step", 0.1),
        (LossConfig(entropy_target=0.2), "entropy_coef", 0.1),
        (LossConfig(kl_coef=0.1), "kl_correction", True),
    ]:
        assert write_formula(replace(base, **{name: value}), MEAN) != write_formula(base, MEAN), name
    for name, value in [("kl_in", "reward"), ("kl_in", "tokens"), ("kl_estimator", "k3")]:
        assert write_formula(replace(penalised, **{name: value}), MEAN) != write_formula(penalised, MEAN)


@pytest.mark.parametrize(
    ("loss", "advantages", "updates", "group", "sentence"),
    [
        (LossConfig(), MEAN, 1, 1, "group of one"),
        (LossConfig(), AdvantageConfig(baseline="none", scale="batch"), 1, 4, "not centred"),
        (LossConfig(), AdvantageConfig(scale="group", normalise_batch=True), 1, 4, "second time"),
        (LossConfig("reinforce"), MEAN, 2, 4, "no ratio"),
        (LossConfig("dr_grpo"), AdvantageConfig(scale="group"), 1, 4, "without a standard deviation"),
        (LossConfig("cispo", clip_low=0.1), MEAN, 1, 4, "clip_low=0.1 would have no effect"),
        (LossConfig("sapo", delta=4.0), MEAN, 1, 4, "delta=4.0 would have no effect"),
        (LossConfig("dapo", ratio_cap=3.0), MEAN, 1, 4, "ratio_cap=3.0 would have no effect"),
        (LossConfig(delta=0.5), MEAN, 1, 4, "not an offset"),
        (LossConfig(dual_clip=1.2), MEAN, 1, 4, "above 1 \\+ clip_high"),
        (LossConfig(dual_clip=3.0, delta=4.0), MEAN, 1, 4, "set only one"),
        (LossConfig("gmpo", aggregate="token_mean"), MEAN, 1, 4, "one number per sequence"),
        (LossConfig(kl_coef=0.1, kl_estimator="k1"), MEAN, 1, 4, "expectation zero"),
        (LossConfig(kl_correction=True), MEAN, 1, 4, "there is none"),
        (LossConfig(kl_coef=0.1, kl_in="reward", kl_correction=True), MEAN, 1, 4, "there is none"),
        (LossConfig(kl_coef=0.1, kl_estimator="k2", kl_correction=True), MEAN, 1, 4, "k2 is none"),
        (LossConfig(kl_coef=0.1, kl_in="tokens"), AdvantageConfig(scale="group"), 1, 4, "the reward alone"),
        (LossConfig(correction_cap=2.0), MEAN, 1, 4, "correction_cap=2.0 would have no effect"),
        (LossConfig(correction_floor=0.5), MEAN, 1, 4, "correction_floor=0.5 would have no effect"),
        (LossConfig(entropy_step=0.1), MEAN, 1, 4, "without entropy_target"),
        (LossConfig(entropy_target=0.1, entropy_coef=-1), MEAN, 1, 4, "never negative"),
        (LossConfig("clip_cov", cov_low=5.0), MEAN, 1, 4, "must lie below cov_high"),
        (LossConfig(kl_cov_coef=2.0), MEAN, 1, 4, "kl_cov_coef=2.0 would have no effect"),
        (LossConfig(), AdvantageConfig(aggregation="normalise_then_sum"), 1, 4, "Use scale='group'"),
        (LossConfig(kl_coef=0.1, kl_in="reward"), APART, 1, 4, "is of none"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(loss, advantages, updates, group, sentence):
    with pytest.raises(ValueError, match=sentence):
        check(loss, advantages, updates, group)


@pytest.mark.parametrize(
    ("group", "setting", "says"),
    [
        (AdvantageConfig, {"epsilon": -1}, "epsilon -1: give a number, 0 or more"),
        (AdvantageConfig, {"epsilon": float("nan")}, "epsilon nan"),
        (LossConfig, {"clip_low": 1.2}, "clip_low 1.2: give a number, above 0 and below 1"),
        (LossConfig, {"clip_high": 0.0}, "clip_high 0.0: give a number, above 0"),
        (LossConfig, {"delta": float("nan")}, "delta nan"),
        (LossConfig, {"dual_clip": -3.0}, "dual_clip -3.0: give a number, 0 or more"),
        (LossConfig, {"ratio_cap": 0.28}, "ratio_cap 0.28: give a number, 1 or more"),
        (LossConfig, {"tau_negative": 0.0}, "tau_negative 0.0: give a number, above 0"),
        (LossConfig, {"kl_coef": -0.1}, "kl_coef -0.1: give a number, 0 or more"),
        (ObjectiveConfig, {"updates_per_batch": 0}, "updates_per_batch 0: give a whole number, 1 or more"),
    ],
)
def test_what_is_out_of_its_range_is_refused_when_it_is_set(group, setting, says):
    with pytest.raises(SettingError, match=re.escape(says)):
        group(**setting)


def test_settings_are_documented_and_load_without_torch():
    code = (
        "import sys; from palaestra.trainer.config import objective, parse, train;"
        "from palaestra.trainer.objective import checks, formula, kinds;"
        "print('torch' in sys.modules); parse.parse(train.TrainConfig, ['--help-all'], 'train')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False")
    for name in [f"loss.{f.name}" for f in fields(LossConfig)] + [
        f"advantages.{f.name}" for f in fields(AdvantageConfig)
    ]:
        assert f"--{name.replace('_', '-')}" in done.stdout
    assert "The ratio is clipped below" in done.stdout
    assert not [name for name in KINDS if name not in done.stdout.replace(",", " ").split()]


PAGE = (Path(__file__).parents[3] / "docs" / "losses.md").read_text()


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_page_on_losses_has_every_kind_with_its_paper(kind):
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| `{kind.name}` |")]
    assert any(f"| {kind.paper} |" in row for row in rows), (
        f"docs/losses.md: no row of {kind.name} with its paper"
    )


def test_the_command_of_the_page_on_losses_prints_a_formula(capsys: pytest.CaptureFixture[str]):
    exec(PAGE.split("python -c '")[1].split("'\n")[0])
    assert "\ntoken loss   -min(s * A" in capsys.readouterr().out


def test_the_page_on_losses_has_every_preset():
    for name in PRESETS:
        assert f"\n| `{name}` |" in PAGE


def test_a_preset_says_where_it_is_from_and_what_it_leaves_to_other_settings():
    text = describe_origin(ObjectiveConfig.of(preset="dapo"))
    assert "arXiv:2503.14476" in text
    assert "--overlong-cache" in text
    assert "--" not in describe_origin(ObjectiveConfig.of(preset="dr-grpo"))


def test_a_preset_says_what_was_changed_of_it():
    changed = ObjectiveConfig.of(
        preset="dapo", resample=0, **{"loss.kind": "gspo", "advantages.scale": "none"}
    )
    text = describe_origin(changed)
    assert text.startswith(
        "Preset dapo: Yu et al. 2025, arXiv:2503.14476. Changed: loss.kind gspo instead of dapo, "
    )
    assert "advantages.scale none instead of group, resample 0 instead of 3." in text
    assert "Changed" not in describe_origin(ObjectiveConfig.of(preset="dapo", minibatches=16))
    assert "Changed: minibatches 1 instead of 16." in describe_origin(
        ObjectiveConfig.of(preset="dapo", minibatches=1)
    )


STEPS = {
    "grpo-deepseekmath": 1,  # section 4.2: "a single update following each exploration stage"
    "dapo": 16,  # section 4.1: 512 prompts of 16 responses, mini-batches of 512
    "dr-grpo": 8,  # the authors' script: 128 prompts of 8 responses, batches of 128
    "bnpo": 1,  # TRL's default
    "gspo": 4,  # a batch of rollouts in four mini-batches
    "cispo": 16,  # 16 rounds of off-policy updates on a generation batch
    "sapo": 4,  # likewise
    "gmpo": 8,  # the authors' script: 128 prompts of 8 responses, batches of 128
    "rloo": 1,
    "reinforce++": 1,
    "reinforce++-baseline": 1,  # OpenRLHF's script: 128 prompts of 8 responses, batches of 1024
    "clip-cov": 8,  # the authors' script: 256 prompts, mini-batches of 32
    "kl-cov": 8,
    "gdpo": 4,  # the authors' script: 512 prompts, mini-batches of 128
    "skywork-or1": 1,
}
"""Optimizer steps on a batch of rollouts, and where they are said."""


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_its_papers_steps_on_a_batch_or_says_that_its_bound_cannot_act(name):
    objective = ObjectiveConfig.of(preset=name)
    assert objective.updates == STEPS[name]
    warning = warn_of_idle_ratio(objective)
    if STEPS[name] > 1 or name == "rloo":  # it has no ratio
        assert warning == ""
        return
    assert warning.startswith(
        f"Warning: preset {name} takes one optimizer step on a batch here, as its paper"
    )
    assert "can't act: --minibatches N" in warning
    assert warn_of_idle_ratio(ObjectiveConfig.of(preset=name, minibatches=2)) == ""


def test_a_preset_whose_steps_were_taken_away_says_how_many_there_were():
    warning = warn_of_idle_ratio(ObjectiveConfig.of(preset="dapo", minibatches=1))
    assert "takes one optimizer step on a batch here, its paper 16." in warning
    assert "--minibatches 16" in warning
    assert warn_of_idle_ratio(ObjectiveConfig()) == "", "without a preset nobody's clip is missed"
