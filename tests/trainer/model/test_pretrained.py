"""Models that bring Python code along: refused until the user trusts it, then trained, saved and resumed."""

import json
import sys
from pathlib import Path

import pytest
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.algorithms.critic import count_critic_bytes, make_critic
from palaestra.trainer.config.evaluation import EvalConfig
from palaestra.trainer.config.train import TrainConfig
from palaestra.trainer.evaluation.run import evaluate_model
from palaestra.trainer.model.policy import load_policy
from palaestra.trainer.reward_models.model import load_reward_model, make_reward_model
from palaestra.trainer.runs.resume import resume
from palaestra.trainer.runs.setup import train
from transformers import dynamic_module_utils

from ..support.runs import SMALL, say_nothing

CODE = """
from torch import nn
from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3Model, Qwen3PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

class OwnConfig(Qwen3Config):
    model_type = "own"

class OwnForCausalLM(Qwen3ForCausalLM):
    config_class = OwnConfig

class OwnModel(Qwen3Model):
    config_class = OwnConfig

class OwnForSequenceClassification(Qwen3PreTrainedModel):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.model = OwnModel(config)
        self.score = nn.Linear(config.hidden_size, config.num_labels, bias=False)
        self.post_init()

    def forward(self, input_ids, use_cache=False):
        hidden = self.model(input_ids=input_ids, use_cache=use_cache)[0]
        return SequenceClassifierOutput(logits=self.score(hidden[:, -1]))
"""
FLAG = "--trust-remote-code"


@pytest.fixture
def own(tmp_path: Path, warm_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose model is of an architecture that its own file defines."""
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder = tmp_path / "own"
    folder.mkdir()
    for file in warm_model.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    names = {"AutoConfig": "OwnConfig", "AutoModel": "OwnModel"}
    names |= {f"AutoModelFor{head}": f"OwnFor{head}" for head in ("CausalLM", "SequenceClassification")}
    config |= {"model_type": "own", "auto_map": {name: f"own_code.{kind}" for name, kind in names.items()}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own_code.py").write_text(CODE)
    return folder


def test_code_of_a_models_own_runs_only_when_it_is_trusted(own: Path, warm_model: Path):
    policy = load_policy(str(warm_model), "cpu", "float32")
    starting = TrainConfig.of(**{"ppo.critic_model": str(own)})
    for load in (
        lambda: load_policy(str(own), "cpu"),
        lambda: make_critic(policy, starting),
        lambda: count_critic_bytes(policy, starting),
        lambda: evaluate_model(EvalConfig.of(task="gcd", model=str(own), problems=1, out=str(own / "out"))),
    ):
        with pytest.raises(UserError, match=FLAG):
            load()
    assert type(load_policy(str(own), "cpu", trust_remote_code=True).model).__name__ == "OwnForCausalLM"
    judge = make_reward_model(load_policy(str(own), "cpu", trust_remote_code=True), trust_remote_code=True)
    assert type(judge.model).__name__ == "OwnForSequenceClassification"
    trusting = starting.but(trust_remote_code=True)
    critic = make_critic(policy, trusting)
    assert type(critic.backbone).__name__ == "OwnModel"
    assert count_critic_bytes(policy, trusting).weights > 1_000_000
    config = json.loads((own / "config.json").read_text())
    (own / "config.json").write_text(
        json.dumps({**config, "architectures": ["OwnForSequenceClassification"], "num_labels": 1})
    )
    with pytest.raises(UserError, match=FLAG):
        load_reward_model(str(own), "cpu")
    judge = load_reward_model(str(own), "cpu", trust_remote_code=True)
    assert type(judge.model).__name__ == "OwnForSequenceClassification"


def test_a_run_of_such_a_model_is_saved_with_its_code_and_goes_on(own: Path, tmp_path: Path):
    config = SMALL.but(
        model=str(own), trust_remote_code=True, eval_every=0, preflight_problems=0, **{"loss.kl_coef": 0.01}
    )
    train(config.but(out=str(tmp_path / "whole")), say=say_nothing)
    train(config.but(out=str(tmp_path / "run"), stop_after=2), say=say_nothing)
    resume(tmp_path / "run", {}, say=say_nothing)
    for name in ("whole", "run"):
        model = load_policy(str(tmp_path / name / "model"), "cpu", trust_remote_code=True).model
        assert type(model).__name__ == "OwnForCausalLM"
    with pytest.raises(UserError, match=FLAG):
        load_policy(str(tmp_path / "run" / "model"), "cpu")
    left, right = (
        load_policy(str(tmp_path / name / "model"), "cpu", trust_remote_code=True)
        for name in ("whole", "run")
    )
    assert all(
        (left.model.state_dict()[name] == tensor).all() for name, tensor in right.model.state_dict().items()
    )


def test_adapters_on_such_a_model_are_merged_and_saved(own: Path, tmp_path: Path):
    pytest.importorskip("peft")
    config = SMALL.but(model=str(own), trust_remote_code=True, lora_rank=2, steps=1, eval_every=0)
    train(config.but(preflight_problems=0, out=str(tmp_path / "run")), say=say_nothing)
    model = load_policy(str(tmp_path / "run" / "model"), "cpu", trust_remote_code=True).model
    assert type(model).__name__ == "OwnForCausalLM"


def test_a_config_whose_values_do_not_go_together_is_a_sentence(tmp_path):
    values = {"model_type": "llama", "hidden_size": 8, "num_attention_heads": 32}
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"could not be loaded as a tokenizer: .*not a multiple"):
        load_policy(str(tmp_path))
