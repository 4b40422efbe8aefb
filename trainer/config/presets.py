"""Presets pinned to papers, and the group of settings that one is chosen in. Imports no torch."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from typing import Any, Self

from .objective import AdvantageConfig, LossConfig
from .settings import Count, Natural, SettingError, Settings, list_settings

RESAMPLE = 3  # rounds of a preset with dynamic sampling; the papers sample until the batch is full


@dataclass(frozen=True)
class Preset:
    """One paper's objective.

    paper: authors, year, arXiv number. updates_per_batch: passes over a batch of rollouts; minibatches:
    optimizer steps in each. group_size: the paper's, where it says so. The counts of steps of dr-grpo, gmpo,
    reinforce++-baseline, clip-cov and gdpo were read in their authors' scripts; those of dapo, gspo, cispo
    and sapo are what other projects say of the papers, whose text was not at hand.
    dynamic_sampling, soft_overlong, mask_truncated: whether the paper's recipe has them.
    note: what the paper leaves open and how it was settled here, or what differs from it.
    """

    name: str
    paper: str
    loss: LossConfig
    advantages: AdvantageConfig
    updates_per_batch: int = 1
    minibatches: int = 1
    group_size: int = 8
    dynamic_sampling: bool = False
    soft_overlong: bool = False
    mask_truncated: bool = False
    note: str = ""

    @property
    def updates(self) -> int:
        """Optimizer steps on a batch of rollouts."""
        return self.updates_per_batch * self.minibatches

    def list_settings(self) -> dict[str, Any]:
        """What it sets of `ObjectiveConfig`, by field."""
        return {
            "preset": self.name,
            "loss": self.loss,
            "advantages": self.advantages,
            "updates_per_batch": self.updates_per_batch,
            "minibatches": self.minibatches,
            "mask_truncated": self.mask_truncated,
            "resample": RESAMPLE if self.dynamic_sampling else 0,
        }


_GROUP_STD = AdvantageConfig(baseline="mean", scale="group")

_PRESETS = [
    Preset(
        "grpo-deepseekmath",
        "Shao et al. 2024, arXiv:2402.03300",
        LossConfig("grpo", clip_low=0.2, clip_high=0.2, kl_coef=0.04, kl_estimator="k3", kl_in="loss"),
        _GROUP_STD,
        group_size=64,
        note="The paper gives neither the clip range nor the ddof and epsilon of the standard deviation: "
        "0.2, 1, 1e-4.",
    ),
    Preset(
        "dapo",
        "Yu et al. 2025, arXiv:2503.14476",
        LossConfig("dapo", clip_low=0.2, clip_high=0.28),
        _GROUP_STD,
        minibatches=16,
        group_size=16,
        dynamic_sampling=True,
        soft_overlong=True,
    ),
    Preset(
        "dr-grpo",
        "Liu et al. 2025, arXiv:2503.20783",
        LossConfig("dr_grpo", clip_low=0.2, clip_high=0.2),
        AdvantageConfig(baseline="mean", scale="none"),
        minibatches=8,
        group_size=8,
        note="The constant is the length limit of a completion.",
    ),
    Preset(
        "bnpo",
        "the name of TRL (docs: GRPOConfig.loss_type)",
        LossConfig("bnpo", clip_low=0.2, clip_high=0.2),
        _GROUP_STD,
        note="There it divides by the tokens of each process's own micro-batch, so the gradient depends on "
        "the micro-batch size. Here it divides by those of the whole step, which makes it dapo with a "
        "symmetric clip.",
    ),
    Preset(
        "gspo",
        "Zheng et al. 2025, arXiv:2507.18071",
        LossConfig("gspo", clip_low=3e-4, clip_high=4e-4),
        _GROUP_STD,
        minibatches=4,
        note="The clip range is that of a mean log-ratio, hence so much smaller than PPO's.",
    ),
    Preset(
        "cispo",
        "MiniMax 2025, arXiv:2506.13585; cap from Khatri et al. 2025, arXiv:2510.13786",
        LossConfig("cispo", ratio_cap=5.0),
        _GROUP_STD,
        minibatches=16,
        note="MiniMax-M1 does not state its cap; ScaleRL uses an absolute one and finds 4 to 8 to do "
        "equally well.",
    ),
    Preset(
        "sapo",
        "Gao et al. 2025, arXiv:2511.20347",
        LossConfig("sapo", tau_positive=1.0, tau_negative=1.05),
        _GROUP_STD,
        minibatches=4,
    ),
    Preset(
        "gmpo",
        "Zhao et al. 2025, arXiv:2507.20673",
        LossConfig("gmpo", log_clip=0.4),
        _GROUP_STD,
        minibatches=8,
        note="The ratio is clipped to (e^-0.4, e^0.4) per token before the geometric mean.",
    ),
    Preset(
        "rloo",
        "Ahmadian et al. 2024, arXiv:2402.14740",
        LossConfig("reinforce", kl_coef=0.03, kl_estimator="k1", kl_in="reward"),
        AdvantageConfig(baseline="leave_one_out", scale="none"),
        group_size=4,
        note="The coefficient of the KL is a usual value; the paper tunes it per data set.",
    ),
    Preset(
        "reinforce++",
        "Hu et al. 2025, arXiv:2501.03262",
        LossConfig("dapo", clip_low=0.2, clip_high=0.2, kl_coef=0.01, kl_estimator="k1", kl_in="tokens"),
        AdvantageConfig(baseline="none", scale="none", normalise_batch=True),
        group_size=1,
        note="The coefficient of the KL is a usual value, and the steps on a batch are those of the authors' "
        "OpenRLHF scripts, which take the whole of it at once.",
    ),
    Preset(
        "reinforce++-baseline",
        "Hu et al. 2025, arXiv:2501.03262",
        LossConfig("dapo", clip_low=0.2, clip_high=0.2, kl_coef=0.001, kl_estimator="k2", kl_in="loss"),
        AdvantageConfig(baseline="mean", scale="none", normalise_batch=True),
        group_size=8,
        note="The coefficient of the KL is a usual value, and the steps on a batch are those of the authors' "
        "OpenRLHF scripts, which take the whole of it at once.",
    ),
    Preset(
        "clip-cov",
        "Cui et al. 2025, arXiv:2505.22617",
        LossConfig("clip_cov", clip_low=0.999, clip_high=1.0, clip_cov_share=2e-4, cov_low=1.0, cov_high=5.0),
        _GROUP_STD,
        minibatches=8,
        group_size=8,
        dynamic_sampling=True,
        note="The authors' clip offsets are 1 and 1, of which the lower is no bound: 0.999 stands for it.",
    ),
    Preset(
        "kl-cov",
        "Cui et al. 2025, arXiv:2505.22617",
        LossConfig("kl_cov", kl_cov_share=2e-3, kl_cov_coef=1.0),
        _GROUP_STD,
        minibatches=8,
        group_size=8,
        dynamic_sampling=True,
        note="The share is that for a model of 7 B parameters; the authors take 2e-4 for 32 B.",
    ),
    Preset(
        "gdpo",
        "Liu et al. 2026, arXiv:2601.05242",
        LossConfig("dapo", clip_low=0.2, clip_high=0.2),
        AdvantageConfig(
            baseline="mean", scale="group", aggregation="normalise_then_sum", normalise_batch=True
        ),
        minibatches=4,
        group_size=4,
        note="Clip, average and the steps on a batch are those of the authors' script for verl.",
    ),
    Preset(
        "skywork-or1",
        "He et al. 2025, arXiv:2505.22312",
        LossConfig("dapo", clip_low=0.2, clip_high=0.2, entropy_target=0.2, entropy_step=0.005),
        _GROUP_STD,
        group_size=16,
        dynamic_sampling=True,
        note="The paper's last recipe is on-policy. Group size and clip are usual values.",
    ),
]

PRESETS: dict[str, Preset] = {preset.name: preset for preset in _PRESETS}


@dataclass(frozen=True)
class ObjectiveConfig(Settings):
    """What is optimised: loss, advantages, and which completions count."""

    preset: str = ""
    """Loss, advantages and steps on a batch of a paper, such as grpo-deepseekmath, dapo, dr-grpo;
    single settings can still be changed."""
    loss: LossConfig = field(default_factory=LossConfig)
    advantages: AdvantageConfig = field(default_factory=AdvantageConfig)
    updates_per_batch: Count = 1
    """Passes over each batch of rollouts; 1 is strictly on-policy."""
    minibatches: Count = 1
    """Optimizer steps in each pass over a batch."""
    overlong_cache: Natural = 0
    """Tokens before the length limit over which a penalty grows from 0 to 1 (DAPO's soft overlong penalty);
    0: none."""
    mask_truncated: bool = False
    """Leave completions that were cut at the length limit out of the loss (DAPO's overlong filtering)."""
    resample: Natural = 0
    """Times that groups without a signal (all rewards equal) are replaced by new problems in a step; 0:
    never."""

    @property
    def updates(self) -> int:
        """Optimizer steps on each batch."""
        return self.updates_per_batch * self.minibatches

    def assign(self, field: str, value: Any) -> Self:
        """A preset brings its loss, its advantages and what else of its recipe has a setting here."""
        if field != "preset" or not value:
            return super().assign(field, value)
        return replace(self, **find_preset(value).list_settings())


def find_preset(name: str) -> Preset:
    """The preset of that name. Raises SettingError, with the nearest name, when there is none."""
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]}?" if near else f"Presets: {', '.join(PRESETS)}."
        raise SettingError(f"There is no preset {name!r}. {hint}")
    return PRESETS[name]


def describe_origin(objective: ObjectiveConfig) -> str:
    """Where a preset comes from, what was changed of it, and what of the paper's recipe it leaves to other
    settings, in plain text. There must be one."""
    preset = PRESETS[objective.preset]
    lines = [f"Preset {preset.name}: {preset.paper}.", preset.note]
    if changed := list_changes(objective):
        lines.append(f"Changed: {', '.join(changed)}.")
    if preset.soft_overlong and not objective.overlong_cache:
        lines.append(
            "Its soft overlong penalty depends on the length limit: "
            "set --overlong-cache (DAPO takes a fifth of it)."
        )
    return " ".join(line for line in lines if line)


def list_changes(objective: ObjectiveConfig) -> list[str]:
    """The settings that differ from what the preset set them to, each as "loss.kind gspo instead of dapo"."""
    brought = find_preset(objective.preset).list_settings()
    pure = replace(objective, **brought)
    return [
        f"{setting.name} {setting.value(objective)} instead of {setting.value(pure)}"
        for setting in list_settings(ObjectiveConfig)
        if setting.path[0] in brought and setting.value(objective) != setting.value(pure)
    ]
