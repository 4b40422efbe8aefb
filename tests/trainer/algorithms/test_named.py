"""Algorithms by name: what each reads, and what is refused before anything is loaded."""

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
