"""The local engine beyond the contract: kinds of models, both paths alike, what is shared, weights of now."""

import copy
import itertools
import re

import pytest
import torch
from palaestra.tasks.core.errors import UserError
from palaestra.trainer.engines.base import Request, Row, Sampling
from palaestra.trainer.engines.live import LiveRows
from palaestra.trainer.engines.local import LocalEngine
from palaestra.trainer.model.decoding import GeneralDecoding
from palaestra.trainer.model.dense.decoder import FastDecoding
from palaestra.trainer.model.embedded import make_small_transformer
from palaestra.verifiers import Completion
from transformers import Gemma2Config, Gemma2ForCausalLM, GPT2Config, GPT2LMHeadModel

from ..support.policies import make_policy
from ..support.tokenizers import make_byte_tokenizer
from .engine_contract import TOKENIZER, compute_plain_logprobs, make_requests

torch.set_num_threads(1)  # small matrices
MAX_DIFFERENCE, MEAN_DIFFERENCE = 5e-5, 1e-6  # nats, float32
EOS = TOKENIZER.eos_token_id


def make_model(kind: str, seed: int = 0):
    """A small random model whose next-token distributions are far from uniform."""
    size = len(TOKENIZER)
    torch.manual_seed(seed)
    if kind == "qwen3":
        model = make_small_transformer(size, EOS, TOKENIZER.pad_token_id, seed)
    elif kind == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(vocab_size=size, n_positions=512, n_embd=48, n_layer=2, n_head=4))
    else:
        model = Gemma2ForCausalLM(
            Gemma2Config(
                vocab_size=size,
                hidden_size=48,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                head_dim=16,
                sliding_window=16,
                max_position_embeddings=512,
            )
        )
    model.generation_config.eos_token_id = EOS
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5) if parameter.ndim > 1 else parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def measure_differences(
    model, completions: list[list[Completion]], temperature: float = 1.0
) -> tuple[float, float]:
    flat = list(itertools.chain(*completions))
    differences = torch.cat(
        [
            (compute_plain_logprobs(model, c, Sampling(temperature)) - torch.tensor(c.logprobs)).abs()
            for c in flat
        ]
    )
    return float(differences.max()), float(differences.mean())


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "general"])
@pytest.mark.parametrize(
    ("kind", "temperature"), [("qwen3", 1.0), ("qwen3", 0.7), ("gpt2", 1.0), ("gemma2", 1.0)]
)
def test_logprobs_are_those_of_a_plain_forward_pass(kind: str, temperature: float, fast: bool):
    """Ragged prompts, several end tokens, rows that leave the batch, several waves."""
    model = make_model(kind)
    model.generation_config.eos_token_id = [EOS, TOKENIZER("e").input_ids[0], TOKENIZER("7").input_ids[0]]
    engine = LocalEngine(make_policy(model, TOKENIZER), rows=28, fast=fast)
    assert engine.path == ("fast" if fast and kind == "qwen3" else "general")
    completions = engine.sample(make_requests(13), Sampling(temperature, max_new_tokens=60))
    lengths = [len(c.ids) for group in completions for c in group]
    assert min(lengths) < 20 < max(lengths), "the rows were to end at different steps"
    worst, mean = measure_differences(model, completions, temperature)
    assert worst <= MAX_DIFFERENCE
    assert mean <= MEAN_DIFFERENCE


def test_both_paths_draw_the_same_tokens():
    model = make_model("qwen3", seed=5)
    for sampling in (Sampling(max_new_tokens=50), Sampling(0.8, top_k=9, top_p=0.9, max_new_tokens=50)):
        paths = [
            LocalEngine(make_policy(model, TOKENIZER), fast=fast).sample(make_requests(8), sampling)
            for fast in (True, False)
        ]
        fast, general = ([c for group in path for c in group] for path in paths)
        assert [c.ids for c in fast] == [c.ids for c in general]
        for one, other in zip(fast, general, strict=True):
            assert torch.allclose(
                torch.tensor(one.logprobs), torch.tensor(other.logprobs), atol=MAX_DIFFERENCE
            )


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "general"])
@pytest.mark.parametrize("rows", [256, 11])
def test_what_completions_share_is_computed_once(fast: bool, rows: int, monkeypatch: pytest.MonkeyPatch):
    """As many tokens go through the model as there are distinct beginnings of the completions that were
    decoded together."""
    model, advanced = make_model("qwen3"), []
    for kind in (FastDecoding, GeneralDecoding):
        advance = kind.advance

        def counted(self, parents_U, tokens_U, advance=advance):
            advanced.append(len(tokens_U))
            return advance(self, parents_U, tokens_U)

        monkeypatch.setattr(kind, "advance", counted)
    engine = LocalEngine(make_policy(model, TOKENIZER), rows=rows, fast=fast)
    advanced.clear()
    completions = engine.sample(make_requests(11), Sampling(temperature=0.05, max_new_tokens=40))
    beginnings = [{c.ids[:end] for c in group for end in range(1, len(c.ids))} for group in completions]
    total = sum(len(c.ids) - 1 for group in completions for c in group)
    assert sum(advanced) == sum(map(len, beginnings)) < 0.8 * total
    assert max(len({c.ids for c in group}) for group in completions) > 3, "some were to part"
    worst, mean = measure_differences(model, completions, 0.05)
    assert worst <= 20 * MAX_DIFFERENCE  # the temperature multiplies the rounding of the logits by 20
    assert mean <= 20 * MEAN_DIFFERENCE


def test_rows_are_a_number_or_none_for_the_engines_own():
    policy = make_policy(make_model("qwen3"), TOKENIZER)
    assert (LocalEngine(policy).rows, LocalEngine(policy, 3).rows) == (256, 3)
    with pytest.raises(ValueError, match="rows=0: give 1 or more, or None for 256"):
        LocalEngine(policy, 0)


def test_completions_are_handed_over_as_they_end_and_the_training_mode_stays():
    model = make_model("qwen3").train()
    heard: list[tuple[int, int, int]] = []
    results = LocalEngine(make_policy(model, TOKENIZER)).sample(
        make_requests(20), Sampling(max_new_tokens=120), lambda r, s, c: heard.append((r, s, len(c.ids)))
    )
    assert model.training
    assert [length for _, _, length in heard] == sorted(length for _, _, length in heard), (
        "the shorter ones end first"
    )
    assert len(heard) == 80
    assert all(len(results[r][s].ids) == length for r, s, length in heard)


def test_the_weights_of_now_are_sampled_from():
    """The trainer changes the weights between calls; nothing derived from the old ones may stay."""
    model = make_model("qwen3", seed=1)
    engine = LocalEngine(make_policy(model, TOKENIZER))
    before = engine.sample(make_requests(4), Sampling(max_new_tokens=20))
    other = copy.deepcopy(make_model("qwen3", seed=2))
    model.load_state_dict(other.state_dict())
    after = engine.sample(make_requests(4), Sampling(max_new_tokens=20))
    assert [[c.ids for c in g] for g in before] != [[c.ids for c in g] for g in after]
    worst, mean = measure_differences(other, after)
    assert worst <= MAX_DIFFERENCE
    assert mean <= MEAN_DIFFERENCE


def make_reciter(tokenizer, ids: list[int]):
    """A model that says these different tokens one after the other: each one's own code asks for the next."""
    model = make_small_transformer(len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id, 0)
    codes = torch.nn.functional.normalize(torch.randn(len(tokenizer), 128), dim=1)
    head = torch.nn.Linear(128, len(tokenizer), bias=False)
    with torch.no_grad():
        for parameter in model.model.layers.parameters():
            parameter.mul_(0.0 if parameter.ndim > 1 else 1.0)
        model.model.embed_tokens.weight.copy_(codes)
        head.weight.zero_()
        for current, following in itertools.pairwise(ids):
            head.weight[following] += codes[current]
    model.config.tie_word_embeddings = False
    model.lm_head = head
    return model.eval()


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "general"])
@pytest.mark.parametrize(
    ("said", "stop", "seen", "reason"),
    [
        ("<think>helo</think><answer>12</answer><eos>", (), "<think>helo</think><answer>12</answer>", "stop"),
        ("ab<|end|>c<|eot|>", (), "ab<|end|>c", "stop"),
        ("a<pad>b<eos>", (), "a<pad>b", "stop"),
        ("a </answer>bcdefghijk", (), "a </answer>bcde", "length"),
        ("<answer>4</answer>xyz<eos>", ("</answer>",), "<answer>4</answer>", "stop"),
        ("a</think>bc<eos>", ("</think>b",), "a</think>b", "stop"),
    ],
)  # fmt: skip
def test_a_verifier_reads_every_token_but_the_one_that_ended_the_completion(
    said: str, stop: tuple[str, ...], seen: str, reason: str, fast: bool
):
    """Where `<think>` and `<answer>` are special tokens, as in many real tokenizers."""
    tags = ["<think>", "</think>", "<answer>", "</answer>", "<|end|>", "<|eot|>"]
    tokenizer = make_byte_tokenizer(special=tags)
    prompt, *spoken = tokenizer("?" + said, add_special_tokens=False).input_ids
    model = make_reciter(tokenizer, [prompt, *spoken])
    model.generation_config.eos_token_id = [
        tokenizer.eos_token_id,
        tokenizer.convert_tokens_to_ids("<|eot|>"),
    ]
    engine = LocalEngine(make_policy(model, tokenizer), fast=fast)
    sampling = Sampling(0.0, max_new_tokens=16 if reason == "stop" else 7, stop=stop)
    [[completion]] = engine.sample([Request([prompt], 1, 0)], sampling)
    assert completion.text == seen
    assert completion.finish_reason == reason


def run_out_of_memory(monkeypatch: pytest.MonkeyPatch, most: int, steps: int = 3) -> None:
    """From step `steps` on, more than `most` completions find no memory, as torch says it on a CPU."""
    advance = LiveRows.advance

    def fail(self, kept_R=None):
        if self.step >= steps and len(self.owners) > most:
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate"
            )
        advance(self, kept_R)

    monkeypatch.setattr(LiveRows, "advance", fail)


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "general"])
def test_when_memory_runs_out_half_as_many_rows_draw_the_same(
    fast: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    policy = make_policy(make_model("qwen3"), TOKENIZER)
    policy.model.generation_config.eos_token_id = list(range(3, 40))  # many end before memory runs out
    sampling, requests = Sampling(max_new_tokens=12), make_requests(13)
    expected = LocalEngine(policy, fast=fast).sample(requests, sampling)
    rows = [Row(c.prompt_ids, c.ids) for group in expected for c in group]
    run_out_of_memory(monkeypatch, most=7)
    heard: list[tuple[int, int, Completion]] = []
    engine = LocalEngine(policy, rows=40, fast=fast)
    found = engine.sample(requests, sampling, lambda *told: heard.append(told))
    assert [[c.ids for c in group] for group in found] == [[c.ids for c in group] for group in expected]
    assert len(heard) == 52 == len({told[:2] for told in heard}), "each is handed out once"
    assert all(found[request][sample] is told for request, sample, told in heard)
    assert 1 <= engine.rows < 40
    assert re.search(r"Memory ran out while sampling 3\d rows", capsys.readouterr().err)
    assert all(engine.compute_logprobs(rows))


def test_memory_for_not_even_one_completion_is_a_sentence(monkeypatch: pytest.MonkeyPatch):
    engine = LocalEngine(make_policy(make_model("qwen3"), TOKENIZER))
    run_out_of_memory(monkeypatch, most=0)
    with pytest.raises(UserError, match=r"single completion .*DefaultCPUAllocator.*--max-new-tokens"):
        engine.sample(make_requests(2), Sampling(max_new_tokens=12))


def test_memory_that_the_caller_runs_out_of_is_the_callers_own():
    engine, heard = LocalEngine(make_policy(make_model("qwen3"), TOKENIZER)), []

    def finished(*told):
        heard.append(told)
        raise torch.OutOfMemoryError("of the caller")

    with pytest.raises(torch.OutOfMemoryError, match="of the caller"):
        engine.sample(make_requests(2), Sampling(max_new_tokens=4), finished)
    assert (len(heard), engine.rows) == (1, 256)


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "general"])
def test_an_end_token_that_the_model_has_not_is_never_drawn(fast: bool):
    model = make_model("qwen3")
    model.generation_config.eos_token_id = [EOS, len(TOKENIZER), 128_009, -1]
    engine = LocalEngine(make_policy(model, TOKENIZER), fast=fast)
    assert engine.end_ids == [EOS]
    last = len(TOKENIZER) - 1
    completions = [c for group in engine.sample(make_requests(8), Sampling(max_new_tokens=80)) for c in group]
    assert any(last in c.ids[:-1] for c in completions), "-1 is not the last token"


def test_a_prompt_beyond_the_vocabulary_is_a_sentence():
    engine = LocalEngine(make_policy(make_model("qwen3"), TOKENIZER))
    with pytest.raises(UserError, match=rf"token 5000 is beyond the model's {len(TOKENIZER)} tokens"):
        engine.sample([Request([1, 5000], 1, 0)], Sampling(max_new_tokens=2))
