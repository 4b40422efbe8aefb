"""Models that can't be decoded as most can: each in the mode that is right, or refused with a sentence."""

import itertools
from dataclasses import replace

import pytest
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.engines.base import Request, Row, Sampling
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.model.embedded import make_character_tokenizer, make_small_transformer
from palaestra.trainer.model.modes import MODES, DecodingMode, start_decoding
from palaestra.trainer.model.probe import (
    LEAST_POSITIONS,
    choose_mode,
    describe_decoding,
    measure_decoding,
)
from palaestra.trainer.model.threads import choose_threads
from palaestra.trainer.model.update_probe import check_update
from transformers import BertConfig, BertLMHeadModel, GPT2LMHeadModel

from ..support.policies import make_policy
from ..support.tiny import make_tiny

torch.set_num_threads(1)  # small matrices
TOKENIZER = make_character_tokenizer()
PROMPTS = ["What is 17 + 25?", "3", "4 + 3 =", "2 + 3 ="]
SERVED = {
    "gpt2": DecodingMode("configured", joins=True, keeps=True),
    "lfm2": DecodingMode("configured", joins=True, keeps=True),  # recurrent layers, too
    "mamba": DecodingMode("configured", joins=True),  # its cache has another name; it is read on by steps
    "recurrent_gemma": DecodingMode("none", padded=True),  # its state is in the modules
    "rwkv": DecodingMode("none", padded=True),  # its state is no cache
}


@pytest.mark.parametrize("kind", SERVED)
def test_what_is_sampled_has_the_log_probabilities_of_the_models_own_pass(kind: str):
    """Ragged prompts, forks, rows that end, several waves; and given rows."""
    model = make_tiny(kind)
    model.generation_config.eos_token_id = [1, 20, 40, 60, 80]
    policy = make_policy(model, TOKENIZER)
    assert choose_mode(policy) == SERVED[kind]
    engine = LocalEngine(policy, rows=12)
    requests = [Request(TOKENIZER(text).input_ids, 5, stream) for stream, text in enumerate(PROMPTS)]
    drawn = list(itertools.chain(*engine.sample(requests, Sampling(max_new_tokens=20))))
    assert len({len(completion.ids) for completion in drawn}) > 3, "some were to end early"
    rows = [Row(completion.prompt_ids, completion.ids) for completion in drawn]
    for completion, again in zip(drawn, engine.compute_logprobs(rows), strict=True):
        ids = torch.tensor([[*completion.prompt_ids, *completion.ids]])
        with torch.no_grad():
            logits_TV = model(input_ids=ids, use_cache=False).logits[0, len(completion.prompt_ids) - 1 : -1]
        true_T = logits_TV.log_softmax(-1).gather(-1, torch.tensor(completion.ids)[:, None])[:, 0]
        assert (true_T - torch.tensor(completion.logprobs)).abs().max() <= 5e-5
        assert (true_T - torch.tensor(again)).abs().max() <= 5e-5


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: f"{mode.cache}-{mode.padded}")
def test_every_mode_serves_a_model_that_keeps_to_the_rules(mode: DecodingMode):
    model = make_tiny("gpt2")
    worst = measure_decoding(model, lambda *given: start_decoding(model, mode, *given), ragged=mode.padded)
    assert worst <= 1e-5


class Forgetful(GPT2LMHeadModel):
    """Takes a cache and leaves it empty, as RWKV and Mamba did."""

    def forward(self, *args, past_key_values=None, **options):
        return super().forward(*args, **options)


class Unpadded(GPT2LMHeadModel):
    """Does not heed the mask."""

    def forward(self, *args, attention_mask=None, **options):
        return super().forward(*args, **options)


def make_as(kind: type, **changes):
    model = make_tiny("gpt2", **changes)
    model.__class__ = kind
    return model


def test_a_cache_that_is_not_heeded_and_a_mask_that_is_not_are_found():
    assert choose_mode(make_policy(make_as(Forgetful), TOKENIZER)).cache == "none"
    assert choose_mode(make_policy(make_as(Unpadded), TOKENIZER)) == DecodingMode("configured", padded=False)
    assert "every step runs the whole text" in describe_decoding(make_policy(make_as(Forgetful), TOKENIZER))
    assert "does not heed padding" in describe_decoding(make_policy(make_as(Unpadded), TOKENIZER))
    assert describe_decoding(make_policy(make_tiny("gpt2"), TOKENIZER), turns=True) == ""
    again = "at each turn the whole text is read again"
    mamba = make_policy(make_tiny("mamba"), TOKENIZER)
    assert again in describe_decoding(mamba, turns=True)
    assert describe_decoding(mamba) == ""


def test_prompts_of_one_length_go_together_where_padding_is_not_heeded():
    model = make_as(Unpadded)
    requests = [Request(TOKENIZER(text).input_ids, 3, 0) for text in ("2 + 3 =", "3", "4 + 3 =")]
    groups = LocalEngine(make_policy(model, TOKENIZER)).sample(requests, Sampling(max_new_tokens=8))
    plain = LocalEngine(make_policy(make_tiny("gpt2"), TOKENIZER)).sample(
        requests, Sampling(max_new_tokens=8)
    )
    assert [[c.ids for c in group] for group in groups] == [[c.ids for c in group] for group in plain]


class NeedsMore(GPT2LMHeadModel):
    def forward(self, *args, pixels=None, **options):
        if pixels is None:
            raise KeyError("pixels")
        return super().forward(*args, **options)


def test_a_model_that_can_t_be_decoded_is_refused_with_its_type_the_difference_and_the_remedy():
    config = BertConfig(
        vocab_size=103, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        initializer_range=0.2, is_decoder=False,
    )  # fmt: skip
    policy = make_policy(BertLMHeadModel(config).eval(), TOKENIZER)
    for refuse in (choose_mode, check_update, LocalEngine):
        with pytest.raises(
            UserError, match=r"type bert .*without a cache.*what stands after it, or beside.*Take another"
        ):
            refuse(policy)
    with pytest.raises(UserError, match=r"can't be run on token ids alone \(KeyError: 'pixels'\)"):
        choose_mode(make_policy(make_as(NeedsMore), TOKENIZER))


@pytest.mark.parametrize("positions", [LEAST_POSITIONS, 20, 28])
def test_a_model_with_few_positions_is_probed_within_them(positions: int):
    policy = make_policy(make_tiny("gpt2", n_positions=positions), TOKENIZER)
    assert choose_mode(policy) == SERVED["gpt2"]
    check_update(policy)


def test_a_model_with_too_few_positions_is_refused_by_their_number():
    for check in (choose_mode, check_update):
        with pytest.raises(UserError, match=rf"has 8 positions .* takes {LEAST_POSITIONS} or more"):
            check(make_policy(make_tiny("gpt2", n_positions=8), TOKENIZER))
    dense = make_small_transformer(103, 1, 0, 0)
    dense.config.max_position_embeddings = 8
    for check in (describe_decoding, check_update):
        with pytest.raises(UserError, match="has 8 positions"):
            check(make_policy(dense, TOKENIZER))
    assert LocalEngine(make_policy(dense, TOKENIZER)).path == "fast"


def test_threads_are_tried_on_rows_within_the_positions(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", lambda _count: None)
    assert choose_threads(make_policy(make_tiny("gpt2", n_positions=20), TOKENIZER), "auto") in (1, 2)


def test_in_bfloat16_the_mode_is_held_to_the_run_s_arithmetic():
    policy = make_policy(make_tiny("gpt2"), TOKENIZER, torch.bfloat16)
    assert choose_mode(policy) == replace(SERVED["gpt2"], folds="casts")

    class Fragile(GPT2LMHeadModel):
        def forward(self, *args, **options):
            if torch.is_autocast_enabled("cpu"):
                raise RuntimeError("expected scalar type Float but found BFloat16")
            return super().forward(*args, **options)

    with pytest.raises(UserError, match=r"in bfloat16 .*found BFloat16.*--dtype float32"):
        choose_mode(make_policy(make_as(Fragile), TOKENIZER, torch.bfloat16))


def test_memory_that_runs_out_in_the_probe_is_no_fault_of_the_model():
    class Hungry(GPT2LMHeadModel):
        def forward(self, *args, **options):
            raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(torch.OutOfMemoryError):
        choose_mode(make_policy(make_as(Hungry), TOKENIZER))
