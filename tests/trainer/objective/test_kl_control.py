"""The coefficient of the KL penalty: golden steps, its target, and what a run may feed it."""

import pytest
from palaestra.trainer.config.objective import KLControlConfig
from palaestra.trainer.objective.kl_control import KLControlState, start, step

NAN = float("nan")


def test_golden_adaptive_kl_steps():
    """Ziegler's code: 256 of 10000 completions; an error of more than 20 % counts as 20 %."""
    config = KLControlConfig(kl_coef=0.1, target_kl=6.0, horizon=10_000)
    state = start(config)
    state = step(state, 12.0, 256, config)
    assert state.kl_coef == pytest.approx(0.1 * (1 + 0.2 * 0.0256))
    state = step(state, 5.4, 256, config)
    assert state.kl_coef == pytest.approx(0.1 * 1.00512 * (1 - 0.1 * 0.0256))
    state = step(state, -3.0, 256, config)
    assert state.kl_coef == pytest.approx(0.1 * 1.00512 * 0.99744 * (1 - 0.2 * 0.0256))
    assert step(state, 6.0, 256, config) == state


def test_the_controller_survives_what_a_run_may_feed_it():
    config = KLControlConfig(kl_coef=0.1, target_kl=6.0, horizon=10)
    for kl in (NAN, float("inf"), float("-inf")):
        assert step(KLControlState(0.1), kl, 256, config) == KLControlState(0.1)
    assert step(KLControlState(0.1), 0.0, 100_000, config).kl_coef > 0
    fixed = KLControlConfig(kl_coef=0.1)
    assert step(start(fixed), 50.0, 256, fixed) == KLControlState(0.1)


def test_the_controller_steers_to_its_target():
    config = KLControlConfig(kl_coef=0.01, target_kl=6.0, horizon=2_000)
    state = start(config)
    for _ in range(400):  # a policy whose KL falls as the coefficient grows
        state = step(state, 0.6 / state.kl_coef, 256, config)
    assert 0.6 / state.kl_coef == pytest.approx(6.0, rel=0.01)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"kl_coef": -0.1}, "kl_coef -0.1: give a number, 0 or more"),
        ({"kl_coef": 0.0, "target_kl": 6.0}, "multiplied"),
        ({"target_kl": -1.0}, "target_kl -1.0: give a number, 0 or more"),
        ({"target_kl": NAN}, "target_kl nan: give a number, 0 or more"),
        ({"horizon": 0}, "horizon 0: give a whole number, 1 or more"),
    ],
)
def test_a_controller_that_cannot_work_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        start(KLControlConfig(**settings))
