"""Algorithms by name: what each reads, and what is refused before anything is loaded."""

from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.runs.setup import check


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"ppo.gamma": 0.5},
            r"--ppo\.gamma 0\.5 would have no effect: GRPO does not read it, --algorithm ppo would",
        ),
        ({"ppo.kl.kl_coef": 0.3}, r"--ppo\.kl\.kl-coef 0\.3 would .* Leave it at 0\.05"),
        ({"ppo.critic": "shared"}, r"--ppo\.critic shared would have no effect"),
    ],
)
def test_settings_of_another_algorithm_are_refused(settings: dict[str, object], says: str):
    with pytest.raises(UserError, match=says):
        check(TrainConfig.of(**settings))
    check(TrainConfig.of(algorithm="ppo", **settings))


CREDIT = "    def credit(self, batch):\n        return batch\n"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("    pass\n", r"mine\.py.*: Mine has no credit\(self, batch\)"),
        (
            "    def __init__(self):\n        pass\n" + CREDIT,
            r"Mine can't be made from \(policy, config\): too many",
        ),
        (
            "    def __init__(self, policy, config, more):\n        pass\n" + CREDIT,
            "can't be made.*missing a required argument: 'more'",
        ),
    ],
)
@pytest.mark.parametrize("suffix", ["", ":Mine"])
def test_a_class_that_would_fail_in_mid_run_is_refused(tmp_path: Path, body: str, says: str, suffix: str):
    (tmp_path / "mine.py").write_text(f"import palaestra as pal\nclass Mine(pal.Algorithm):\n{body}")
    with pytest.raises(UserError, match=says):
        check(TrainConfig.of(algorithm=f"{tmp_path / 'mine.py'}{suffix}"))
