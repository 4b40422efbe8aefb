"""Whole runs with top-k, top-p and min-p: sampler and update agree, and the bits come again."""

from dataclasses import replace
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.engines import choice
from palaestra.trainer.engines.base import Sampling
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.reports.curves import read_metrics
from palaestra.trainer.runs.replay import replay
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train

from ..support.runs import SMALL, have_same_weights, make_listening_engine, say_nothing

TRUNCATED = SMALL.but(top_k=20, top_p=0.95, min_p=0.01, eval_every=0, eval_problems=4)
RUNS = {
    "grpo": TRUNCATED.but(**{"loss.kl_coef": 0.05}),
    "ppo": TRUNCATED.but(algorithm="ppo", **{"ppo.critic": "shared", "ppo.kl.kl_coef": 0.05}),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_truncated_run_agrees_resumes_and_is_replayed(name: str, warm_model: Path, tmp_path: Path):
    config, said = RUNS[name].but(model=str(warm_model)), list[str]()
    train(config.but(out=str(tmp_path / "whole")), say=said.append)
    assert sum("that top-k 20, then top-p 0.95, then min-p 0.01 left" in line for line in said) == 1
    steps = [line for line in read_metrics(tmp_path / "whole") if line["kind"] == "step"]
    differences = [line["logprob_difference_max"] for line in steps]
    assert len(differences) == 4
    assert max(difference for difference in differences if difference is not None) < 5e-5
    assert not have_same_weights(tmp_path / "whole" / "model", warm_model)
    train(config.but(out=str(tmp_path / "run"), stop_after=2), say=say_nothing)
    resume(tmp_path / "run", {}, say=say_nothing)
    assert have_same_weights(tmp_path / "run" / "model", tmp_path / "whole" / "model")
    assert replay(tmp_path / "whole", 3).matches


class ForgetsWhatWasKept(LocalEngine):
    def sample(self, requests, sampling, finished=None):
        found = super().sample(requests, sampling, finished)
        return [[replace(completion, kept=None) for completion in group] for group in found]


def test_a_run_stops_where_an_engine_does_not_record_what_was_kept(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(choice, "LocalEngine", ForgetsWhatWasKept)
    with pytest.raises(UserError, match="differ"):
        train(TRUNCATED.but(model=str(warm_model), out=str(tmp_path / "run"), top_k=2), say=say_nothing)


def test_only_what_is_trained_on_is_recorded(
    warm_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Preflight and evaluations keep many completions, and need no sets."""
    asked: list[Sampling] = []
    monkeypatch.setattr(choice, "LocalEngine", make_listening_engine(asked))
    train(TRUNCATED.but(model=str(warm_model), out=str(tmp_path / "run"), steps=2), say=say_nothing)
    assert {(one.top_k, one.top_p, one.min_p) for one in asked} == {(20, 0.95, 0.01)}
    assert [one.record_kept for one in asked].count(True) == 2
    assert len(asked) > 5


@pytest.mark.parametrize(("change", "says"), [({"top_k": 1}, "--top-k 1"), ({"min_p": 1.0}, "--min-p 1")])
def test_a_truncation_that_leaves_one_token_is_refused(tmp_path: Path, change: dict, says: str):
    with pytest.raises(UserError, match=f"{says} leaves only the most likely token"):
        train(SMALL.but(model="embedded", out=str(tmp_path / "run"), **change), say=say_nothing)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "change", [{"top_p": 0.0}, {"top_p": 1.5}, {"top_k": -1}, {"min_p": -0.1}, {"min_p": 2}]
)
def test_a_truncation_out_of_its_range_is_refused(change: dict):
    with pytest.raises(UserError, match=next(iter(change))):
        SMALL.but(**change)


@pytest.mark.parametrize("change", [{"top_p": 1e-6}, {"min_p": 0.99999}])
def test_a_truncation_that_turns_out_to_leave_one_token_is_refused(
    warm_model: Path, tmp_path: Path, change: dict
):
    config = SMALL.but(model=str(warm_model), out=str(tmp_path / "run"), preflight_problems=4, **change)
    with pytest.raises(UserError, match="left with a probability of 1, so no gradient: raise --top-p"):
        train(config, say=say_nothing)
