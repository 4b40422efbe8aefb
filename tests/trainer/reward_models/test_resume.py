"""A fit of a reward model stops, and goes on, as every run does."""

import json
from pathlib import Path

import pytest
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.config.reward_model import RewardModelConfig
from palaestra.trainer.reward_models.run import fit_to_comparisons
from palaestra.trainer.runs.resume import resume
from transformers import AutoModelForSequenceClassification


@pytest.fixture
def settings(tmp_path: Path) -> RewardModelConfig:
    rows = [{"prompt": f"{n}?", "chosen": f"{n}4", "rejected": f"{n}7"} for n in range(40)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return RewardModelConfig.of(
        data=(str(tmp_path / "pairs.jsonl"),),
        steps=8,
        batch_size=4,
        eval_share=0.3,
        eval_every=3,
        save_every=2,
        device="cpu",
        threads=1,
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return AutoModelForSequenceClassification.from_pretrained(folder / "model").state_dict()


def test_stop_and_resume_ends_in_the_same_bits_and_numbers(settings: RewardModelConfig, tmp_path: Path):
    whole = fit_to_comparisons(settings.but(out=tmp_path / "whole"), say=lambda _line: None)
    stopped = fit_to_comparisons(settings.but(out=tmp_path / "run", stop_after=3), say=lambda _line: None)
    assert stopped.interrupted
    assert not (tmp_path / "run" / "model").exists()
    again = resume(tmp_path / "run", {}, say=lambda _line: None)
    assert not again.interrupted
    left, right = weights(tmp_path / "whole"), weights(tmp_path / "run")
    assert all(torch.equal(left[name], right[name]) for name in left)
    summaries = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("whole", "run")]
    assert summaries[0] == summaries[1]
    assert whole.after is not None
    assert whole.after["loss"] < whole.before["loss"]
    statistics = [
        json.loads((tmp_path / name / "model" / "reward_model.json").read_text()) for name in ("whole", "run")
    ]
    assert statistics[0] == statistics[1]
    assert statistics[0]["std"] > 0


def test_a_folder_that_is_no_run_is_a_sentence(tmp_path: Path):
    with pytest.raises(UserError, match=r"is not the folder of a run: it holds no config\.json"):
        resume(tmp_path, {})
