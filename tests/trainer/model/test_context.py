"""Positions of a model, and prompts that are held to them."""

import pytest
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.api import evaluate, train
from palaestra.trainer.model.context import count_positions, limit_prompts, limit_tokens
from palaestra.trainer.model.embedded import make_character_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM, RobertaConfig, RobertaForCausalLM

from ..support.policies import make_policy
from ..support.tiny import make_tiny

torch.set_num_threads(1)  # small matrices
TOKENIZER = make_character_tokenizer()
SIZES = {
    **{"vocab_size": 103, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1},
    **{"num_attention_heads": 4, "max_position_embeddings": 64},
}


def test_positions_by_type_of_model():
    assert count_positions(make_tiny("gpt2", n_positions=64)) == 64
    assert count_positions(make_tiny("mamba")) is None
    assert count_positions(make_tiny("mixtral", sliding_window=16)) == 256, "a window is no bound"
    roberta = RobertaForCausalLM(RobertaConfig(**SIZES, pad_token_id=1, is_decoder=True))
    assert count_positions(roberta) == 62, "two of its positions are for padding"
    yarn = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 64}
    assert count_positions(LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=yarn))) == 256
    linear = {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}
    assert count_positions(LlamaForCausalLM(LlamaConfig(**SIZES, rope_parameters=linear))) == 64, (
        "without the length it was trained with, the config's number is that of the stretched embedding"
    )
    assert count_positions(LlamaForCausalLM(LlamaConfig(**SIZES))) == 64


def test_prompts_take_what_is_left_and_are_refused_where_nothing_is():
    policy, said = make_policy(make_tiny("gpt2", n_positions=64), TOKENIZER), list[str]()
    assert limit_prompts(policy, 40, 24, said.append) == 40
    assert not said
    assert limit_prompts(policy, 1024, 24, said.append) == 40
    assert said == [
        "test has 64 positions: beside 24 new tokens (--max-new-tokens) a prompt may have 40, not 1024 "
        "(--max-prompt-tokens)."
    ]
    with pytest.raises(UserError, match=r"64 positions .*--max-new-tokens 64 leaves none.*-tokens 1024\)"):
        limit_prompts(policy, 1024, 64)
    assert limit_prompts(make_policy(make_tiny("mamba"), TOKENIZER), 10**6, 10**6) == 10**6
    readers = {"The critic": 50, "The reward model helpful": None}
    assert limit_prompts(policy, 1024, 24, said.append, readers) == 26
    assert said[-1].startswith("The critic has 50 positions: beside 24 new tokens")
    assert limit_prompts(policy, 1024, 24, said.append, {"The critic": 100}) == 40
    assert (limit_tokens(policy, 2048), limit_tokens(policy, 30)) == (64, 30)


def test_a_run_and_an_evaluation_are_held_to_them(tmp_path, capsys):
    """GPT-2 has a table of positions, so a text beyond them would be an error in the middle of a run."""
    policy = make_policy(make_tiny("gpt2", n_positions=48), TOKENIZER)
    shared = {"task": "gcd", "max_new_tokens": 4, "threads": 1}
    with pytest.raises(UserError, match="48 positions"):
        train(policy=policy, **{**shared, "max_new_tokens": 48}, steps=1, out=str(tmp_path / "refused"))
    with pytest.raises(UserError, match="48 positions"):
        evaluate(policy=policy, **{**shared, "max_new_tokens": 60}, problems=2, out=str(tmp_path / "no"))
    result = evaluate(policy=policy, **shared, problems=3, out=str(tmp_path / "eval")).result
    assert "a prompt may have 44, not 3072" in capsys.readouterr().out
    assert result.too_long == 3, "the task's prompts are longer"
