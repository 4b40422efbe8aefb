"""Drawing: the exact distribution by a chi-square test, top-k, top-p, large vocabularies, random streams."""

import itertools

import pytest
import torch
from palaestra.trainer.engines.base import Request, Sampling
from palaestra.trainer.engines.drawing import BLOCK, Stream, draw, draw_uniforms, filter_logits
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.model.embedded import make_character_tokenizer, make_small_transformer
from transformers import MinPLogitsWarper, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from ..support.policies import make_policy

torch.set_num_threads(1)  # small tensors
MAX_CHI_SQUARE_Z = 4.0  # standard deviations of the chi-square statistic


def chi_square_z(tokens_N: torch.Tensor, probabilities_V: torch.Tensor) -> float:
    """How many standard deviations the chi-square statistic is from its mean;
    rare tokens are counted together."""
    expected_V = probabilities_V.double() * len(tokens_N)
    counts_V = torch.bincount(tokens_N, minlength=len(expected_V)).double()
    common_V = expected_V >= 5
    expected = torch.cat([expected_V[common_V], expected_V[~common_V].sum()[None]])
    counts = torch.cat([counts_V[common_V], counts_V[~common_V].sum()[None]])
    counts, expected = counts[expected > 0], expected[expected > 0]
    freedom = len(expected) - 1
    assert freedom > 0, "the test needs two likely tokens"
    return float((((counts - expected) ** 2 / expected).sum() - freedom) / (2 * freedom) ** 0.5)


@pytest.mark.parametrize("size", [7, 4 * BLOCK + 1, 1500])
@pytest.mark.parametrize(
    "sampling",
    [Sampling(), Sampling(0.6), Sampling(1.3, top_k=5), Sampling(top_p=0.7), Sampling(1.2, min_p=0.1)],
    ids=str,
)
def test_tokens_follow_the_distribution(size: int, sampling: Sampling):
    generator = torch.Generator().manual_seed(size)
    logits_V = 1.5 * torch.randn(size, generator=generator)
    count = 40_000
    uniforms_N = torch.rand(count, dtype=torch.float64, generator=generator)
    drawn = [draw(logits_V.expand(len(part), -1), part, sampling) for part in uniforms_N.split(4000)]
    tokens_N, logprobs_N = torch.cat([d.tokens_R for d in drawn]), torch.cat([d.logprobs_R for d in drawn])
    tempered_1V = logits_V[None].double() / sampling.temperature
    exact_V = filter_logits(tempered_1V, sampling.top_k, sampling.top_p, sampling.min_p)[0].log_softmax(-1)
    assert abs(chi_square_z(tokens_N, exact_V.exp())) < MAX_CHI_SQUARE_Z
    assert (logprobs_N - exact_V[tokens_N]).abs().max() < 5e-6


def test_the_chi_square_test_would_notice():
    generator = torch.Generator().manual_seed(0)
    logits_V = torch.randn(50, generator=generator)
    drawn = draw(
        logits_V.expand(100_000, -1),
        torch.rand(100_000, dtype=torch.float64, generator=generator),
        Sampling(1.03),
    )
    assert chi_square_z(drawn.tokens_R, logits_V.softmax(-1)) > MAX_CHI_SQUARE_Z


def test_a_model_is_sampled_from_its_own_distribution():
    tokenizer = make_character_tokenizer()
    model = make_small_transformer(len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id, 0).eval()
    ids = tokenizer("2 + 2 = ").input_ids
    for fast in (True, False):
        engine = LocalEngine(make_policy(model, tokenizer), rows=4096, fast=fast)
        completions = engine.sample([Request(ids, 20_000, 11)], Sampling(max_new_tokens=1))[0]
        with torch.no_grad():
            probabilities_V = model(input_ids=torch.tensor([ids])).logits[0, -1].softmax(-1)
        assert (
            abs(chi_square_z(torch.tensor([c.ids[0] for c in completions]), probabilities_V))
            < MAX_CHI_SQUARE_Z
        )


def test_top_k_and_top_p_keep_what_they_say():
    logits = torch.tensor([[0.5, 0.2, 0.15, 0.1, 0.05]]).log()
    kept = {
        (0, 1.0): [0, 1, 2, 3, 4],
        (2, 1.0): [0, 1],
        (9, 1.0): [0, 1, 2, 3, 4],
        (0, 0.5): [0],
        (0, 0.51): [0, 1],
        (0, 0.84): [0, 1, 2],
        (0, 1e-9): [0],
        (3, 0.6): [0, 1],
        (1, 0.9): [0],
    }
    for (top_k, top_p), tokens in kept.items():
        assert filter_logits(logits, top_k, top_p)[0].isfinite().nonzero()[:, 0].tolist() == tokens, (
            top_k,
            top_p,
        )
    shuffled = logits[:, [3, 0, 4, 2, 1]]
    assert filter_logits(shuffled, 0, 0.6)[0].isfinite().nonzero()[:, 0].tolist() == [1, 4]
    # The nucleus is that of what top-k left: 0.5 of 0.85 is under 0.6, as 0.5 of 1 is not over it.
    assert filter_logits(logits, 3, 0.58)[0].isfinite().nonzero()[:, 0].tolist() == [0]


def list_kept(logits: torch.Tensor, *truncation: float) -> list[int]:
    return filter_logits(logits, *truncation)[0].isfinite().nonzero()[:, 0].tolist()


def test_min_p_keeps_what_it_says():
    """A share of the most likely token's probability: the same before and after what top-p renormalises."""
    logits = torch.tensor([[0.1, 0.5, 0.05, 0.15, 0.2]], dtype=torch.float64).log()
    kept = {
        0.0: [0, 1, 2, 3, 4],
        0.09: [0, 1, 2, 3, 4],
        0.11: [0, 1, 3, 4],
        0.31: [1, 4],
        0.41: [1],
        1.0: [1],
    }
    for min_p, tokens in kept.items():
        assert list_kept(logits, 0, 1.0, min_p) == tokens, min_p
    assert list_kept(logits, 4, 0.84, 0.31) == [1, 4]
    assert list_kept(logits, 3, 0.84, 0.25) == [1, 3, 4]
    # Top-p before min-p, as in transformers: after it, it would be 0.5 of 0.7 and keep one token.
    assert list_kept(logits, 0, 0.7, 0.35) == [1, 4]


def test_ties():
    """Top-k keeps ties with the last of its tokens; top-p keeps the fewest, of equal ones the first ids."""
    logits = torch.tensor([[1.0, 0.0, 2.0, 1.0, 1.0]])
    assert list_kept(logits, 2, 1.0) == [0, 2, 3, 4]
    assert list_kept(torch.zeros(1, 8), 0, 0.5) == [0, 1, 2, 3]
    assert list_kept(torch.zeros(1, 8), 0, 0.51) == [0, 1, 2, 3, 4]
    assert list_kept(torch.zeros(1, 8), 0, 1.0, 1.0) == [*range(8)]
    assert list_kept(torch.full((1, 5000), 1.5), 0, 0.5) == [*range(2500)]


@pytest.mark.parametrize("size", [5, 97, 3000])
def test_what_is_kept_is_what_transformers_keeps(size: int):
    generator, compared = torch.Generator().manual_seed(size), 0
    settings = (0.6, 1.7), (0, 1, 3, 50, size, size + 5), (1.0, 0.05, 0.5, 0.9, 0.99), (0.0, 0.02, 0.3, 1.0)
    for scale in (0.3, 1, 3, 8):
        logits_RV = scale * torch.randn(4, size, generator=generator)
        for temperature, top_k, top_p, min_p in itertools.product(*settings):
            ours_RV = filter_logits(logits_RV / temperature, top_k, top_p, min_p)
            theirs_RV = TemperatureLogitsWarper(temperature)(None, logits_RV)
            for warper, value, off in ((TopKLogitsWarper, top_k, 0), (TopPLogitsWarper, top_p, 1.0)):
                theirs_RV = theirs_RV if value == off else warper(value)(None, theirs_RV)
            theirs_RV = MinPLogitsWarper(min_p)(None, theirs_RV) if min_p else theirs_RV
            assert torch.equal(ours_RV, theirs_RV), (scale, temperature, top_k, top_p, min_p)
            compared += 1
    assert compared == 4 * 240


def test_what_was_kept_is_told_where_something_may_be_left_out():
    logits = torch.randn(5, 40, generator=torch.Generator().manual_seed(1))
    uniforms = torch.full((5,), 0.9, dtype=torch.float64)
    for off in (Sampling(), Sampling(top_k=40), Sampling(0.0, top_k=3, top_p=0.5, min_p=0.1)):
        assert draw(logits, uniforms, off).kept_RV is None
        assert not off.truncates(40)
    for sampling in (Sampling(top_k=3), Sampling(top_p=0.5), Sampling(0.7, min_p=0.1)):
        drawn = draw(logits, uniforms, sampling)
        assert drawn.kept_RV is not None
        tempered_RV = logits / sampling.temperature
        filtered_RV = filter_logits(tempered_RV, sampling.top_k, sampling.top_p, sampling.min_p)
        assert torch.equal(drawn.kept_RV, filtered_RV.isfinite())


def test_only_possible_tokens_are_drawn_at_the_edges():
    for size in (8, 1500):
        logits = torch.full((2, size), float("-inf"))
        logits[:, [3, 6]] = 0.0
        edge = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
        assert draw(logits, edge, Sampling()).tokens_R.tolist() == [3, 6]


def test_top_k_keeps_greedy_and_a_bad_setting_is_refused():
    logits = torch.randn(5, 40, generator=torch.Generator().manual_seed(1))
    edge = torch.full((5,), 0.999, dtype=torch.float64)
    assert torch.equal(draw(logits, edge, Sampling(top_k=1)).tokens_R, logits.argmax(-1))
    assert torch.equal(draw(logits, edge, Sampling(0.0)).tokens_R, logits.argmax(-1))
    for bad in (
        {"temperature": -1.0},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"min_p": -0.1},
        {"min_p": 1.1},
        {"max_new_tokens": 0},
    ):
        with pytest.raises(ValueError, match="Give temperature"):
            Sampling(**bad)


def test_streams_are_reproducible_and_distinct():
    first = draw_uniforms([Stream(7, 0), Stream(7, 1), Stream(8, 0)], 50)
    assert first.shape == (50, 3)
    assert first.dtype == torch.float64
    assert torch.equal(first[:20, 2:], draw_uniforms([Stream(8, 0)], 20))
    assert len(first.flatten().unique()) == 150
