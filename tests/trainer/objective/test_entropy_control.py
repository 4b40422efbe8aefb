"""The adaptive weight of the entropy bonus."""

import pytest
from palaestra.trainer.config.objective import LossConfig
from palaestra.trainer.objective.entropy_control import EntropyControlState, start, step

from ..support import reference

ENTROPIES = [0.5, 0.25, 0.2, 0.19, 0.1, 0.05, 0.21, 0.2, 0.6, 0.6, 0.6, 0.6, 0.1]


@pytest.mark.parametrize("coefficient", [0.0, 0.002, 0.1])
def test_agrees_with_the_reference(coefficient):
    config = LossConfig(entropy_coef=coefficient, entropy_target=0.2, entropy_step=0.005)
    state, in_force = start(config), []
    for entropy in ENTROPIES:
        state = step(state, entropy, config)
        in_force.append(state.in_force)
    expected, last = reference.entropy_bonuses(ENTROPIES, coefficient, 0.2, 0.005)
    assert in_force == pytest.approx(expected)
    assert state.entropy_coef == pytest.approx(last)


def test_a_bonus_is_in_force_at_the_target_and_below_and_never_above():
    config = LossConfig(entropy_coef=0.01, entropy_target=0.2)
    assert [step(start(config), e, config).in_force for e in (0.1, 0.2, 0.2001)] == [0.01, 0.01, 0.0]
    assert [step(start(config), e, config).entropy_coef for e in (0.1, 0.2, 0.3)] == pytest.approx(
        [0.015, 0.01, 0.005]
    )


def test_without_a_target_nothing_moves_and_what_is_no_number_moves_nothing():
    fixed = LossConfig(entropy_coef=0.03)
    assert step(start(fixed), 0.0, fixed) == EntropyControlState(0.03, 0.03)
    moving = LossConfig(entropy_coef=0.03, entropy_target=0.2)
    assert step(start(moving), float("nan"), moving) == EntropyControlState(0.03, 0.0)
