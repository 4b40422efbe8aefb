"""Models' own forward passes over a cache that stays where it is, their steps recorded."""

import itertools
from dataclasses import replace

import pytest
import torch
from palaestra.trainer.engines.base import Request, Sampling
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.model import probe
from palaestra.trainer.model.captures import Tape
from palaestra.trainer.model.decoding import Extent
from palaestra.trainer.model.embedded import make_character_tokenizer
from palaestra.trainer.model.fixed import LENGTHS, WIDTHS
from palaestra.trainer.model.modes import STATIC, DecodingMode
from palaestra.trainer.model.probe import choose_mode
from palaestra.trainer.model.static_decoding import StaticBuffers, StaticDecoding
from transformers import GPT2LMHeadModel

from ..support.architectures import make_model
from ..support.policies import make_policy
from ..support.tiny import make_tiny

torch.set_num_threads(1)  # small matrices
TOKENIZER = make_character_tokenizer()
PROMPTS = ["What is 17 + 25?", "3", "4 + 3 =", "2 + 3 ="]
SERVED = ["gpt2", "gemma2", "mixtral", "deepseek_v3", "gpt_oss", "phi3"]
OTHERS = {
    "lfm2": DecodingMode("configured", joins=True, keeps=True),  # recurrent layers
    "bloom": DecodingMode("configured", joins=True, keeps=True),  # it takes no positions
    "recurrent_gemma": DecodingMode("none"),
}


def make_requests(samples: int) -> list[Request]:
    return [Request(TOKENIZER(text).input_ids, samples, stream) for stream, text in enumerate(PROMPTS)]


@pytest.mark.parametrize("kind", SERVED)
def test_a_static_cache_draws_what_one_that_grows_does(kind: str):
    """Windows, experts, keys and values of different sizes; ragged prompts, rows that end and are taken
    again."""
    policy = make_policy(make_model(kind), TOKENIZER)
    assert choose_mode(policy, Tape) == STATIC
    policy.model.generation_config.eos_token_id = [1, 20, 40, 60, 80]
    growing, static = LocalEngine(policy, rows=12), LocalEngine(policy, rows=12, record=Tape)
    sampling, counts = Sampling(max_new_tokens=24), []
    for samples in (5, 3, 5):
        wanted = itertools.chain(*growing.sample(make_requests(samples), sampling))
        found = itertools.chain(*static.sample(make_requests(samples), sampling))
        for one, other in zip(wanted, found, strict=True):
            assert one.ids == other.ids
            assert torch.allclose(torch.tensor(one.logprobs), torch.tensor(other.logprobs), atol=5e-5)
        counts.append(static.captures)
    assert 0 < counts[0] <= counts[1] == counts[2] <= WIDTHS * LENGTHS


@pytest.mark.parametrize("kind", OTHERS)
def test_what_it_can_t_stand_in_for_is_decoded_as_before(kind: str):
    model = make_tiny(kind) if kind != "bloom" else make_model(kind)
    assert choose_mode(make_policy(model, TOKENIZER), Tape) == OTHERS[kind]


class Looking(GPT2LMHeadModel):
    """The host waits for a value at every step."""

    def forward(self, *args, **options):
        output = super().forward(*args, **options)
        return output if output.logits.isfinite().all() else None


def test_a_step_that_can_t_be_captured_is_not():
    model = make_tiny("gpt2")
    model.__class__ = Looking
    assert choose_mode(make_policy(model, TOKENIZER), Tape) == DecodingMode(
        "configured", joins=True, keeps=True
    )


def test_what_is_known_of_a_model_without_recording_is_not_tried_again(monkeypatch: pytest.MonkeyPatch):
    model, tried = make_tiny("gpt2"), []
    model.__class__ = Looking
    policy, measure = make_policy(model, TOKENIZER), probe._measure_mode

    def note(policy, mode, record=None):
        tried.append(mode)
        return measure(policy, mode, record)

    monkeypatch.setattr(probe, "_measure_mode", note)
    plain = choose_mode(policy)
    assert tried == [plain]
    for _ in range(2):
        assert choose_mode(policy, Tape) == plain
    assert tried == [plain, STATIC]


def test_under_autocast_the_cache_is_in_the_type_of_the_products():
    policy = make_policy(make_model("gemma2"), TOKENIZER, torch.bfloat16)
    assert choose_mode(policy, Tape) == replace(STATIC, folds="casts")
    with torch.no_grad(), policy.autocast():
        decoding = StaticDecoding(policy.model, [[5, 6, 7]], [2], Extent(2, 3, 4), StaticBuffers(None))
    assert {table.dtype for table in decoding.cache.tables} == {torch.bfloat16}
    drawn = LocalEngine(policy, rows=12, record=Tape).sample(make_requests(3), Sampling(max_new_tokens=12))
    again = LocalEngine(policy, rows=12).sample(make_requests(3), Sampling(max_new_tokens=12))
    gaps = [
        abs(one.logprobs[0] - other.logprobs[0])
        for one, other in zip(itertools.chain(*drawn), itertools.chain(*again), strict=True)
    ]
    assert max(gaps) < 0.05
