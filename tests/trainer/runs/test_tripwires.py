"""Tripwires: each bound warns once, and stops the run after its patience."""

from palaestra.trainer.config.train import WatchConfig
from palaestra.trainer.runs.tripwires import Watch

HEALTHY = {"step": 1, "tokens": 10.0, "entropy": 0.5, "approx_kl": 0.0, "truncated": 0.0, "extracted": 1.0}


def test_a_tripwire_warns_once_and_stops_after_its_patience():
    watch, config = Watch(), WatchConfig(patience=3)
    assert watch.look(HEALTHY, config) == []
    warnings = [watch.look({**HEALTHY, "step": step, "entropy": 1e-6}, config) for step in (2, 3, 4)]
    assert [len(lines) for lines in warnings] == [1, 0, 0]
    assert "entropy is 1e-06, below 0.0001" in warnings[0][0]
    assert watch.list_tripped(config) == ["entropy"]
    watch.look(HEALTHY, config)
    assert watch.list_tripped(config) == []
    flickering = [
        watch.look({**HEALTHY, "step": step, "entropy": 1e-6 * (step % 2)}, config) for step in (6, 7, 8)
    ]
    assert flickering == [[], [], []]


def test_every_bound_can_be_crossed_and_zero_switches_it_off():
    config = WatchConfig(patience=1, reference_kl_max=0.1, length_growth_max=2.0, logprob_difference_max=0.1)
    bad = {
        "step": 2,
        "tokens": 30.0,
        "entropy": 0.0,
        "approx_kl": 9.0,
        "kl_k3": 1.0,
        "truncated": 1.0,
        "extracted": 0.0,
        "logprob_difference_max": 1.0,
    }
    watch = Watch()
    watch.look(HEALTHY, config)
    assert len(watch.look(bad, config)) == 7
    off = WatchConfig(0, 0, 0, 0, 0, 0, 0)
    watch = Watch()
    watch.look(HEALTHY, off)
    assert watch.look(bad, off) == []
